//! Connections to virtual IPs of another namespace, which is not watched.

use super::*;

/// A Service of another namespace.
const LEDGER: &str = "
apiVersion: v1
kind: Namespace
metadata: { name: bank }
---
apiVersion: v1
kind: Service
metadata: { name: ledger, namespace: bank }
spec: { clusterIP: 10.96.1.7, ports: [{ port: 8080, appProtocol: tcp }] }
";

const ADDRESS: &str = "10.96.1.7:8080";

const TRANSPARENT: &[&str] = &["--privileges", "transparent"];

const LOOKUP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/rbac/cluster-lookup");

/// Leaves the API group to the definition below.
const WITHOUT_NETWORKING: &[&str] = &[
    "--runtime-config=networking.k8s.io/v1=false,networking.k8s.io/v1beta1=false",
    "--disable-admission-plugins=DefaultIngressClass",
];

/// The objects of 1.33 and later that lead from an address to its Service, for a server that does not have them.
const ADDRESS_OBJECTS: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: ipaddresses.networking.k8s.io, annotations: { api-approved.kubernetes.io: 'unapproved, a test' } }
spec:
  group: networking.k8s.io
  names: { plural: ipaddresses, kind: IPAddress }
  scope: Cluster
  versions:
  - name: v1
    served: true
    storage: true
    schema: { openAPIV3Schema: { type: object, x-kubernetes-preserve-unknown-fields: true } }
";

const ADDRESS_OBJECT: &str = "
apiVersion: networking.k8s.io/v1
kind: IPAddress
metadata: { name: 10.96.1.7 }
spec: { parentRef: { group: '', resource: services, namespace: bank, name: ledger } }
";

/// What the documentation says of lookups of addresses, and of the namespace that they lead to.
fn permit_lookups(plane: &ControlPlane) {
    permit_all(plane);
    plane.kubectl(&["apply", "-k", LOOKUP]);
}

/// A pod whose connections are captured, on a node that answers at the virtual IP, as with kube-proxy.
fn captured(setup: Setup<'_>) -> (World, Told) {
    let world = World::start(Setup { arguments: TRANSPARENT, ..setup });
    init(&[TRANSPARENT, &["--inbound-port=off"]].concat()).succeeds();
    world.pod.node_also_is("10.96.1.7");
    let ledger = world.pod.node.enter(|| Told::at(ADDRESS, "ledger"));
    (world, ledger)
}

/// Connects until the log has said why addresses are not looked up, and ten times more.
fn passes_through(world: &World) {
    let told = "connections to addresses of no known Service pass through";
    within(RECONNECTED, "the log tells of the lookup", || {
        assert_eq!(ask_where(ADDRESS), "ledger");
        world.told().contains(told).then_some(())
    });
    for _ in 0..10 {
        assert_eq!(ask_where(ADDRESS), "ledger");
    }
    let passed = world.sidecar.measured("svcmesh_passed_through_total")[0];
    assert!(passed > 10, "{passed}");
}

#[test]
fn without_the_cluster_role_they_pass_through_and_one_line_tells() {
    isolated(|| {
        let (world, _ledger) = captured(Setup { objects: &[LEDGER], ..Setup::default() });
        passes_through(&world);
        insta::assert_snapshot!(world.told());
    });
}

#[test]
fn where_the_server_cannot_search_by_address_they_pass_through_and_one_line_tells() {
    isolated(|| {
        let (world, _ledger) =
            captured(Setup { objects: &[LEDGER], permit: permit_lookups, ..Setup::default() });
        passes_through(&world);
        insta::assert_snapshot!(world.told());
    });
}

#[test]
fn with_permission_they_are_balanced_from_the_second_on() {
    isolated(|| {
        let slice = named_slice("ledger-1", &["10.1.1.1", "10.1.1.2"]);
        let slice = slice.replace("metadata: { ", "metadata: { namespace: bank, ");
        let (world, _ledger) = captured(Setup {
            options: WITHOUT_NETWORKING,
            objects: &[LEDGER, &slice, ADDRESS_OBJECTS],
            permit: permit_lookups,
            ..Setup::default()
        });
        let role = world.plane.kubectl(&["kustomize", RBAC]);
        world.plane.apply(&role.replace("namespace: default", "namespace: bank"));
        within(RECONNECTED, "the server has such objects", || world.plane.try_apply(ADDRESS_OBJECT));
        assert_eq!(ask_where(ADDRESS), "ledger");
        within(RECONNECTED, "the Service is known", || {
            let mut told = [ask_where(ADDRESS), ask_where(ADDRESS)];
            told.sort_unstable();
            (told == ["one", "two"]).then_some(())
        });
        assert!(world.sidecar.admin("/services").contains("\"ledger\""));
    });
}
