//! The API server does not answer, or not what one would like.

use super::*;

#[test]
fn what_is_known_stays_while_the_api_server_is_gone_and_is_watched_on_from_there() {
    let mut world = World::of(&[service("web")]);
    world.want("web");
    world.list("%3Dweb&limit", &[slice("web-1", "web", &["10.0.0.1"])]);
    world.event("%3Dweb&watch", "BOOKMARK", &json!({"metadata": {"resourceVersion": "77"}}));
    world.lose();
    world.pass(Duration::from_secs(60));
    world.knows(&["web: 10.0.0.1"]);
    assert_eq!(world.connects, 2, "the second is still being opened");
    world.connect();
    assert!(world.asks("resourceVersion=77") && world.asks("resourceVersion=10"));
    assert_eq!(world.open.len(), 2);
}

#[test]
fn where_slices_are_refused_the_services_of_the_namespace_are_for_others_to_decide() {
    let mut world = World::of(&[service("db"), service("web")]);
    world.want("web");
    world.refuse("%3Dweb&limit", 403);
    assert_eq!(world.settles(), [("shop/web".to_string(), Outcome::Unknown)]);
    world.knows(&[]);
    let refused = world.reports.last().unwrap();
    assert_eq!(
        refused,
        "the API server does not allow us to list endpointslices.discovery.k8s.io in namespace \"shop\" (403); the environment and DNS \
         are asked instead\nhint: kubectl apply -k deploy/rbac/namespaced, with `namespace: shop`"
    );
    world.pass(Duration::from_secs(60));
    world.list("%3Dweb&limit", &[slice("web-1", "web", &["10.0.0.1"])]);
    world.knows(&["db: pending", "web: 10.0.0.1"]);
    assert!(world.reports.last().unwrap().contains("allows us to list endpointslices"));
}

#[test]
fn a_wait_of_two_seconds_ends_at_the_next_source_and_the_service_comes_back_whole() {
    let mut world = World::of(&[service("web")]);
    world.want("web");
    world.pass(Duration::from_millis(1_999));
    assert_eq!(world.settles(), []);
    world.knows(&["web: pending"]);
    world.pass(Duration::from_millis(1));
    assert_eq!(world.settles(), [("shop/web".to_string(), Outcome::Unknown)]);
    world.knows(&[]);
    let batches = world.batches;
    world.list("%3Dweb&limit", &[slice("web-1", "web", &["10.0.0.1"])]);
    world.knows(&["web: 10.0.0.1"]);
    assert_eq!(world.batches, batches + 1);
}

#[test]
fn nobody_waits_for_an_api_server_that_is_gone() {
    let mut world = World::of(&[service("web"), service("db")]);
    world.lose();
    world.want("web");
    world.want("bank/ledger");
    let unknown = |name: &str| (name.to_string(), Outcome::Unknown);
    assert_eq!(world.settles(), [unknown("shop/web"), unknown("bank/ledger")]);
    world.knows(&["db: pending"]);
    assert_eq!(
        world.reports.last().unwrap(),
        "no connection to the API server: gone; what is known stays in force"
    );
}

#[test]
fn each_reason_for_which_there_is_no_connection_is_told_once() {
    let mut world = World::of(&[]);
    let reports = world.reports.len();
    world.lose();
    for reason in ["refused", "a bad certificate", "gone", "refused", "a bad certificate"] {
        world.pass(Duration::from_secs(10));
        world.kube.disconnected(reason, world.now);
        world.poll();
    }
    let told = ["gone", "refused", "a bad certificate"];
    let told =
        told.map(|reason| format!("no connection to the API server: {reason}; what is known stays in force"));
    assert_eq!(world.reports[reports..], told);
    (0..100).for_each(|number| {
        world.pass(Duration::from_secs(10));
        world.kube.disconnected(&format!("reason {number}"), world.now);
        world.poll();
    });
    assert_eq!(world.reports.len(), reports + 4, "{:?}", world.reports);
}

#[test]
fn a_source_that_never_reached_its_server_has_failed_once() {
    let mut world = World::new();
    world.kube.disconnected("refused", world.now);
    world.poll();
    assert!(world.kube.is_synced());
}

#[test]
fn a_server_that_wants_to_be_left_alone_is() {
    for status in [429, 503] {
        let mut world = World::new();
        world.connect();
        world.put_off("/services?limit", status, 7);
        let pause = world.time_until("/services?limit");
        assert!((Duration::from_secs(7)..Duration::from_secs(8)).contains(&pause), "{status}: {pause:?}");
        world.put_off("/services?limit", status, 100_000);
        let pause = world.time_until("/services?limit");
        assert!((Duration::from_secs(60)..Duration::from_secs(67)).contains(&pause), "{status}: {pause:?}");
    }
}

#[test]
fn what_fails_is_tried_again_after_a_second_and_every_ten_at_last_and_told_once() {
    let mut world = World::new();
    world.connect();
    for most in [1, 2, 4, 8, 10, 10] {
        world.refuse("/services?limit", 500);
        let pause = world.time_until("/services?limit");
        let most = Duration::from_secs(most);
        assert!((most / 2..=most + Duration::from_millis(100)).contains(&pause), "{pause:?} of {most:?}");
    }
    assert_eq!(world.reports[1..], ["cannot list services in namespace \"shop\": status 500"]);
    world.list("/services?limit", &[]);
    assert_eq!(world.reports[2..], ["can list services in namespace \"shop\" again"]);
}

#[test]
fn who_is_not_known_logs_in_again() {
    let mut world = World::of(&[service("web")]);
    world.refuse("services?watch", 401);
    assert!(!world.is_connected);
    assert!(world.reports.last().unwrap().contains("(401)"), "{:?}", world.reports);
    world.knows(&["web: pending"]);
    world.pass(Duration::from_secs(10));
    assert_eq!(world.connects, 2);
    world.connect();
    world.event("services?watch", "ADDED", &service("db"));
    assert_eq!(world.reports.last().unwrap(), "the API server answers");
    world.knows(&["db: pending", "web: pending"]);
}

#[test]
fn where_services_are_refused_there_are_none_and_one_line_says_so() {
    let mut world = World::new();
    world.connect();
    world.refuse("/services?limit", 403);
    assert!(world.kube.is_synced());
    world.want("web");
    assert_eq!(world.settles(), [("shop/web".to_string(), Outcome::Unknown)]);
    let pause = world.time_until("/services?limit");
    assert!((Duration::from_secs(30)..=Duration::from_secs(61)).contains(&pause), "{pause:?}");
    world.refuse("/services?limit", 403);
    let lines =
        world.reports.iter().filter(|report| report.contains("list services in namespace \"shop\" (403)"));
    assert_eq!(lines.count(), 1, "{:?}", world.reports);
}

#[test]
fn what_was_allowed_is_refused_in_earnest_after_half_a_minute() {
    let mut world = World::of(&[service("web")]);
    world.refuse("services?watch", 403);
    world.knows(&["web: pending"]);
    while world.now < Now(Duration::from_secs(20)) {
        world.time_until("/services?");
        let part = if world.asks("services?watch") { "services?watch" } else { "/services?limit" };
        world.refuse(part, 403);
    }
    world.knows(&["web: pending"]);
    for _ in 0..2 {
        world.time_until("/services?");
        let part = if world.asks("services?watch") { "services?watch" } else { "/services?limit" };
        world.refuse(part, 403);
    }
    world.knows(&[]);
    assert_eq!(world.reports.len(), 2, "the first answer, and the refusal: {:?}", world.reports);
}

#[test]
fn while_slices_are_refused_one_request_a_while_asks_for_all_of_them() {
    let services = [service("a"), service("b"), service("c")];
    let mut world = World::of(&services);
    ["a", "b", "c"].iter().for_each(|name| world.want(name));
    world.refuse("%3Da&limit", 403);
    world.refuse("%3Db&limit", 403);
    world.refuse("%3Dc&limit", 403);
    (0..5).for_each(|_| world.pass(Duration::from_secs(100)));
    let slices = world.open.values().filter(|path| path.contains("endpointslices"));
    assert_eq!(slices.count(), 1, "{:?}", world.open);
    world.list("%3Da&limit", &[slice("a-1", "a", &["10.0.0.1"])]);
    world.list("%3Db&limit", &[]);
    world.list("%3Dc&limit", &[]);
    world.knows(&["a: 10.0.0.1", "b:", "c:"]);
}

#[test]
fn a_watch_that_ends_goes_on_where_it_was_and_not_in_a_hurry() {
    let mut world = World::of(&[service("a")]);
    world.event("services?watch", "MODIFIED", &{
        let mut web = service("a");
        web["metadata"]["resourceVersion"] = json!("11");
        web
    });
    world.end("services?watch", End::Whole);
    assert!(world.time_until("resourceVersion=11") <= Duration::from_millis(1_100));
    world.end("services?watch", End::Cut);
    assert!(world.time_until("resourceVersion=11") <= Duration::from_secs(2));
}

#[test]
fn a_watch_that_is_never_answered_is_listed_again_in_the_end() {
    let mut world = World::of(&[service("a")]);
    for _ in 0..3 {
        world.time_until("services?watch");
        world.refuse("services?watch", 500);
    }
    world.time_until("/services?limit");
}

#[test]
fn an_answer_that_does_not_come_is_given_up() {
    let mut world = World::new();
    world.connect();
    let first = world.request("/services?limit");
    world.pass(Duration::from_secs(12));
    assert_ne!(world.request("/services?limit"), first);
    // A body that stalls.
    let id = world.request("/services?limit");
    world.kube.head(id, 200, None, world.now);
    world.kube.data(id, b"{", world.now);
    world.pass(Duration::from_secs(35));
    assert_ne!(world.request("/services?limit"), id);
    // A watch that the server does not end.
    world.list("/services?limit", &[]);
    let id = world.request("services?watch");
    world.kube.head(id, 200, None, world.now);
    world.pass(Duration::from_secs(630));
    assert_ne!(world.request("services?watch"), id);
}

#[test]
fn answers_to_what_nobody_asked_change_nothing() {
    let mut world = World::of(&[service("a")]);
    let id = RequestId(999);
    world.kube.head(id, 401, None, world.now);
    world.kube.data(id, b"x", world.now);
    world.kube.end(id, End::Whole, world.now);
    world.poll();
    assert!(world.is_connected);
    world.knows(&["a: pending"]);
}
