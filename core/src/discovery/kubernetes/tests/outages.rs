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
         are asked instead\nhint: kubectl apply -k deploy/rbac/namespaced -n shop"
    );
    world.pass(Duration::from_secs(60));
    world.list("%3Dweb&limit", &[slice("web-1", "web", &["10.0.0.1"])]);
    world.knows(&["db: pending", "web: 10.0.0.1"]);
    assert!(world.reports.last().unwrap().contains("allows us to list endpointslices"));
}
