//! Discovery by a real API server (S-01 to S-06). `cargo xtask test cluster` runs these.

mod addresses;
mod answers;
mod controllers;
mod credentials;
mod latency;
mod outages;
mod permissions;
mod place;
mod updates;

use std::time::Duration;

use crate::support::*;

/// Three endpoints that tell their names, and a Service without selector in front of them.
struct World {
    plane: ControlPlane,
    sidecar: Sidecar,
    _endpoints: [Told; 3],
    pod: Pod,
}

/// The state of the cluster when the sidecar starts.
struct Setup<'a> {
    /// Of the API server.
    options: &'a [&'a str],
    objects: &'a [&'a str],
    /// Grants what the sidecar may read.
    permit: fn(&ControlPlane),
    /// The sidecar's environment, beside the address of the API server.
    variables: &'a [(&'a str, &'a str)],
    /// The sidecar's sources, best first.
    discovery: &'a str,
    manifests: &'a [String],
    /// Further arguments of the sidecar.
    arguments: &'a [&'a str],
}

impl Default for Setup<'_> {
    fn default() -> Self {
        Setup {
            options: &[],
            objects: &[],
            permit: permit_all,
            variables: &[],
            discovery: "kubernetes,env",
            manifests: &[],
            arguments: &[],
        }
    }
}

impl World {
    fn start(setup: Setup<'_>) -> World {
        let pod = Pod::here();
        let plane = ControlPlane::start(setup.options);
        (setup.permit)(&plane);
        setup.objects.iter().for_each(|object| plane.apply(object));
        let account = plane.service_account();
        let account = account.to_str().expect("our own name");
        let arguments = [
            "--discovery",
            setup.discovery,
            "--service-account",
            account,
            "--loopback-vips",
            "web.default=127.66.0.1,other.default=127.66.0.2",
        ];
        let endpoints = [("10.1.1.1:8080", "one"), ("10.1.1.2:8080", "two"), ("10.1.1.3:8080", "three")];
        let endpoints = pod.node.enter(|| endpoints.map(|(address, name)| Told::at(address, name)));
        let variables = [&ControlPlane::VARIABLES, setup.variables].concat();
        let arguments = [&arguments, setup.arguments].concat();
        let sidecar = Sidecar::start_in_pod(&variables, Manifests::of(setup.manifests), &arguments);
        World { plane, sidecar, _endpoints: endpoints, pod }
    }

    /// Waits until connections go to these, and to no others.
    fn goes_to(&self, expected: &[&str]) {
        self.goes_within(Duration::from_secs(10), expected);
    }

    fn goes_within(&self, limit: Duration, expected: &[&str]) {
        within(limit, &format!("connections go to {expected:?}"), || {
            let mut told: Vec<String> = (0..expected.len().max(1) * 2).map(|_| ask_where(WEB)).collect();
            told.sort_unstable();
            told.dedup();
            let mut expected = expected.to_vec();
            expected.sort_unstable();
            (told == expected).then_some(())
        });
    }

    /// Kills the API server, and waits until the sidecar has tried to reach it again.
    fn lose_api_server(&mut self) {
        self.plane.kill_api_server();
        self.says(RECONNECTED, "Connection refused");
    }

    /// Waits until the log has said so.
    fn says(&self, limit: Duration, text: &str) {
        within(limit, &format!("the log says: {text}"), || self.told().contains(text).then_some(()));
    }

    /// What the log says of the API server, without times, and without timeouts, which a slow machine has too.
    fn told(&self) -> String {
        let log = self.sidecar.log();
        let mut is_ours = false;
        let lines = log.lines().filter_map(|line| match line.split_once(' ') {
            Some((time, event)) if time.ends_with('Z') => {
                is_ours = event.contains(" sidecar::control::kubernetes") && !event.contains("timed out");
                is_ours.then_some(event.trim_start())
            }
            Some(_) | None => is_ours.then_some(line),
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// Within 10 s a connection is tried again, which takes at most 3 s.
const RECONNECTED: Duration = Duration::from_secs(15);

const WEB: &str = "127.66.0.1:8080";

const SERVICE: &str = "
apiVersion: v1
kind: Service
metadata: { name: web, annotations: { svcmesh.dev/load-balancer: rr } }
spec: { ports: [{ port: 8080, appProtocol: tcp }] }
";

/// What sidecars of a namespace are granted.
const RBAC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/rbac/namespaced");

/// What the documentation says.
fn permit_all(plane: &ControlPlane) {
    plane.kubectl(&["apply", "-k", RBAC]);
}

fn permit_nothing(_: &ControlPlane) {}

/// A slice of `web` with endpoints at these addresses.
fn slice_of(addresses: &[&str]) -> String {
    named_slice("web-1", addresses)
}

fn named_slice(name: &str, addresses: &[&str]) -> String {
    let (service, _) = name.split_once('-').expect("the Service and a number");
    let endpoints: Vec<String> = addresses
        .iter()
        .map(|address| format!("{{ addresses: [{address:?}], conditions: {{ ready: true }} }}"))
        .collect();
    format!(
        "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n\
         metadata: {{ name: {name}, labels: {{ kubernetes.io/service-name: {service} }} }}\n\
         addressType: IPv4\nports: [{{ name: '', port: 8080, protocol: TCP }}]\nendpoints: [{}]\n",
        endpoints.join(", ")
    )
}
