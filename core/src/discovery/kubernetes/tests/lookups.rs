//! Which Service has an address, and where the pod runs.

use super::*;
use core::net::IpAddr;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

impl World {
    fn want_address(&mut self, text: &str) {
        self.kube.want(Want::Address(ip(text)), self.now);
        self.poll();
    }
}

fn not_found(name: &str) -> Value {
    json!({"kind": "Status", "code": 404, "reason": "NotFound", "details": {"name": name, "kind": "ipaddresses"}})
}

#[test]
fn an_address_leads_to_its_service_by_its_object() {
    let mut world = World::of(&[]);
    world.want_address("10.96.0.9");
    let parent = json!({"group": "", "resource": "services", "namespace": "bank", "name": "ledger"});
    world.answer(
        "/apis/networking.k8s.io/v1/ipaddresses/10.96.0.9",
        200,
        &json!({"spec": {"parentRef": parent}}),
    );
    assert_eq!(world.settles(), []);
    let mut ledger = service("ledger");
    ledger["metadata"]["namespace"] = json!("bank");
    world.list("/namespaces/bank/services?", &[ledger]);
    world.list("/namespaces/bank/endpointslices?", &[]);
    world.knows(&["bank/ledger:"]);
    let known = |name: &str| (name.to_string(), Outcome::Known);
    assert_eq!(world.settles(), [known("bank/ledger"), known("10.96.0.9")]);
}

#[test]
fn an_address_that_nobody_has_is_not_asked_for_again_for_ten_minutes() {
    let mut world = World::of(&[]);
    world.want_address("10.96.0.9");
    world.answer("ipaddresses/10.96.0.9", 404, &not_found("10.96.0.9"));
    world.want_address("10.96.0.9");
    let unknown = ("10.96.0.9".to_string(), Outcome::Unknown);
    assert_eq!(world.settles(), [unknown.clone(), unknown]);
    world.pass(Duration::from_secs(600));
    world.want_address("10.96.0.9");
    assert!(world.asks("v1/ipaddresses/10.96.0.9"));
}

#[test]
fn an_older_server_is_asked_as_it_can_be_and_none_is_asked_that_does_not_allow_it() {
    let mut world = World::of(&[]);
    world.want_address("10.96.0.9");
    world.answer("/v1/ipaddresses/", 404, &json!("404 page not found"));
    world.answer("/v1beta1/ipaddresses/", 404, &json!({"details": {}}));
    let mut ledger = service("ledger");
    ledger["metadata"]["namespace"] = json!("bank");
    world.list("/api/v1/services?limit=1&fieldSelector=spec.clusterIP%3D10.96.0.9", &[ledger]);
    assert!(world.asks("/namespaces/bank/services?fieldSelector=metadata.name%3Dledger"));

    for last in [400, 403] {
        let mut world = World::of(&[]);
        for index in 1..=6 {
            world.want_address(&format!("10.96.0.{index}"));
        }
        assert_eq!(world.open.values().filter(|path| path.contains("ipaddresses")).count(), 4);
        world.refuse("ipaddresses/10.96.0.1", 403);
        world.refuse("clusterIP%3D10.96.0.1", last);
        assert_eq!(world.settles().len(), 6, "{:?}", world.open);
        assert_eq!(world.open.len(), 1, "{:?}", world.open);
        let line = world.reports.last().unwrap();
        assert!(line.contains("cannot list services of the cluster: status 40"), "{line}");
        world.want_address("10.96.0.7");
        assert_eq!(world.settles(), [("10.96.0.7".to_string(), Outcome::Unknown)]);
    }
}

#[test]
fn the_pod_finds_its_zone_in_one_list_of_slices() {
    let mut world = World::with(true);
    world.connect();
    world.answer_group("v1");
    world.list("/endpointslices?limit", &[slice("web-1", "web", &["10.0.0.1"])]);
    assert_eq!(world.facts.here, None);
    world.time_until("/endpointslices?limit");
    world.list("/endpointslices?limit", &[slice("web-1", "web", &["10.0.0.1", "10.0.0.7"])]);
    let here = world.facts.here.clone().unwrap();
    assert_eq!((here.zone.as_deref(), here.node.as_deref()), (Some("z"), Some("node-10.0.0.7")));
    let told = "slices of the namespace tell where this pod runs: node \"node-10.0.0.7\" zone \"z\"";
    assert_eq!(world.reports.last().map(String::as_str), Some(told));
    world.pass(Duration::from_secs(100));
    assert!(!world.asks("endpointslices"));
    world.knows(&[]);
}

#[test]
fn a_pod_that_is_in_no_slice_stops_looking() {
    let mut world = World::with(true);
    world.connect();
    world.answer_group("v1");
    for _ in 0..3 {
        world.time_until("/endpointslices?limit");
        world.list("/endpointslices?limit", &[]);
    }
    world.pass(Duration::from_secs(200));
    assert!(!world.asks("endpointslices"));
}
