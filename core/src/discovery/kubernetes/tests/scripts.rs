//! The API server answers.

use super::*;

#[test]
fn the_services_of_the_namespace_are_listed_and_watched_and_pending_until_somebody_wants_them() {
    let mut world = World::new();
    assert_eq!(world.connects, 1, "at once");
    assert!(!world.kube.is_synced());
    world.connect();
    world.answer_group("v1");
    assert!(world.asks("/api/v1/namespaces/shop/services?limit=500"));
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
