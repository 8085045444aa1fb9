//! The API server answers.

use super::*;

#[test]
fn the_services_of_the_namespace_are_listed_and_watched_and_pending_until_somebody_wants_them() {
    let mut world = World::new();
    assert_eq!(world.connects, 1, "at once");
    assert!(!world.kube.is_synced());
    world.connect();
    world.answer_group("v1");
    assert!(world.asks("/api/v1/namespaces/shop/services?limit=500&resourceVersion=0"));
    world.list("/services?limit", &[service("web"), service("db")]);
    world.knows(&["db: pending", "web: pending"]);
    assert!(world.kube.is_synced());
    assert_eq!(world.batches, 1);
    assert!(world.asks("services?watch=true&allowWatchBookmarks=true"));
    assert!(world.asks("resourceVersion=10"));
    assert_eq!(world.open.len(), 1, "no slices: {:?}", world.open);
}

#[test]
fn the_endpoints_of_a_service_are_known_all_at_once_when_somebody_wants_it() {
    let mut world = World::of(&[service("web"), service("db")]);
    world.want("web");
    assert_eq!(world.settles(), []);
    let two = [slice("web-1", "web", &["10.0.0.1"]), slice("web-2", "web", &["10.0.0.2"])];
    world.list("endpointslices?labelSelector=kubernetes.io%2Fservice-name%3Dweb&limit", &two);
    assert_eq!(world.settles(), [("shop/web".to_string(), Outcome::Known)]);
    world.knows(&["db: pending", "web: 10.0.0.1 10.0.0.2"]);
    world.want("web");
    assert_eq!(world.settles(), [("shop/web".to_string(), Outcome::Known)], "at once");
}

#[test]
fn what_changes_is_told_event_by_event() {
    let mut world = World::of(&[service("web")]);
    world.want("web");
    world.list("%3Dweb&limit", &[slice("web-1", "web", &["10.0.0.1"])]);
    world.event("%3Dweb&watch", "MODIFIED", &slice("web-1", "web", &["10.0.0.3"]));
    world.knows(&["web: 10.0.0.3"]);
    world.event("%3Dweb&watch", "ADDED", &slice("web-2", "web", &["10.0.0.4"]));
    world.knows(&["web: 10.0.0.3 10.0.0.4"]);
    world.event("%3Dweb&watch", "DELETED", &slice("web-1", "web", &["10.0.0.3"]));
    world.knows(&["web: 10.0.0.4"]);
    world.event("services?watch", "DELETED", &service("web"));
    world.knows(&[]);
    assert_eq!(world.facts.slices.len(), 0);
}

#[test]
fn a_list_comes_in_pages_and_counts_when_it_is_whole() {
    let mut world = World::new();
    world.connect();
    world.answer(
        "/services?limit",
        200,
        &json!({"kind": "ServiceList", "metadata": {"resourceVersion": "10", "continue": "more/"}, "items": [service("a")]}),
    );
    world.knows(&[]);
    assert!(!world.kube.is_synced());
    world.list("/services?limit=500&continue=more%2F", &[service("b")]);
    world.knows(&["a: pending", "b: pending"]);
}

#[test]
fn a_page_that_is_too_long_is_asked_for_in_smaller_ones() {
    let mut world = World::new();
    world.connect();
    let piece = alloc::vec![b' '; 1 << 20];
    for limit in ["limit=500", "limit=62", "limit=7"] {
        let id = world.request(limit);
        world.kube.head(id, 200, None, world.now);
        (0..17).for_each(|_| world.kube.data(id, &piece, world.now));
        world.poll();
    }
    world.list("limit=1", &[service("a")]);
    world.knows(&["a: pending"]);
}

#[test]
fn what_is_not_in_a_new_list_is_gone_in_the_same_breath() {
    let mut world = World::of(&[service("a"), service("b")]);
    world.refuse("services?watch", 410);
    let batches = world.batches;
    world.list("/services?limit", &[service("b"), service("c")]);
    world.knows(&["b: pending", "c: pending"]);
    assert_eq!(world.batches, batches + 1);
}

#[test]
fn only_a_first_list_may_be_older_than_the_store_and_none_of_a_service_by_its_name() {
    let mut world = World::of(&[service("web")]);
    world.want("web");
    world.want("bank/web");
    assert!(world.asks("%3Dweb&limit=500&resourceVersion=0"));
    assert!(world.asks("/bank/services?fieldSelector=metadata.name%3Dweb&limit=500"));
    assert!(!world.asks("/bank/services?fieldSelector=metadata.name%3Dweb&limit=500&resourceVersion=0"));
    world.refuse("services?watch", 410);
    assert!(world.asks("/shop/services?limit=500"));
    assert!(!world.asks("/shop/services?limit=500&resourceVersion=0"));
}

#[test]
fn a_version_that_is_too_old_is_told_in_the_middle_of_a_watch_too() {
    let mut world = World::of(&[service("a")]);
    world.event("services?watch", "ERROR", &json!({"kind": "Status", "code": 410}));
    assert!(world.asks("/services?limit"), "at once");
    world.list("/services?limit", &[]);
    world.event("services?watch", "ERROR", &json!({"kind": "Status", "code": 410}));
    assert!(!world.asks("/services?limit"), "not in circles");
    assert!(world.time_until("/services?limit") <= Duration::from_secs(10));
    assert_eq!(world.reports, ["the API server answers"], "it is ordinary");
}

#[test]
fn a_malformed_object_is_skipped_and_told_and_stays_what_it_was() {
    let mut world = World::of(&[service("a"), json!({"metadata": {"name": "bad"}, "spec": 7}), service("b")]);
    world.knows(&["a: pending", "b: pending"]);
    let rejections = world.kube.rejections();
    assert_eq!(rejections.len(), 1);
    assert_eq!(rejections[0].object, "Service \"shop/bad\"");
    assert!(rejections[0].reason.contains("invalid type"), "{}", rejections[0].reason);

    let mut port = service("a");
    port["spec"]["ports"] = json!([{"port": 70_000}]);
    world.event("services?watch", "MODIFIED", &port);
    world.knows(&["a: pending", "b: pending"]);
    assert_eq!(world.kube.rejections().len(), 2);
    world.event("services?watch", "MODIFIED", &service("a"));
    world.event("services?watch", "DELETED", &json!({"metadata": {"name": "bad"}}));
    assert_eq!(world.kube.rejections(), []);
}

#[test]
fn what_is_no_list_deletes_nothing() {
    for body in [json!({}), json!({"kind": "Status"}), json!({"kind": "ServiceList"}), json!([])] {
        let mut world = World::of(&[service("a")]);
        world.refuse("services?watch", 410);
        world.answer("/services?limit", 200, &body);
        world.knows(&["a: pending"]);
        assert!(world.time_until("/services?limit") <= Duration::from_secs(2));
    }
}

#[test]
fn what_nobody_has_used_for_ten_minutes_is_let_go() {
    let mut world = World::of(&[service("web")]);
    world.want("web");
    world.list("%3Dweb&limit", &[slice("web-1", "web", &["10.0.0.1"])]);
    world.pass(Duration::from_secs(300));
    world.kube.used(&named("web"), world.now);
    world.pass(Duration::from_secs(599));
    world.knows(&["web: 10.0.0.1"]);
    world.pass(Duration::from_secs(1));
    world.knows(&["web: pending"]);
    assert!(!world.asks("endpointslices"));
}

#[test]
fn a_service_of_another_namespace_is_watched_when_it_is_wanted_and_told_when_it_is_whole() {
    let mut world = World::of(&[]);
    world.want("bank/ledger");
    let mut ledger = service("ledger");
    ledger["metadata"]["namespace"] = json!("bank");
    world.list("/namespaces/bank/services?fieldSelector=metadata.name%3Dledger&limit", &[ledger]);
    world.knows(&[]);
    let mut of_ledger = slice("ledger-1", "ledger", &["10.0.0.9"]);
    of_ledger["metadata"]["namespace"] = json!("bank");
    world.list("/namespaces/bank/endpointslices?labelSelector", &[of_ledger]);
    world.knows(&["bank/ledger: 10.0.0.9"]);
    assert_eq!(world.settles(), [("bank/ledger".to_string(), Outcome::Known)]);
    world.pass(Duration::from_secs(601));
    world.knows(&[]);
    assert_eq!(world.facts.slices.len(), 0);
    assert_eq!(world.open.len(), 1, "{:?}", world.open);
}

#[test]
fn a_service_that_is_not_there_is_unknown_at_once_and_leaves_nothing_behind() {
    let mut world = World::of(&[service("web")]);
    world.want("nope");
    world.want("bank/nope");
    world.want("no.label/x&y");
    world.list("/namespaces/bank/services?fieldSelector", &[]);
    let unknown = |name: &str| (name.to_string(), Outcome::Unknown);
    let expected = [unknown("shop/nope"), unknown("no.label/x&y"), unknown("bank/nope")];
    assert_eq!(world.settles(), expected);
    assert_eq!(world.open.len(), 1, "{:?}", world.open);
    world.want("bank/nope");
    assert_eq!(world.settles(), [unknown("bank/nope")], "it is remembered");
    world.pass(Duration::from_secs(31));
    world.want("bank/nope");
    assert!(world.asks("/namespaces/bank/services"));
}

#[test]
fn an_external_name_needs_no_slices() {
    let mut alias = service("alias");
    alias["spec"] = json!({"type": "ExternalName", "externalName": "example.com"});
    let mut world = World::of(&[alias]);
    world.want("alias");
    assert_eq!(world.settles(), [("shop/alias".to_string(), Outcome::Known)]);
    world.knows(&["alias:"]);
    assert!(!world.asks("endpointslices"));
}

#[test]
fn older_forms_of_slices_are_read_where_that_is_all_there_is() {
    let mut world = World::new();
    world.connect();
    world.answer_group("v1beta1");
    world.list("/services?limit", &[service("web")]);
    world.want("web");
    world.list(
        "/apis/discovery.k8s.io/v1beta1/namespaces/shop/endpointslices",
        &[slice("s", "web", &["10.0.0.1"])],
    );
    world.knows(&["web: 10.0.0.1"]);
    assert!(world.reports.last().unwrap().contains("v1beta1 only"), "{:?}", world.reports);

    // The API server is another one now.
    world.lose();
    world.pass(Duration::from_secs(10));
    world.connect();
    world.refuse("/apis/discovery.k8s.io", 404);
    let endpoints = json!({"metadata": {"name": "web", "namespace": "shop"},
        "subsets": [{"addresses": [{"ip": "10.0.0.2"}, {"ip": "fd00::2"}], "ports": [{"port": 8080}]}]});
    world.list("/api/v1/namespaces/shop/endpoints?fieldSelector=metadata.name%3Dweb&limit", &[endpoints]);
    world.knows(&["web: 10.0.0.2 fd00::2"]);
    assert!(world.reports.last().unwrap().contains("no EndpointSlices"), "{:?}", world.reports);
}

#[test]
fn the_slices_of_all_are_watched_once_many_are_in_use_and_of_each_again_when_few_are() {
    let names: Vec<String> = (0..70).map(|index| format!("s{index:02}")).collect();
    let services: Vec<Value> = names.iter().map(|name| service(name)).collect();
    let slices: Vec<Value> =
        names.iter().map(|name| slice(&format!("{name}-1"), name, &["10.0.0.1"])).collect();
    let mut world = World::of(&services);
    for (name, slice) in names.iter().zip(&slices).take(60) {
        world.want(name);
        world.list(&format!("%3D{name}&limit"), core::slice::from_ref(slice));
    }
    assert_eq!(world.open.len(), 61);
    world.want("s60");
    world.list("/endpointslices?limit", &slices);
    assert_eq!(world.open.len(), 2, "{:?}", world.open);
    world.knows(
        &names
            .iter()
            .map(|name| format!("{name}: 10.0.0.1"))
            .collect::<Vec<_>>()
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>(),
    );
    let lets_go = |world: &mut World| {
        world.pass(Duration::from_secs(300));
        (0..2).for_each(|index| world.kube.used(&named(&names[index]), world.now));
        world.poll();
    };
    (0..3).for_each(|_| lets_go(&mut world));
    world.list("%3Ds00&limit", &slices[..1]);
    assert!(world.asks("/endpointslices?watch"), "until those of each are here");
    world.list("%3Ds01&limit", &slices[1..2]);
    assert!(!world.asks("/endpointslices?watch"), "{:?}", world.open);
    assert_eq!(world.facts.complete.len(), 2);
    assert_eq!(world.facts.slices.len(), 2);
}
