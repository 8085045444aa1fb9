//! Services that the filter hears of from a running sidecar.

use std::net::SocketAddr;

use serde_json::json;
use testing::manifests::Manifests;
use testing::process::{Process, folder, peer};
use testing::time::until;

use super::backend::Backend;
use super::bootstrap::Bootstrap;
use super::built;
use super::client::Client;
use super::envoy::Envoy;
use super::tcp::free_address;

#[test]
fn a_change_that_the_sidecar_sees_reaches_the_filter() {
    let [a, b, _] = Backend::three();
    let sidecar = Sidecar::start(free_address(), &[&a]);
    let envoy = asking(&sidecar);
    let mut client = envoy.client();
    answers(&mut client, &a);
    sidecar.manifests.write("test.yaml", &documents(&[&b]));
    answers(&mut client, &b);
    // Once the filter knows, it knows in both workers after at most an interval.
    let after = a.requests();
    for _ in 0..20 {
        assert_eq!(client.get("web").backend(), "pod-b");
    }
    assert_eq!(a.requests(), after);
}

#[test]
fn what_was_known_last_serves_while_the_sidecar_is_away() {
    let [a, b, _] = Backend::three();
    let mut sidecar = Sidecar::start(free_address(), &[&a]);
    let envoy = asking(&sidecar);
    let mut client = envoy.client();
    answers(&mut client, &a);
    sidecar.process.kill();
    let failed = "wasmcustom.svcmesh_discovery_updates_total;source=services;result=failed";
    until("the filter has noticed", || (envoy.stat(failed) > 0).then_some(()));
    assert_eq!(client.get("web").backend(), "pod-a");
    let _again = Sidecar::start(sidecar.admin, &[&b]);
    answers(&mut client, &b);
}

/// Waits until `web` is answered by `backend`.
fn answers(client: &mut Client, backend: &Backend) {
    until(&format!("{} answers", backend.name()), || {
        let answer = client.get("web");
        (answer.status() == 200 && answer.backend() == backend.name()).then_some(())
    });
}

/// An Envoy whose filter asks `sidecar` every second.
fn asking(sidecar: &Sidecar) -> Envoy {
    let bootstrap = Bootstrap::read("bootstrap.yaml").cluster("sidecar", &[sidecar.admin]);
    Envoy::start(&bootstrap.plugin(json!({"update": {"cluster": "sidecar", "interval": "1s"}})))
}

struct Sidecar {
    process: Process,
    manifests: Manifests,
    admin: SocketAddr,
}

impl Sidecar {
    /// One that knows `web`, served by `backends`, and serves nobody but those who ask at `admin`.
    fn start(admin: SocketAddr, backends: &[&Backend]) -> Sidecar {
        let manifests = Manifests::of(&[documents(backends)]);
        let mut command = peer(&built::sidecar());
        command.args([
            "run",
            "--discovery",
            "manifests",
            "--allow-loopback-endpoints=true",
            "--outbound",
            "off",
        ]);
        command.args([
            "--inbound",
            "off",
            "--forward-proxy",
            "off",
            "--admin",
            &admin.to_string(),
            "--manifests",
        ]);
        command.arg(manifests.path());
        let mut process = Process::start("sidecar", folder(), command);
        process.ready(|| {
            let ready = std::net::TcpStream::connect(admin).is_ok();
            (ready && Client::of(admin).ask("admin", "/readyz", &[]).status() == 200).then_some(())
        });
        Sidecar { process, manifests, admin }
    }
}

/// `web`, and a slice for each of its endpoints, which have ports of their own.
fn documents(backends: &[&Backend]) -> String {
    let mut text = "apiVersion: v1\nkind: Service\nmetadata:\n  name: web\n  \
         annotations: { svcmesh.dev/load-balancer: rr }\nspec:\n  ports: [{ port: 80, appProtocol: http }]\n"
        .to_owned();
    for backend in backends {
        let (ip, port) = (backend.address().ip(), backend.address().port());
        text += &format!(
            "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata:\n  name: web-{port}\n  \
             labels: {{ kubernetes.io/service-name: web }}\naddressType: IPv4\nports: [{{ port: {port} }}]\n\
             endpoints: [{{ addresses: [\"{ip}\"] }}]\n"
        );
    }
    text
}
