//! A client with a sidecar in a cluster with real pods, while the Deployments behind its Services are scaled, rolled and deleted (S-22).
//! `cargo xtask test cluster` runs these.

use std::collections::BTreeSet;
use std::env;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hyper::{Method, Version};
use serde_json::Value;
use testing::cluster::{Cluster, PATIENCE};

use crate::support::*;

#[test]
fn no_request_fails_while_the_pods_behind_services_are_scaled_and_rolled_and_without_pods_the_reason_is_told()
{
    let world = World::start();
    let http = world.client.enter(|| SteadyLoad::start(&CLIENTS, &[Method::GET]));
    let mut calls = ["calls", "chats"].map(|command| world.client.enter(|| grpc_load(RPC, command)));
    let lines = world.client.enter(Lines::start);
    world.on_all(&["scale", "--replicas=4"]);
    for _ in 0..rolls() {
        world.on_all(&["rollout", "restart"]);
    }
    world.on_all(&["scale", "--replicas=3"]);

    for (version, seen) in http.end() {
        assert!(seen.failed.is_empty(), "{version:?}: {:?}", seen.failed);
        assert!(seen.answered > 100, "{version:?}: {} answers", seen.answered);
    }
    for client in &mut calls {
        assert!(client.terminate());
        let output = client.output();
        assert!(output.trim().parse::<u32>().is_ok_and(|answered| answered > 10), "{output}");
    }
    let lines = lines.end();
    assert!(lines.failed.is_empty() && lines.answered > 10, "{}: {:?}", lines.answered, lines.failed);
    let pods: BTreeSet<String> = (0..30).map(|_| world.ask().1).collect();
    assert_eq!(pods.len(), 3, "each of three pods answers: {pods:?}");
    assert_eq!(world.failures(), [] as [Value; 0]);

    world.cluster.kubectl(&["delete", "deployment", "web"]);
    let reason = "svcmesh: the Service has no usable endpoint\n";
    within(PATIENCE, "no pod is left", || (world.ask().1 == reason).then_some(()));
    (0..20).for_each(|_| assert_eq!(world.ask(), (503, reason.to_owned())));
    let codes = within(PATIENCE, "the log has them", || {
        let codes = world.failures().into_iter().map(|failure| failure["failure.code"].clone());
        let codes: Vec<Value> = codes.skip_while(|code| code != NO_ENDPOINTS).collect();
        (codes.len() > 20).then_some(codes)
    });
    assert!(codes.iter().all(|code| code == NO_ENDPOINTS), "{codes:?}");
}

/// A cluster with the objects of `pods.yaml`.
struct World {
    /// The network of the pod `client`; its connections are captured.
    client: Namespace,
    cluster: Cluster,
}

impl World {
    fn start() -> World {
        enter_own_network();
        let sidecar = env!("CARGO_BIN_EXE_sidecar");
        let program = Path::new(sidecar).with_file_name("cluster");
        let cluster = Cluster::start(&program, &["--image", &format!("sidecar={sidecar},/usr/sbin/nft")]);
        cluster.kubectl(&["apply", "-k", concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/rbac/namespaced")]);
        cluster.apply(&objects());
        cluster.until("pod/client", "{.status.conditions[?(@.type=='Ready')].status}", "True");
        let client = Namespace::of_process(cluster.process_of("client", "application"));
        let world = World { client, cluster };
        world.on_all(&["scale", "--replicas=2"]);
        world
    }

    /// Runs a command of kubectl for each Deployment, and waits until all are rolled out.
    fn on_all(&self, command: &[&str]) {
        for name in DEPLOYMENTS {
            self.cluster.kubectl(&[command, &[name]].concat());
        }
        for name in DEPLOYMENTS {
            self.cluster.kubectl(&["rollout", "status", "--timeout=120s", name]);
        }
    }

    /// The status and the body of a request to the Service `web`.
    fn ask(&self) -> (u16, String) {
        self.client.enter(|| get(WEB, "/")).expect("the sidecar answers")
    }

    /// The records of the access log with a failure, so far.
    fn failures(&self) -> Vec<Value> {
        let log = self.cluster.kubectl(&["logs", "client", "--container=svcmesh"]);
        let records = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        records.filter(|record| !record["failure.code"].is_null()).collect()
    }
}

/// `pods.yaml` with the Python of the tests.
fn objects() -> String {
    let python = python();
    let prefixes = output_of(&python, &["-c", "import sys; print(sys.prefix, sys.base_prefix)"]);
    let scripts = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/python");
    let folders: BTreeSet<&str> =
        prefixes.split_whitespace().chain(["/usr", "/lib", "/lib64", scripts]).collect();
    let of = |text: fn(usize, &str) -> String| {
        folders.iter().enumerate().map(|(index, folder)| text(index, folder)).collect::<Vec<_>>().join(", ")
    };
    let mounts = of(|index, folder| format!("{{ name: v{index}, mountPath: {folder}, readOnly: true }}"));
    let volumes = of(|index, folder| format!("{{ name: v{index}, hostPath: {{ path: {folder} }} }}"));
    include_str!("pods.yaml")
        .replace("[PYTHON_MOUNTS]", &format!("[{mounts}]"))
        .replace("[PYTHON_VOLUMES]", &format!("[{volumes}]"))
        .replace("[PYTHON,", &format!("[{python},"))
        .replace("SCRIPTS", scripts)
}

const DEPLOYMENTS: [&str; 3] = ["deployment/web", "deployment/rpc", "deployment/line"];

const CLIENTS: [Client; 2] = [
    Client { version: Version::HTTP_11, address: WEB, host: "web" },
    Client { version: Version::HTTP_2, address: "10.96.20.2:80", host: "h2" },
];

const WEB: &str = "10.96.20.1:80";
const RPC: &str = "10.96.20.3:50051";
const LINE: &str = "10.96.20.4:7070";

/// The failure code of a Service without a usable endpoint.
const NO_ENDPOINTS: &str = "MN";

/// How often all pods are replaced.
#[expect(clippy::disallowed_methods, reason = "tests read this variable where they are")]
fn rolls() -> u32 {
    if env::var_os("SVCMESH_TEST_LONG").is_some() { 20 } else { 3 }
}

/// A client that exchanges a line for a line over one connection after the other, not HTTP.
struct Lines {
    stop: Arc<AtomicBool>,
    client: JoinHandle<Seen>,
}

impl Lines {
    fn start() -> Lines {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let client = thread::spawn(move || {
            let mut seen = Seen::default();
            while !stopped.load(Relaxed) {
                match exchange() {
                    Ok(answer) if answer.ends_with(" hello\n") => seen.answered += 1,
                    other => seen.failed.push(format!("{other:?}")),
                }
            }
            seen
        });
        Lines { stop, client }
    }

    fn end(self) -> Seen {
        self.stop.store(true, Relaxed);
        self.client.join().expect("it does not panic")
    }
}

fn exchange() -> std::io::Result<String> {
    let mut stream = TcpStream::connect(LINE)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(b"hello\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
