use super::*;
use crate::authority::Authority;
use crate::endpoints::Here;
use crate::samples::{ip, port, service, slice, text};
use crate::service::{Locality, Service, Slice};
use crate::table::{NotFound, Target};

use core::net::SocketAddr;

use crate::address::Transport;

mod addresses;
mod history;
mod kubernetes;
mod names;

/// An inventory with both sources, at which things are said and looked up.
struct World {
    inventory: Inventory,
}

fn world() -> World {
    world_with(Settings::default())
}

fn world_with(settings: Settings) -> World {
    let sources = Source::ALL.into();
    World { inventory: Inventory::new(Settings { sources, ..settings }) }
}

impl World {
    fn manifests(&mut self, changes: impl IntoIterator<Item = Change>) -> bool {
        self.inventory.apply(Source::Manifests, changes.into_iter().collect()).is_some()
    }

    fn environment(&mut self, changes: impl IntoIterator<Item = Change>) -> bool {
        self.inventory.apply(Source::Environment, changes.into_iter().collect()).is_some()
    }

    fn entry(&self, name: &str) -> Arc<Entry> {
        self.inventory.table().by_host(name).unwrap_or_else(|| panic!("no {name}")).clone()
    }

    /// The cluster IPs of a Service, as text.
    fn cluster_ips(&self, name: &str) -> Vec<String> {
        self.entry(name).service.cluster_ips.iter().map(|ip| ip.to_string()).collect()
    }

    /// The Service that answers at an address over TCP.
    fn at(&self, destination: &str) -> Option<String> {
        let destination: SocketAddr = destination.parse().unwrap();
        let table = self.inventory.table();
        table.by_destination(Transport::Tcp, destination).map(|target| target.service.name.to_string())
    }

    fn rejections(&self) -> Vec<String> {
        let shown = |rejection: &Rejection| format!("{}: {}", rejection.object, rejection.reason);
        self.inventory.rejections().map(shown).collect()
    }
}

fn says(service: Service) -> Change {
    Change::Service(service.name.clone(), Some(Arc::new(service)))
}

fn says_slice(slice: Slice) -> Change {
    Change::Slice(key(&slice), Some(Arc::new(slice)))
}

fn gone(namespace: &str, name: &str) -> Change {
    Change::Service(ServiceName::new(namespace, name), None)
}

fn key(slice: &Slice) -> SliceKey {
    SliceKey {
        namespace: slice.service.namespace.clone(),
        name: slice.name.clone(),
        part: 0,
        from_endpoints: slice.from_endpoints,
    }
}

/// A Service with an address.
fn at(name: &str, address: &str) -> Service {
    Service { cluster_ips: [ip(address)].into(), ..service("default", name) }
}

fn endpoints(target: &Target) -> Vec<String> {
    target.endpoints.usable().iter().map(|endpoint| endpoint.addr.to_string()).collect()
}

#[test]
fn names_are_read_as_dns_does() {
    let mut world = world();
    world.manifests([says(service("default", "web")), says(service("shop", "cart"))]);
    let table = world.inventory.table();
    let lookup = |text: &str| {
        let authority = Authority::parse(text).unwrap();
        table.by_authority(&authority).map(|target| target.service.name.to_string())
    };
    for text in ["web", "WEB.Default", "web.default.svc:80", "web.default.SVC.cluster.Local."] {
        assert_eq!(lookup(text).as_deref(), Ok("default/web"), "{text}");
    }
    assert_eq!(lookup("cart.shop").as_deref(), Ok("shop/cart"));
    for text in
        ["cart", "web.default.pod", "web.default.svc.cluster.org", "web.default.svc.cluster.local.x", "x.y.z"]
    {
        assert_eq!(lookup(text), Err(NotFound::Service), "{text}");
    }
    assert_eq!(lookup("web:8080"), Err(NotFound::Port));
    assert_eq!(lookup("10.9.9.9"), Err(NotFound::Service));
    let vip = world.cluster_ips("web").remove(0);
    assert_eq!(lookup(&vip).as_deref(), Ok("default/web"));
}

#[test]
fn saying_the_same_again_changes_nothing() {
    let mut world = world();
    let web = service("default", "web");
    let all = || [says(web.clone()), says_slice(slice(&web.name, "web-1", 80, &["10.0.0.1"]))];
    assert!(world.manifests(all()));
    let before = world.entry("web");
    assert!(!world.manifests(all()));

    // Another slice with nothing in it is new, but nothing follows from it.
    assert!(!world.manifests([says_slice(slice(&web.name, "web-2", 80, &[]))]));
    assert!(Arc::ptr_eq(&before, &world.entry("web")));
}

#[test]
fn a_change_leaves_every_other_entry_and_port_as_it_was() {
    let mut world = world();
    let mut web = service("default", "web");
    web.ports = [port("http", 80), port("metrics", 9000)].into();
    world.manifests([says(web.clone()), says(service("default", "other"))]);
    let (before, other) = (world.entry("web"), world.entry("other"));

    let mut one = slice(&web.name, "web-1", 0, &["10.0.0.1"]);
    one.ports = [crate::samples::slice_port("http", 8080)].into();
    assert!(world.manifests([says_slice(one)]));
    let after = world.entry("web");
    assert_eq!(endpoints(&after.targets[0]), ["10.0.0.1:8080"]);
    assert!(Arc::ptr_eq(&before.targets[1], &after.targets[1]));
    assert!(Arc::ptr_eq(&other, &world.entry("other")));
}

#[test]
fn the_first_source_that_knows_a_service_decides_even_without_endpoints() {
    let mut world = world();
    world.environment([says(at("web", "10.96.0.7")), says(at("db", "10.96.0.8"))]);
    let known = world.entry("web");
    assert_eq!(
        (known.source, endpoints(&known.targets[0])),
        (Source::Environment, ["10.96.0.7:80".into()].into())
    );

    world.manifests([says(at("web", "10.96.0.7"))]);
    let decided = world.entry("web");
    assert_eq!((decided.source, decided.targets[0].endpoints.all().len()), (Source::Manifests, 0));
    assert_eq!(world.entry("db").source, Source::Environment);

    world.manifests([gone("default", "web")]);
    assert_eq!(world.entry("web").source, Source::Environment);
}

#[test]
fn a_source_that_is_not_asked_is_not_heard() {
    let mut inventory =
        Inventory::new(Settings { sources: [Source::Environment].into(), ..Settings::default() });
    assert!(inventory.apply(Source::Manifests, [says(service("default", "web"))].into()).is_none());
}

#[test]
fn a_port_without_a_protocol_takes_that_of_its_slices() {
    let mut world = world();
    let web = service("default", "web");
    let mut one = slice(&web.name, "web-1", 80, &[]);
    one.ports[0].app_protocol = Some(text("grpc"));
    world.manifests([says(web), says_slice(one)]);
    assert_eq!(world.entry("web").targets[0].port.app_protocol.as_deref(), Some("grpc"));
}

#[test]
fn an_endpoint_that_moves_between_zones_moves_the_traffic_and_keeps_its_identity() {
    let here = Here { node: Some(text("node-a")), zone: Some(text("zone-a")) };
    let mut world = world_with(Settings { here, ..Settings::default() });
    let web = Service { traffic_distribution: Some(text("PreferSameZone")), ..service("default", "web") };
    let zones = |zones: [&str; 2]| {
        let mut one = slice(&web.name, "web-1", 80, &["10.0.0.1", "10.0.0.2"]);
        for (endpoint, zone) in one.endpoints.iter_mut().zip(zones) {
            endpoint.place = Some(Arc::new(Locality { zone: Some(text(zone)), ..Locality::default() }));
        }
        says_slice(one)
    };
    world.manifests([says(web.clone()), zones(["zone-a", "zone-b"])]);
    let before = world.entry("web");
    assert_eq!(endpoints(&before.targets[0]), ["10.0.0.1:80"]);
    assert!(world.manifests([zones(["zone-b", "zone-a"])]));
    let after = world.entry("web");
    assert_eq!(endpoints(&after.targets[0]), ["10.0.0.2:80"]);
    for endpoint in after.targets[0].endpoints.all() {
        assert_eq!(before.targets[0].endpoints.at(endpoint.addr).map(|known| known.id), Some(endpoint.id));
    }
}

#[test]
fn a_service_for_this_node_only_says_so_where_nobody_knows_the_node() {
    let local = || Service { internal_traffic_local: true, ..service("default", "web") };
    let one = || says_slice(slice(&local().name, "web-1", 80, &["10.0.0.1"]));
    let mut nowhere = world();
    nowhere.manifests([says(local()), one()]);
    assert_eq!(endpoints(&nowhere.entry("web").targets[0]), [""; 0]);
    assert!(nowhere.rejections()[0].contains("the name of this node is not known"));

    let here = Here { node: Some(text("node-a")), zone: None };
    let mut somewhere = world_with(Settings { here, ..Settings::default() });
    somewhere.manifests([says(local()), one()]);
    assert_eq!(somewhere.rejections(), [""; 0]);

    let mut of_vip = world();
    of_vip.environment([says(Service { cluster_ips: [ip("10.96.0.7")].into(), ..local() })]);
    assert_eq!(endpoints(&of_vip.entry("web").targets[0]), ["10.96.0.7:80"], "who is behind it chooses");
}
