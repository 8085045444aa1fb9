//! A Kubernetes API server with etcd behind it and the real controllers beside it: no node, no pod.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use tempfile::TempDir;

use super::process::{folder, peer};
use super::time::within;
use super::{Authority, Process};

/// A control plane in the namespace of the caller, at fixed ports.
pub(crate) struct ControlPlane {
    home: TempDir,
    authority: Authority,
    options: Vec<String>,
    api_server: Option<Process>,
    controllers: Option<Process>,
    _etcd: Process,
}

impl ControlPlane {
    /// Starts all three, and waits until there is a service account to run under. `options` are for the API server.
    pub(crate) fn start(options: &[&str]) -> ControlPlane {
        let home = folder();
        let etcd = Process::start("etcd", folder(), etcd(home.path()));
        let authority = Authority::new();
        let pair = authority.certify(&["kubernetes", "kubernetes.default.svc", "127.0.0.1", "10.96.0.1"]);
        let account = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("there is randomness");
        let tokens = "admin-token,admin,1,\"system:masters\"\n";
        for (name, text) in [
            ("ca.crt", authority.pem().as_str()),
            ("api.crt", &pair.certificate),
            ("api.key", &pair.key),
            ("account.key", &account.serialize_pem()),
            ("account.pub", &account.public_key_pem()),
            ("tokens.csv", tokens),
        ] {
            fs::write(home.path().join(name), text).expect("the folder is ours");
        }
        fs::write(home.path().join("kubeconfig"), kubeconfig(home.path())).expect("the folder is ours");
        let options = options.iter().map(|&option| option.to_owned()).collect();
        let mut plane =
            ControlPlane { home, authority, options, api_server: None, controllers: None, _etcd: etcd };
        plane.start_api_server();
        plane.controllers = Some(Process::start("controllers", folder(), plane.controllers()));
        within(PATIENCE, "there is a service account", || {
            plane.try_kubectl(&["get", "serviceaccount", "default"])
        });
        plane
    }

    /// Starts it again where it was, over the same data, and waits until it answers.
    pub(crate) fn start_api_server(&mut self) {
        let mut process = Process::start("kube-apiserver", folder(), self.api_server());
        within(PATIENCE, "the API server answers", || {
            assert!(process.is_running(), "it has ended: {}", process.log());
            self.try_kubectl(&["get", "--raw", "/readyz"])
        });
        self.api_server = Some(process);
    }

    /// Ends it as a machine does that loses its power.
    pub(crate) fn kill_api_server(&mut self) {
        self.api_server = None;
    }

    /// Applies YAML.
    pub(crate) fn apply(&self, text: &str) {
        let file = self.home.path().join("applied.yaml");
        fs::write(&file, text).expect("the folder is ours");
        self.kubectl(&["apply", "-f", file.to_str().expect("our own name")]);
    }

    /// What kubectl answers.
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> String {
        let output = self.kubectl_command(arguments).output().expect("kubectl is installed");
        let (answer, error) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "kubectl {} failed: {error}", arguments.join(" "));
        answer.into_owned()
    }

    /// The folder of a service account, as a pod of the namespace `default` has it.
    pub(crate) fn service_account(&self) -> PathBuf {
        let folder = self.home.path().join("account");
        fs::create_dir_all(&folder).expect("the folder is ours");
        let token = self.kubectl(&["create", "token", "default"]);
        for (name, text) in
            [("token", token.as_str()), ("ca.crt", &self.authority.pem()), ("namespace", "default")]
        {
            fs::write(folder.join(name), text).expect("the folder is ours");
        }
        folder
    }

    /// How pods are told where the API server is.
    pub(crate) const VARIABLES: [(&str, &str); 2] =
        [("KUBERNETES_SERVICE_HOST", "127.0.0.1"), ("KUBERNETES_SERVICE_PORT", "6443")];

    fn try_kubectl(&self, arguments: &[&str]) -> Option<()> {
        self.kubectl_command(arguments).output().is_ok_and(|output| output.status.success()).then_some(())
    }

    fn kubectl_command(&self, arguments: &[&str]) -> Command {
        let mut kubectl = Command::new("kubectl");
        kubectl.arg("--kubeconfig").arg(self.home.path().join("kubeconfig")).arg("--cache-dir");
        kubectl.arg(self.home.path().join("cache")).args(arguments);
        kubectl
    }

    /// The path of a file of all three.
    fn file(&self, name: &str) -> String {
        self.home.path().join(name).display().to_string()
    }

    fn api_server(&self) -> Command {
        let mut command = asset("kube-apiserver");
        command.args([
            "--etcd-servers=http://127.0.0.1:2379",
            "--bind-address=127.0.0.1",
            "--advertise-address=10.1.0.2",
            "--secure-port=6443",
            "--authorization-mode=RBAC",
            "--service-cluster-ip-range=10.96.0.0/12",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--profiling=false",
            &format!("--tls-cert-file={}", self.file("api.crt")),
            &format!("--tls-private-key-file={}", self.file("api.key")),
            &format!("--token-auth-file={}", self.file("tokens.csv")),
            &format!("--service-account-key-file={}", self.file("account.pub")),
            &format!("--service-account-signing-key-file={}", self.file("account.key")),
            &format!("--cert-dir={}", self.file("certificates")),
        ]);
        command.args(&self.options);
        command
    }

    fn controllers(&self) -> Command {
        let mut command = asset("kube-controller-manager");
        command.args([
            "--leader-elect=false",
            "--controllers=endpoint,endpointslice,endpointslicemirroring,namespace,serviceaccount,serviceaccount-token",
            &format!("--kubeconfig={}", self.file("kubeconfig")),
            &format!("--service-account-private-key-file={}", self.file("account.key")),
            &format!("--root-ca-file={}", self.file("ca.crt")),
        ]);
        command
    }
}

fn etcd(home: &Path) -> Command {
    let mut command = asset("etcd");
    command.arg("--data-dir").arg(home.join("etcd")).args([
        "--log-level=warn",
        "--unsafe-no-fsync",
        "--listen-client-urls=http://127.0.0.1:2379",
        "--advertise-client-urls=http://127.0.0.1:2379",
        "--listen-peer-urls=http://127.0.0.1:2380",
    ]);
    command
}

/// One of the programs that `cargo xtask test cluster` has found or built.
#[expect(clippy::disallowed_methods, reason = "how a test is told where its peers are")]
fn asset(program: &str) -> Command {
    let folder = std::env::var("KUBEBUILDER_ASSETS").expect("`cargo xtask test cluster` names the folder");
    peer(&format!("{folder}/{program}"))
}

fn kubeconfig(home: &Path) -> String {
    let authority = home.join("ca.crt");
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: test\n\
         clusters: [{{ name: test, cluster: {{ server: 'https://127.0.0.1:6443', certificate-authority: {authority:?} }} }}]\n\
         users: [{{ name: admin, user: {{ token: admin-token }} }}]\n\
         contexts: [{{ name: test, context: {{ cluster: test, user: admin }} }}]\n"
    )
}

/// How long a control plane may take to start on a machine with other work.
const PATIENCE: Duration = Duration::from_secs(60);
