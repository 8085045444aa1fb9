//! `kubectl svc`, started by kubectl, against a real API server. `cargo xtask test cluster` runs these.

use std::path::Path;
use std::process::{Command, Output};

use testing::cluster::Cluster;
use testing::network::enter_own_network;

/// A cluster with the objects of `objects.yaml`.
fn start() -> Cluster {
    enter_own_network();
    let cluster = Cluster::start(&Path::new(PLUGIN).with_file_name("cluster"), &[]);
    cluster.apply(include_str!("objects.yaml"));
    cluster.kubectl(&["apply", "-k", RBAC]);
    cluster
}

const DOCUMENTATION: &str = include_str!("../../docs/kubectl-svc.md");
const PLUGIN: &str = env!("CARGO_BIN_EXE_kubectl-svc");
const RBAC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/rbac/kubectl-svc");

/// `kubectl svc` with these words.
#[expect(clippy::disallowed_methods, reason = "kubectl finds plugins in the path")]
fn run(cluster: &Cluster, words: &str) -> Output {
    let folder = Path::new(PLUGIN).parent().expect("it is in a folder");
    let path = std::env::var("PATH").expect("there is one");
    let mut kubectl = Command::new("kubectl");
    kubectl.env("PATH", format!("{}:{path}", folder.display())).env("KUBECONFIG", cluster.kubeconfig());
    kubectl.arg("svc").args(words.split(' ')).output().expect("kubectl is installed")
}

/// What it printed, having succeeded without a warning.
fn answer(cluster: &Cluster, words: &str) -> String {
    let output = run(cluster, words);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && error.is_empty(), "{words}: {error}");
    String::from_utf8(output.stdout).expect("a text")
}

/// Its complaint, having failed with exit code 1.
fn complaint(cluster: &Cluster, words: &str) -> String {
    let output = run(cluster, words);
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), &b""[..]), "{words}");
    String::from_utf8(output.stderr).expect("a text")
}

#[test]
fn services_endpoints_and_variables_are_shown_as_the_api_tells_them() {
    let cluster = start();
    let shown = ["list", "list -A", "list -o wide", "list -l app=web -o name", "list --no-headers"]
        .into_iter()
        .chain(["endpoints web", "endpoints web -o wide", "endpoints db", "endpoints web -o name"])
        .chain(["env", "env -n kube-system -o name"])
        .map(|words| format!("$ kubectl svc {words}\n{}", answer(&cluster, words)));
    insta::assert_snapshot!(shown.collect::<Vec<_>>().join("\n"));

    for words in ["list", "endpoints web"] {
        let example = format!("$ kubectl svc {words}\n{}", answer(&cluster, words));
        assert!(DOCUMENTATION.contains(&example), "the documentation shows something else than\n{example}");
    }
    let document: serde_json::Value =
        serde_json::from_str(&answer(&cluster, "list -o json")).expect("a document");
    let names: Vec<_> =
        document["services"].as_array().expect("Services").iter().map(|it| &it["name"]).collect();
    assert_eq!(names, ["db", "kubernetes", "pay", "web"]);
    let yaml = answer(&cluster, "endpoints web -o yaml");
    assert_eq!(yaml.matches("terminating: true").count(), 2, "{yaml}");
}

#[test]
fn faults_that_are_planted_are_found() {
    let cluster = start();
    let sound = run(&cluster, "check -n kube-system");
    assert_eq!(
        (sound.status.code(), &*String::from_utf8_lossy(&sound.stderr)),
        (Some(0), "No findings in 1 Services.\n")
    );
    cluster.kubectl(&["delete", "service", "web", "pay"]);
    cluster.apply(include_str!("faults.yaml"));
    let report = run(&cluster, "check");
    let text = String::from_utf8_lossy(&report.stdout).into_owned();
    assert_eq!((report.status.code(), report.stderr.as_slice()), (Some(3), &b""[..]));
    let example = format!("$ kubectl svc check\n{text}");
    assert!(
        include_str!("../../docs/findings.md").contains(&example),
        "the documentation shows something else than\n{example}"
    );
    insta::assert_snapshot!(String::from_utf8_lossy(&run(&cluster, "check -o wide").stdout));
    let json: serde_json::Value =
        serde_json::from_slice(&run(&cluster, "check -o json").stdout).expect("a document");
    assert_eq!(json["findings"][1]["code"], "SVC001");
}

#[test]
fn complaints_name_the_cause_and_a_remedy() {
    let cluster = start();
    let viewer = "--as system:serviceaccount:default:viewer";
    let refused = complaint(&cluster, &format!("list {viewer}"));
    cluster.kubectl(&[
        "create",
        "rolebinding",
        "viewer",
        "--role=kubectl-svc",
        "--serviceaccount=default:viewer",
    ]);
    assert!(answer(&cluster, &format!("list {viewer}")).contains("web"));
    assert!(answer(&cluster, &format!("endpoints web {viewer}")).contains("10.244.1.1"));
    let all = complaint(&cluster, &format!("list -A {viewer}"));
    let unknown = complaint(&cluster, "endpoints nothing");
    let pod = complaint(&cluster, "env nothing");
    let context = complaint(&cluster, "list --context nowhere");
    let user = complaint(&cluster, "list --user nobody");
    insta::assert_snapshot!([refused, all, unknown, pod, context, user].join("\n"));
    assert_eq!(answer(&cluster, "list --namespace="), answer(&cluster, "list"));

    let empty = run(&cluster, "list -n nothing");
    assert_eq!(String::from_utf8_lossy(&empty.stderr), "No Services found in namespace `nothing`.\n");
}

#[test]
fn an_api_server_that_is_gone_is_told_as_such() {
    let mut cluster = start();
    cluster.stop_api_server();
    let gone = complaint(&cluster, "list --request-timeout 5s");
    assert!(
        gone.starts_with("error: cannot list services: ") && gone.contains("Connection refused"),
        "{gone}"
    );
    cluster.start_api_server();
    assert!(answer(&cluster, "list").contains("web"));
}
