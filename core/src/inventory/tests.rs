use super::*;
use crate::authority::Authority;
use crate::samples::{ip, port, service, slice, text};
use crate::service::{Ingress, Kind};
use crate::table::{NotFound, Target};

use core::net::SocketAddr;

use crate::address::Transport;

mod history;

/// An inventory with both sources, at which things are said and looked up.
struct World {
    inventory: Inventory,
}

fn world() -> World {
    world_with(Settings::default())
}

fn world_with(settings: Settings) -> World {
    let sources = [Source::Manifests, Source::Environment].into();
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
fn a_service_is_found_by_every_name_and_address_it_has() {
    let mut world = world_with(Settings {
        node_addresses: [ip("192.168.0.1")].into(),
        loopback_vips: LoopbackVips::On,
        ..Settings::default()
    });
    let mut web = at("web", "10.96.0.7");
    web.kind = Kind::LoadBalancer;
    web.cluster_ips.push(ip("fd00:10:96::7"));
    web.external_ips = [ip("203.0.113.1")].into();
    let ingress = |address, proxied| Ingress { ip: Some(ip(address)), hostname: None, proxied };
    web.ingress = [ingress("203.0.113.2", false), ingress("203.0.113.3", true)].into();
    web.ports[0].node_port = Some(30080);
    world.manifests([says(web)]);

    let vip = world.entry("web").loopback_vip.expect("they are on");
    for destination in
        ["10.96.0.7:80", "[fd00:10:96::7]:80", "203.0.113.1:80", "203.0.113.2:80", "192.168.0.1:30080"]
    {
        assert_eq!(world.at(destination).as_deref(), Some("default/web"), "{destination}");
    }
    assert_eq!(world.at(&format!("{vip}:80")).as_deref(), Some("default/web"));
    assert_eq!(world.at("[::ffff:10.96.0.7]:80").as_deref(), Some("default/web"));
    for destination in ["10.96.0.7:81", "203.0.113.3:80", "192.168.0.1:80", "10.96.0.8:80"] {
        assert_eq!(world.at(destination), None, "{destination}");
    }
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
fn a_service_without_an_address_keeps_the_one_it_was_given() {
    let mut world = world();
    world.manifests([says(service("default", "web"))]);
    let given = world.cluster_ips("web");
    assert_eq!(given, ["10.110.69.121", "fd00:10:96::455"]);

    let mut more = service("default", "web");
    more.ports.push(port("metrics", 9000));
    world.manifests([says(more)]);
    assert_eq!(world.cluster_ips("web"), given);
    world.manifests([says(Service { headless: true, ..service("default", "web") })]);
    assert!(world.cluster_ips("web").is_empty());
}

#[test]
fn two_services_that_trade_their_addresses_in_one_update_both_get_them() {
    let mut world = world();
    world.manifests([says(at("a", "10.96.0.7")), says(at("b", "10.96.0.8"))]);
    world.manifests([says(at("a", "10.96.0.8")), says(at("b", "10.96.0.7"))]);
    assert_eq!(world.at("10.96.0.7:80").as_deref(), Some("default/b"));
    assert_eq!(world.at("10.96.0.8:80").as_deref(), Some("default/a"));
    assert!(world.rejections().is_empty());
}

#[test]
fn an_address_belongs_to_whoever_was_first_and_then_to_the_next() {
    let mut world = world();
    world.manifests([says(at("b", "10.96.0.7"))]);
    assert!(!world.manifests([says(at("a", "10.96.0.7"))]));
    assert_eq!(world.at("10.96.0.7:80").as_deref(), Some("default/b"));
    assert_eq!(
        world.rejections(),
        [
            "Service \"default/a\": spec.clusterIPs: Invalid value: [\"10.96.0.7\"]: failed to allocate IP 10.96.0.7: \
             provided IP is already allocated (to Service \"default/b\")"
        ]
    );
    assert!(world.inventory.table().by_host("a").is_none());

    assert!(world.manifests([gone("default", "b")]));
    assert_eq!(world.at("10.96.0.7:80").as_deref(), Some("default/a"));
    assert!(world.rejections().is_empty());
}

#[test]
fn a_full_range_leaves_out_the_last_by_name_and_serves_the_rest() {
    let service_cidrs = ["10.96.0.0/29".parse().unwrap()].into();
    let mut world = world_with(Settings { service_cidrs, ..Settings::default() });
    let mut names = ["f", "e", "d", "c", "b", "a"];
    world.manifests(names.map(|name| says(service("default", name))));
    assert_eq!(
        world.rejections(),
        ["Service \"default/f\": failed to allocate an IP: range 10.96.0.0/29 is full"]
    );

    // The order in which they are read changes nothing.
    let table = world.inventory.table();
    names.reverse();
    let service_cidrs = ["10.96.0.0/29".parse().unwrap()].into();
    let mut restarted = world_with(Settings { service_cidrs, ..Settings::default() });
    restarted.manifests(names.map(|name| says(service("default", name))));
    for name in &names[..5] {
        assert_eq!(table.by_host(name).map(|entry| &entry.service), Some(&restarted.entry(name).service));
    }
}

#[test]
fn an_endpoint_that_is_a_cluster_ip_is_refused_whichever_came_first() {
    let mut world = world();
    let web = at("web", "10.96.0.7");
    let slice = slice(&web.name, "web-1", 80, &["10.0.0.1", "10.96.0.8"]);
    world.manifests([says(web), says_slice(slice)]);
    assert_eq!(endpoints(&world.entry("web").targets[0]), ["10.0.0.1:80", "10.96.0.8:80"]);

    world.manifests([says(at("db", "10.96.0.8"))]);
    assert_eq!(endpoints(&world.entry("web").targets[0]), ["10.0.0.1:80"]);
    assert_eq!(
        world.rejections(),
        ["EndpointSlice \"default/web-1\": endpoint 10.96.0.8 is the cluster IP of Service \"default/db\""]
    );

    world.manifests([gone("default", "db")]);
    assert_eq!(endpoints(&world.entry("web").targets[0]), ["10.0.0.1:80", "10.96.0.8:80"]);
    assert!(world.rejections().is_empty());
}

#[test]
fn a_destination_stays_with_whoever_has_it_until_that_one_goes() {
    let mut world = world();
    let published =
        |name: &str| Service { external_ips: [ip("203.0.113.1")].into(), ..service("default", name) };
    world.manifests([says(published("b")), says(published("c"))]);
    world.manifests([says(published("a"))]);
    assert_eq!(world.at("203.0.113.1:80").as_deref(), Some("default/b"));
    assert_eq!(
        world.rejections(),
        [
            "Service \"default/a\": TCP port 80 of 203.0.113.1 leads to Service \"default/b\" already",
            "Service \"default/c\": TCP port 80 of 203.0.113.1 leads to Service \"default/b\" already",
        ]
    );
    // An update of the holder is not an opportunity for the others.
    world.manifests([says_slice(slice(&published("b").name, "b-1", 80, &["10.0.0.1"]))]);
    assert_eq!(world.at("203.0.113.1:80").as_deref(), Some("default/b"));

    world.manifests([says(service("default", "b"))]);
    assert_eq!(world.at("203.0.113.1:80").as_deref(), Some("default/a"));
    assert_eq!(world.rejections().len(), 1);
}

#[test]
fn a_cluster_ip_goes_before_an_external_ip_of_an_earlier_name() {
    let mut world = world();
    let hijacker = Service { external_ips: [ip("10.96.0.10")].into(), ..service("default", "a") };
    world.manifests([says(hijacker), says(at("dns", "10.96.0.10"))]);
    assert_eq!(world.at("10.96.0.10:80").as_deref(), Some("default/dns"));
}

#[test]
fn external_ips_of_other_namespaces_are_not_believed() {
    let foreign = || Service { external_ips: [ip("203.0.113.1")].into(), ..service("shop", "web") };
    let mut world = world();
    world.manifests([says(foreign())]);
    assert_eq!(world.at("203.0.113.1:80"), None);
    let mut trusting = world_with(Settings { external_ips_all: true, ..Settings::default() });
    trusting.manifests([says(foreign())]);
    assert_eq!(trusting.at("203.0.113.1:80").as_deref(), Some("shop/web"));
}

#[test]
fn a_fixed_loopback_vip_is_used_as_it_is_and_others_have_none() {
    let fixed = BTreeMap::from([(ServiceName::new("default", "web"), "127.66.3.4".parse().unwrap())]);
    let mut world = world_with(Settings {
        loopback_vips: LoopbackVips::Fixed(fixed),
        app_ports: [8080, 80].into(),
        ..Settings::default()
    });
    world.manifests([says(service("default", "web")), says(service("default", "db"))]);
    let web = world.entry("web");
    assert_eq!((web.loopback_vip, web.skipped_ports.as_slice()), (Some(ip("127.66.3.4")), [80].as_slice()));
    let db = world.entry("db");
    assert_eq!((db.loopback_vip, db.skipped_ports.as_slice()), (None, [].as_slice()));

    world.manifests([gone("default", "web")]);
    world.manifests([says(service("default", "web"))]);
    assert_eq!(world.at("127.66.3.4:80").as_deref(), Some("default/web"));
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
