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
        assert!(line.contains("cannot list services of the cluster by address: status 40"), "{line}");
        assert_eq!(line.contains("hint: kubectl apply -k deploy/rbac/cluster-lookup"), last == 403, "{line}");
    }
}

#[test]
fn without_permission_nothing_is_looked_up_for_ten_minutes_and_one_line_tells() {
    let mut world = World::of(&[]);
    let refuse = |world: &mut World, ip: &str| {
        world.refuse(&format!("ipaddresses/{ip}"), 403);
        world.refuse(&format!("clusterIP%3D{ip}"), 403);
    };
    world.want_address("10.96.0.1");
    refuse(&mut world, "10.96.0.1");
    for second in 0..599 {
        world.want_address(&format!("10.96.{}.{}", second / 250, second % 250));
        world.pass(Duration::from_secs(1));
        assert!(!world.asks("10.96."), "{:?}", world.open);
    }
    assert!(world.settles().iter().all(|(_, outcome)| *outcome == Outcome::Unknown));
    world.pass(Duration::from_secs(1));
    world.want_address("10.96.0.2");
    refuse(&mut world, "10.96.0.2");
    let told = world.reports.iter().filter(|line| line.contains("by address")).count();
    assert_eq!(told, 1, "{:?}", world.reports);
}

#[test]
fn a_flood_of_addresses_is_looked_up_one_a_second_and_each_in_its_turn() {
    let mut world = World::of(&[]);
    let mut asked = BTreeSet::new();
    let mut answer = |world: &mut World| {
        while let Some(path) = world.open.values().find(|path| path.contains("ipaddresses/")).cloned() {
            world.answer(&path, 404, &not_found("x"));
            asked.insert(path);
        }
        asked.len()
    };
    for number in 0..50 {
        world.want_address(&format!("10.200.0.{number}"));
        answer(&mut world);
    }
    assert_eq!(answer(&mut world), 32);
    assert_eq!(world.wake.map(|wake| wake.since(world.now)), Some(Duration::from_secs(1)));
    world.want_address("10.250.0.1"); // behind 18
    for number in 0..60_u32 {
        world.want_address(&format!("10.1.{}.{}", number / 250, number % 250));
        world.pass(Duration::from_millis(500));
        answer(&mut world);
    }
    assert_eq!(answer(&mut world), 62);
    assert!(asked.iter().any(|path| path.ends_with("/10.250.0.1")));
}

#[test]
fn an_address_of_a_known_service_is_not_looked_up_for_each_connection_to_a_port_that_it_does_not_serve() {
    let mut world = World::of(&[service("web")]);
    world.want_address("10.96.0.1");
    let parent = json!({"resource": "services", "namespace": "shop", "name": "web"});
    world.answer("ipaddresses/10.96.0.1", 200, &json!({"spec": {"parentRef": parent}}));
    world.list("/endpointslices?", &[]);
    let known = |name: &str| (name.to_string(), Outcome::Known);
    assert_eq!(world.settles(), [known("shop/web"), known("10.96.0.1")]);
    world.want_address("10.96.0.1");
    assert!(!world.asks("ipaddresses"));
    world.pass(Duration::from_secs(601));
    world.want_address("10.96.0.1");
    assert!(world.asks("ipaddresses"), "by now it may be let go");
}

#[test]
fn a_lookup_that_was_cut_off_is_made_again_with_the_next_connection() {
    let mut world = World::of(&[]);
    world.want_address("10.96.0.9");
    let parent = json!({"resource": "services", "namespace": "bank", "name": "ledger"});
    world.answer("ipaddresses/10.96.0.9", 200, &json!({"spec": {"parentRef": parent}}));
    world.lose();
    let unknown = |name: &str| (name.to_string(), Outcome::Unknown);
    assert_eq!(world.settles(), [unknown("bank/ledger"), unknown("10.96.0.9")]);
    world.pass_silent(Duration::from_secs(30));
    world.connect();
    world.want_address("10.96.0.9");
    assert!(world.asks("ipaddresses/10.96.0.9"));
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
fn a_pod_that_may_not_list_slices_looks_again_without_a_word() {
    let mut world = World::with(true);
    world.connect();
    world.answer_group("v1");
    world.list("/services?limit", &[]);
    world.refuse("/endpointslices?limit", 403);
    assert_eq!(world.reports, ["the API server answers"]);
    assert!(world.time_until("/endpointslices?limit") >= Duration::from_secs(30));
    world.list("/endpointslices?limit", &[slice("web-1", "web", &["10.0.0.7"])]);
    assert!(world.facts.here.is_some());
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
