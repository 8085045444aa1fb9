//! The pod's node and zone, by which endpoints are chosen.

use super::*;

/// A Service for its own zone, with `one` in zone `a` and `two` in zone `b`.
const NEAR: &str = "
apiVersion: v1
kind: Service
metadata: { name: web, annotations: { svcmesh.dev/load-balancer: rr } }
spec: { trafficDistribution: PreferClose, ports: [{ port: 8080, appProtocol: tcp }] }
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: web-1, labels: { kubernetes.io/service-name: web } }
addressType: IPv4
ports: [{ port: 8080 }]
endpoints: [{ addresses: [10.1.1.1], zone: a }, { addresses: [10.1.1.2], zone: b }]
";

/// A slice of the API server with this pod in it. The pod's address is the API server's: the connection does not leave its namespace.
fn own_slice() -> String {
    let [(_, own), _] = ControlPlane::VARIABLES;
    format!(
        "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n\
         metadata: {{ name: own-1, labels: {{ kubernetes.io/service-name: own }} }}\n\
         addressType: IPv4\nports: [{{ name: '', port: 8080, protocol: TCP }}]\n\
         endpoints: [{{ addresses: [{own:?}], nodeName: node-b, zone: b }}]\n"
    )
}

fn setup<'a>(objects: &'a [&'a str], manifests: &'a [String]) -> Setup<'a> {
    Setup { objects, manifests, discovery: "manifests,kubernetes", ..Setup::default() }
}

#[test]
fn the_zone_of_the_pod_is_that_of_its_endpoint() {
    isolated(|| {
        let world = World::start(setup(&[&own_slice()], &[NEAR.into()]));
        world.goes_to(&["two"]);
        world.says(RECONNECTED, r#"tell where this pod runs: node "node-b" zone "b""#);
    });
}

#[test]
fn a_zone_that_a_flag_tells_stays() {
    isolated(|| {
        let world =
            World::start(Setup { arguments: &["--zone", "a"], ..setup(&[&own_slice()], &[NEAR.into()]) });
        world.says(RECONNECTED, "the API server answers");
        world.goes_to(&["one"]);
        assert!(!world.told().contains("this pod runs"), "{}", world.told());
    });
}
