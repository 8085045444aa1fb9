//! Services that an API server tells of: their endpoints once somebody uses them.

use super::*;

impl World {
    fn kubernetes(&mut self, changes: impl IntoIterator<Item = Change>) -> bool {
        self.inventory.apply(Source::Kubernetes, changes.into_iter().collect()).is_some()
    }

    fn first_target(&self, name: &str) -> Arc<Target> {
        self.entry(name).targets[0].clone()
    }
}

fn web() -> Service {
    at("web", "10.96.0.7")
}

fn with_endpoints(of: &Service, addresses: &[&str]) -> [Change; 2] {
    [says_slice(slice(&of.name, "web-1", 80, addresses)), Change::Endpoints(of.name.clone(), true)]
}

#[test]
fn the_endpoints_of_a_service_are_pending_until_all_of_its_slices_are_here() {
    let mut world = world();
    world.kubernetes([says(web())]);
    assert_eq!(world.first_target("web").pending(), Some(&web().name));
    assert!(!world.first_target("web").is_settled());

    assert!(world.kubernetes(with_endpoints(&web(), &["10.0.0.1"])));
    assert!(world.first_target("web").is_settled());
    assert_eq!(endpoints(&world.first_target("web")), ["10.0.0.1:80"]);

    let slice = slice(&web().name, "web-1", 80, &[]);
    assert!(world.kubernetes([Change::Slice(key(&slice), None), Change::Endpoints(web().name, false)]));
    assert_eq!(world.first_target("web").pending(), Some(&web().name), "it was let go");
}

#[test]
fn a_service_of_which_the_api_server_knows_no_endpoint_has_none() {
    let mut world = world();
    world.environment([says(web())]);
    world.kubernetes([says(web()), Change::Endpoints(web().name, true)]);
    assert!(world.first_target("web").is_settled());
    assert_eq!(
        endpoints(&world.first_target("web")),
        [""; 0],
        "what the environment says counts for nothing"
    );

    world.kubernetes([gone("default", "web")]);
    assert_eq!(endpoints(&world.first_target("web")), ["10.96.0.7:80"], "now it does");
}

#[test]
fn another_name_of_a_service_waits_for_the_endpoints_of_that_service() {
    let mut world = world();
    let alias = Service {
        kind: crate::service::ServiceType::ExternalName,
        external_name: Some(text("web.default.svc.cluster.local")),
        ports: Vec::new(),
        ..service("default", "alias")
    };
    world.kubernetes([says(web()), says(alias)]);
    assert_eq!(world.first_target("alias").pending(), Some(&web().name));
    world.kubernetes(with_endpoints(&web(), &["10.0.0.1"]));
    assert_eq!(endpoints(&world.first_target("alias")), ["10.0.0.1:80"]);
}
