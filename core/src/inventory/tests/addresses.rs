//! Which addresses a Service has, and where they lead.

use super::*;
use crate::hash::HashMap;
use crate::service::{IngressPoint, Service, ServiceType};

#[test]
fn a_service_is_found_by_every_name_and_address_it_has() {
    let mut world = world_with(Settings {
        node_addresses: [ip("192.168.0.1")].into(),
        loopback_vips: LoopbackVips::On,
        ..Settings::default()
    });
    let mut web = at("web", "10.96.0.7");
    web.kind = ServiceType::LoadBalancer;
    web.cluster_ips.push(ip("fd00:10:96::7"));
    web.external_ips = [ip("203.0.113.1")].into();
    let ingress = |address, proxied| IngressPoint { ip: Some(ip(address)), hostname: None, proxied };
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
fn the_environment_yields_an_address_that_another_source_gives_to_another_service() {
    let mut world = world();
    world.environment([says(at("a", "10.96.0.7"))]);
    world.manifests([says(at("b", "10.96.0.7"))]);
    assert_eq!(world.at("10.96.0.7:80").as_deref(), Some("default/b"));
    assert_eq!(world.rejections().len(), 1, "the one of the environment");
    world.manifests([says(at("a", "10.96.0.8"))]);
    assert_eq!(world.at("10.96.0.8:80").as_deref(), Some("default/a"));
    assert!(world.rejections().is_empty());
    world.manifests([gone("default", "a"), gone("default", "b")]);
    assert_eq!(world.at("10.96.0.7:80").as_deref(), Some("default/a"));
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
    let fixed = HashMap::from_iter([(ServiceName::new("default", "web"), "127.66.3.4".parse().unwrap())]);
    let mut world = world_with(Settings {
        loopback_vips: LoopbackVips::Fixed(fixed),
        app_ports: [8080, 80].into(),
        ..Settings::default()
    });
    world.manifests([says(service("default", "web")), says(service("default", "db"))]);
    let web = world.entry("web");
    assert_eq!((web.loopback_vip, web.skipped_ports.as_slice()), (Some(ip("127.66.3.4")), [80].as_slice()));
    assert_eq!(world.at("127.66.3.4:20080").as_deref(), Some("default/web"), "it is served at another port");
    let db = world.entry("db");
    assert_eq!((db.loopback_vip, db.skipped_ports.as_slice()), (None, [].as_slice()));

    world.manifests([gone("default", "web")]);
    world.manifests([says(service("default", "web"))]);
    assert_eq!(world.at("127.66.3.4:80").as_deref(), Some("default/web"));
}

#[test]
fn ports_that_may_not_be_listened_at_are_skipped_and_served_at_others() {
    let fixed = HashMap::from_iter([(ServiceName::new("default", "web"), "127.66.3.4".parse().unwrap())]);
    let mut world = world_with(Settings {
        loopback_vips: LoopbackVips::Fixed(fixed),
        app_ports: [20_443].into(),
        ports_from: 1024,
        ..Settings::default()
    });
    let mut web = service("default", "web");
    web.ports = [80, 443, 1023, 1024, 20_080].map(|number| port(&number.to_string(), number)).into();
    world.manifests([says(web), says(service("default", "other"))]);
    let web = world.entry("web");
    assert_eq!(web.skipped_ports, [80, 443, 1023]);
    assert_eq!(web.proxy_ports, [20_081, 20_444, 21_023], "neither a port of its own nor the application's");
    for at in [20_081, 20_444, 21_023, 1024, 20_080] {
        assert_eq!(world.at(&format!("127.66.3.4:{at}")).as_deref(), Some("default/web"), "{at}");
    }
    assert_eq!(world.at("127.66.3.4:20082"), None);
    let other = world.entry("other");
    assert!(other.skipped_ports.is_empty() && other.proxy_ports.is_empty(), "it has no such address");
}
