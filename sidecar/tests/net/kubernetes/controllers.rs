//! Endpoints as the real controllers write them, of pods whose named target port has two numbers.

use std::collections::BTreeSet;
use std::net::{IpAddr, TcpStream};

use super::*;

#[test]
fn slices_that_the_controller_splits_by_port_and_family_are_merged() {
    isolated(|| {
        let world = start(&[], "RequireDualStack");
        world.has(&endpoints(0..PODS, &[v4, v6]));
        let slices = world.plane.kubectl(&[
            "get",
            "endpointslices",
            "-l",
            "kubernetes.io/service-name=web",
            "-o",
            "name",
        ]);
        assert!(slices.lines().count() >= 6, "a hundred in each, of one port and family: {slices}");
        let gone = ["delete", "pods", "-l", "tenth=0", "--force", "--grace-period=0", "--wait=false"];
        world.plane.kubectl(&gone);
        let left = (0..PODS).filter(|number| number % 10 != 0);
        world.has(&endpoints(left, &[v4, v6]));
        insta::assert_snapshot!(world.told());
    });
}

#[test]
fn so_are_those_of_v1beta1_where_there_is_no_other_version() {
    isolated(|| {
        let world = start(&["--runtime-config=discovery.k8s.io/v1=false"], "SingleStack");
        world.has(&endpoints(0..PODS, &[v4]));
        insta::assert_snapshot!(world.told());
    });
}

#[test]
fn where_there_are_no_slices_the_subsets_of_endpoints_are_merged() {
    isolated(|| {
        let none = ["--runtime-config=discovery.k8s.io/v1=false,discovery.k8s.io/v1beta1=false"];
        let world = start(&none, "SingleStack");
        world.has(&endpoints(0..PODS, &[v4]));
        insta::assert_snapshot!(world.told());
    });
}

/// An endpoint as `/services` shows it: address, port, and whether it is ready.
type Shown = (IpAddr, u16, bool);

fn start(options: &[&str], families: &str) -> World {
    let service = format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{ name: web }}\nspec: {{ ipFamilyPolicy: {families}, \
         selector: {{ app: web }}, ports: [{{ port: 8080, targetPort: http }}] }}\n"
    );
    let objects = ["apiVersion: v1\nkind: Node\nmetadata: { name: node }\n", &service];
    let world = World::start(Setup { options, objects: &objects, ..Setup::default() });
    let pods: Vec<String> = (0..PODS).map(pod).collect();
    let pods = pods.join("---\n");
    world.plane.apply(&pods);
    world.plane.replace_status(&pods);
    world
}

impl World {
    /// Waits until these are the endpoints of `web`.
    fn has(&self, expected: &BTreeSet<Shown>) {
        drop(TcpStream::connect(WEB)); // it is in use by that
        let mut seen = BTreeSet::new();
        within(Duration::from_secs(20), "all pods are known", || {
            seen = self.shown();
            (seen == *expected).then_some(())
        });
    }

    fn shown(&self) -> BTreeSet<Shown> {
        let document = self.sidecar.admin("/services?namespace=default&name=web");
        let document: serde_json::Value = serde_json::from_str(&document).expect("JSON");
        let endpoints = document["services"][0]["endpoints"].as_array().cloned().unwrap_or_default();
        let shown = endpoints.iter().map(|endpoint| {
            let address = endpoint["address"].as_str().and_then(|address| address.parse().ok());
            let port = endpoint["port"].as_u64().and_then(|port| u16::try_from(port).ok());
            (address.expect("an address"), port.expect("a port"), endpoint["ready"] == true)
        });
        shown.collect()
    }
}

fn endpoints(pods: impl Iterator<Item = u8> + Clone, families: &[fn(u8) -> IpAddr]) -> BTreeSet<Shown> {
    let of = |family: &fn(u8) -> IpAddr| {
        let family = *family;
        pods.clone().map(move |number| (family(number), port(number), is_ready(number)))
    };
    families.iter().flat_map(of).collect()
}

/// A pod that runs on the node, with its status.
fn pod(number: u8) -> String {
    let (port, v4, v6, tenth) = (port(number), v4(number), v6(number), number % 10);
    let ready = if is_ready(number) { "True" } else { "False" };
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{ name: web-{number}, labels: {{ app: web, tenth: '{tenth}' }} }}\n\
         spec:\n  nodeName: node\n  automountServiceAccountToken: false\n  \
         containers: [{{ name: web, image: web, ports: [{{ name: http, containerPort: {port} }}] }}]\n\
         status:\n  phase: Running\n  podIP: {v4}\n  podIPs: [{{ ip: {v4} }}, {{ ip: '{v6}' }}]\n  \
         conditions: [{{ type: Ready, status: '{ready}' }}]\n"
    )
}

/// More have the first than a slice takes.
fn port(number: u8) -> u16 {
    if number < 105 { 8080 } else { 9090 }
}

fn is_ready(number: u8) -> bool {
    number % 10 != 3
}

fn v4(number: u8) -> IpAddr {
    IpAddr::from([10, 2, 0, number])
}

fn v6(number: u8) -> IpAddr {
    IpAddr::from([0xfd00, 0x10, 2, 0, 0, 0, 0, u16::from(number)])
}

const PODS: u8 = 120;
