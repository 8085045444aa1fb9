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

#[test]
fn a_place_that_the_api_server_tells_counts_for_all_services_and_yields_to_the_operators() {
    let mut world =
        world_with(Settings { here: Here { node: Some(text("n1")), zone: None }, ..Settings::default() });
    let spread = |of: &Service, name: &str| {
        let mut spread = slice(&of.name, name, 80, &["10.0.0.1", "10.0.0.2"]);
        for (endpoint, at) in spread.endpoints.iter_mut().zip(["1", "2"]) {
            let part = |kind: &str| Some(text(&format!("{kind}{at}")));
            endpoint.place =
                Some(Arc::new(Locality { node: part("n"), zone: part("z"), ..Locality::default() }));
        }
        [says_slice(spread), Change::Endpoints(of.name.clone(), true)]
    };
    let near = Service { traffic_distribution: Some(text("PreferClose")), ..web() };
    let local = Service { internal_traffic_local: true, ..at("local", "10.96.0.8") };
    world.kubernetes([says(near.clone()), says(local.clone()), says(at("any", "10.96.0.9"))]);
    world.kubernetes(spread(&near, "web-1").into_iter().chain(spread(&local, "local-1")));
    let (any, both) = (world.entry("any"), ["10.0.0.1:80", "10.0.0.2:80"]);
    assert_eq!(endpoints(&world.first_target("web")), both);
    assert_eq!(endpoints(&world.first_target("local")), both[..1]);

    let here = Here { node: Some(text("n2")), zone: Some(text("z2")) };
    assert!(world.kubernetes([Change::Here(here.clone())]));
    assert_eq!(endpoints(&world.first_target("web")), both[1..], "in our zone");
    assert_eq!(endpoints(&world.first_target("local")), both[..1], "the operator has told the node");
    assert!(Arc::ptr_eq(&world.entry("any"), &any));
    assert!(!world.kubernetes([Change::Here(here)]), "nothing new");
}

#[test]
fn a_service_for_its_own_node_serves_once_the_node_is_known() {
    let mut world = world();
    let local = Service { internal_traffic_local: true, ..web() };
    let mut on_node = slice(&local.name, "web-1", 80, &["10.0.0.1"]);
    on_node.endpoints[0].place = Some(Arc::new(Locality { node: Some(text("n1")), ..Locality::default() }));
    world.kubernetes([says(local.clone()), says_slice(on_node), Change::Endpoints(local.name.clone(), true)]);
    assert_eq!(endpoints(&world.first_target("web")), [""; 0]);
    assert_eq!(world.rejections().len(), 1);
    world.kubernetes([Change::Here(Here { node: Some(text("n1")), zone: None })]);
    assert_eq!(endpoints(&world.first_target("web")), ["10.0.0.1:80"]);
    assert_eq!(world.rejections(), [""; 0]);
}
