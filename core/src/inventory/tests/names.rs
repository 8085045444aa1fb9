//! Services that are reached by a name.

use alloc::string::ToString;

use proptest::prelude::*;

use super::*;
use crate::dns::answer::Record;
use crate::outcome::Failure;
use crate::service::{Service, ServiceType};
use crate::table::Unasked;

impl World {
    fn dns(&mut self, changes: impl IntoIterator<Item = Change>) -> bool {
        self.inventory.apply(Source::Dns, changes.into_iter().collect()).is_some()
    }

    fn target(&self, host: &str) -> Result<Arc<Target>, NotFound> {
        self.inventory.table().by_authority(&Authority::parse(host).unwrap()).cloned()
    }

    #[track_caller]
    fn check(&self, host: &str, expected: &[&str]) {
        let target = self.target(host).unwrap_or_else(|missing| panic!("{host}: {missing}"));
        assert_eq!(endpoints(&target), expected, "{host}");
    }

    #[track_caller]
    fn check_unasked(&self, host: &str, expected: Result<(&str, bool, u16), Failure>) {
        let expected = expected.map(|(host, absolute, port)| Unasked { host, absolute, port });
        assert_eq!(self.inventory.table().unasked(&Authority::parse(host).unwrap()), expected, "{host}");
    }
}

/// A Service that is another name for `external_name`, at ports 80 and 5432.
fn external(name: &str, external_name: &str) -> Service {
    Service { ports: [port("http", 80), port("db", 5432)].into(), ..portless(name, external_name) }
}

fn portless(name: &str, external_name: &str) -> Service {
    Service {
        kind: ServiceType::ExternalName,
        external_name: Some(text(external_name)),
        ports: Vec::new(),
        ..service("default", name)
    }
}

fn resolves(name: &str, addresses: &[&str]) -> Change {
    let records: Vec<Record> = addresses.iter().map(|address| Record::of(ip(address))).collect();
    Change::Name(text(name), (!records.is_empty()).then(|| records.into()))
}

#[test]
fn an_external_name_has_the_addresses_that_dns_says_at_each_of_its_ports() {
    let mut world = world();
    world.manifests([says(external("a", "x.example.com")), says(external("b", "x.example.com"))]);
    let unresolved = world.target("a").unwrap();
    assert_eq!((unresolved.name.as_deref(), unresolved.failure), (Some("x.example.com"), None));
    world.check("a", &[]);

    assert!(world.dns([resolves("x.example.com", &["192.0.2.1", "192.0.2.2"])]));
    world.check("a", &["192.0.2.1:80", "192.0.2.2:80"]);
    world.check("b:5432", &["192.0.2.1:5432", "192.0.2.2:5432"]);
    let before = world.target("a").unwrap().endpoints.all()[1].id;

    assert!(!world.dns([resolves("x.example.com", &["192.0.2.1", "192.0.2.2"])]));
    world.dns([resolves("x.example.com", &["192.0.2.2", "192.0.2.3"])]);
    let after = world.target("a").unwrap();
    assert_eq!(endpoints(&after), ["192.0.2.2:80", "192.0.2.3:80"]);
    assert_eq!(after.endpoints.all()[0].id, before, "it is the same endpoint");

    world.dns([resolves("x.example.com", &[])]);
    world.check("a", &[]);
}

#[test]
fn an_external_name_that_is_a_services_has_its_endpoints_and_follows_them() {
    let mut world = world();
    let web = service("shop", "web");
    world.manifests([
        says(external("alias", "web.shop.svc.cluster.local")),
        says(external("again", "alias.default.svc.cluster.local")),
    ]);
    assert_eq!(world.target("again").unwrap().name.as_deref(), Some("web.shop.svc.cluster.local"));

    world.manifests([says(web.clone()), says_slice(slice(&web.name, "web-1", 80, &["10.0.0.1"]))]);
    world.check("alias", &["10.0.0.1:80"]);
    world.check("again", &["10.0.0.1:80"]);
    world.check("again:5432", &[]);
    assert_eq!(world.target("again").unwrap().name, None, "DNS is not asked");
    assert_ne!(
        world.target("again").unwrap().endpoints.all()[0].id,
        world.target("alias").unwrap().endpoints.all()[0].id
    );

    world.manifests([says_slice(slice(&web.name, "web-1", 80, &["10.0.0.2"]))]);
    world.check("again", &["10.0.0.2:80"]);
    world.manifests([gone("shop", "web")]);
    assert_eq!(world.target("again").unwrap().name.as_deref(), Some("web.shop.svc.cluster.local"));
}

#[test]
fn what_dns_says_of_a_service_is_no_reason_not_to_ask_it_of_another_port() {
    let mut world = world();
    world.manifests([says(external("alias", "web.shop.svc.cluster.local"))]);
    world.dns([
        says(Service { headless: true, ..service("shop", "web") }),
        resolves("web.shop.svc.cluster.local", &["10.0.0.1"]),
    ]);
    world.check("web.shop", &["10.0.0.1:80"]);
    world.check("alias:5432", &["10.0.0.1:5432"]);
}

#[test]
fn external_names_in_a_circle_are_told_as_such_until_it_is_broken() {
    let mut world = world();
    world.manifests([
        says(external("a", "b.default.svc.cluster.local")),
        says(external("b", "a.default.svc.cluster.local")),
    ]);
    for name in ["a", "b"] {
        assert_eq!(world.target(name).unwrap().failure, Some(Failure::NameLoop), "{name}");
    }
    assert_eq!(world.rejections().len(), 2, "{:?}", world.rejections());
    let web = service("default", "b");
    world.manifests([says(web.clone()), says_slice(slice(&web.name, "b-1", 80, &["10.0.0.1"]))]);
    world.check("a", &["10.0.0.1:80"]);
    assert!(world.rejections().is_empty());
}

#[test]
fn an_external_name_that_looks_like_an_address_leads_nowhere() {
    let mut world = world();
    world.manifests([says(external("a", "10.0.0.1")), says(portless("b", "127.1"))]);
    world.dns([resolves("10.0.0.1", &["10.0.0.1"])]);
    let target = world.target("a").unwrap();
    assert_eq!((target.failure, &target.name), (Some(Failure::NameIsAddress), &None));
    world.check_unasked("b:9999", Err(Failure::NameIsAddress));
}

#[test]
fn addresses_of_this_pod_and_node_are_left_out_unless_the_service_wants_them() {
    let mut world = world();
    let mut trusting = external("b", "x.example.com");
    trusting.handling.allow_local_external_name = true;
    world.manifests([says(external("a", "x.example.com")), says(trusting)]);
    world.dns([resolves("x.example.com", &["127.0.0.1", "192.0.2.1"])]);
    world.check("a", &["192.0.2.1:80"]);
    world.check("b", &["127.0.0.1:80", "192.0.2.1:80"]);
    assert_eq!(world.target("a").unwrap().failure, None);

    world.dns([resolves("x.example.com", &["127.0.0.1"])]);
    assert_eq!(world.target("a").unwrap().failure, Some(Failure::NameProhibited));
    let told = r#"Service "default/a": name "x.example.com" leads to 127.0.0.1, a loopback address"#;
    assert_eq!(world.rejections(), [told]);
}

#[test]
fn srv_records_bring_their_own_ports_and_weights() {
    let mut world = world();
    world.manifests([says(external("a", "_http._tcp.x.example.com"))]);
    let records = [("192.0.2.1", 8080, 3), ("192.0.2.1", 9090, 1)];
    let records =
        records.map(|(address, port, weight)| Record { port: Some(port), weight, ..Record::of(ip(address)) });
    world.dns([Change::Name(text("_http._tcp.x.example.com"), Some(records.into()))]);
    let target = world.target("a").unwrap();
    let found: Vec<_> =
        target.endpoints.all().iter().map(|endpoint| (endpoint.addr.0.port(), endpoint.weight)).collect();
    assert_eq!(found, [(8080, 3), (9090, 1)]);
}

#[test]
fn a_service_that_dns_knows_by_one_address_is_that_address_and_serves_even_when_another_has_it() {
    let mut world = world();
    let dns = Service { cluster_ips: [ip("10.96.0.9")].into(), ..service("shop", "web") };
    world.dns([says(dns), resolves("web.shop.svc.cluster.local", &["10.96.0.9"])]);
    world.check("web.shop", &["10.96.0.9:80"]);
    assert_eq!(world.at("10.96.0.9:80").as_deref(), Some("shop/web"));

    world.manifests([says(at("other", "10.96.0.9"))]);
    world.check("web.shop", &["10.96.0.9:80"]);

    let second = Service { cluster_ips: [ip("10.96.0.9")].into(), ..service("shop", "second") };
    world.dns([says(second), resolves("second.shop.svc.cluster.local", &["10.96.0.9"])]);
    world.check("second.shop", &["10.96.0.9:80"]);
}

#[test]
fn another_name_of_a_service_leads_where_that_one_leads_and_no_further() {
    let mut world = world();
    let web = Service { internal_traffic_local: true, ..service("shop", "web") };
    world.manifests([
        says(external("alias", "web.shop.svc.cluster.local")),
        says(web.clone()),
        says_slice(slice(&web.name, "web-1", 80, &["10.0.0.1"])),
    ]);
    let target = world.target("alias").unwrap();
    assert_eq!((target.endpoints.all().len(), target.endpoints.usable().len()), (1, 0));
}

#[test]
fn a_source_that_is_better_takes_a_service_over_and_gives_it_back() {
    let mut world = world();
    let dns = Service { headless: true, ..service("shop", "web") };
    world.dns([says(dns), resolves("web.shop.svc.cluster.local", &["10.0.0.1", "10.0.0.2"])]);
    let before = world.target("web.shop").unwrap();

    let web = service("shop", "web");
    world.manifests([says(web.clone()), says_slice(slice(&web.name, "web-1", 80, &["10.0.0.2"]))]);
    let after = world.target("web.shop").unwrap();
    assert_eq!(endpoints(&after), ["10.0.0.2:80"]);
    assert_eq!(after.endpoints.all()[0].id, before.endpoints.all()[1].id);
    assert_eq!(world.entry("web.shop").source, Source::Manifests);

    world.manifests([gone("shop", "web")]);
    world.check("web.shop", &["10.0.0.1:80", "10.0.0.2:80"]);
}

#[test]
fn a_service_that_becomes_an_external_name_keeps_the_endpoints_that_stay() {
    let mut world = world();
    let web = service("default", "web");
    world.manifests([says(web.clone()), says_slice(slice(&web.name, "web-1", 80, &["10.0.0.1"]))]);
    let before = world.target("web").unwrap().endpoints.all()[0].id;
    world.dns([resolves("x.example.com", &["10.0.0.1"])]);
    world.manifests([says(external("web", "x.example.com"))]);
    assert_eq!(world.target("web").unwrap().endpoints.all()[0].id, before);
    world.manifests([says(web)]);
    assert_eq!(world.target("web").unwrap().endpoints.all()[0].id, before);
}

#[test]
fn a_host_that_only_dns_knows_is_found_by_its_own_name() {
    let mut world = world();
    world.check_unasked("Example.com:8080", Ok(("Example.com", false, 8080)));
    let host = Service {
        name: ServiceName::new("", "example.com"),
        ports: [port("", 8080)].into(),
        ..portless("", "example.com")
    };
    world.dns([says(host), resolves("example.com", &["192.0.2.1"])]);
    world.check("Example.com:8080", &["192.0.2.1:8080"]);
    world.check_unasked("example.com:8081", Ok(("example.com", false, 8081)));
    world.check_unasked("10.0.0.1", Err(Failure::UnknownDestination));
    world.check_unasked("127.1", Err(Failure::UnknownDestination));
}

#[test]
fn an_external_name_without_ports_stands_for_all_of_them() {
    let mut world = world();
    world.manifests([
        says(portless("a", "b.default.svc.cluster.local")),
        says(portless("b", "x.example.com")),
        says(portless("c", "web.shop.svc.cluster.local")),
        says(service("shop", "web")),
    ]);
    world.check_unasked("a:5432", Ok(("x.example.com", true, 5432)));
    assert_eq!(world.target("c").unwrap().service.name, ServiceName::new("default", "c"));
    world.check_unasked("c:81", Err(Failure::NoSuchPort));
    world.manifests([says(portless("b", "a.default.svc.cluster.local"))]);
    world.check_unasked("a:5432", Err(Failure::NameLoop));
}

#[test]
fn an_external_name_without_ports_is_a_service_of_its_own_at_those_that_were_asked_for() {
    let mut world = world();
    let mut a = portless("a", "x.example.com");
    a.handling.allow_local_external_name = true;
    world.manifests([says(a), says(portless("b", "web.shop.svc.cluster.local"))]);
    let host = Service {
        name: ServiceName::new("", "x.example.com"),
        ports: [port("", 80), port("", 443)].into(),
        ..portless("", "x.example.com")
    };
    world.dns([says(host), resolves("x.example.com", &["127.0.0.1"])]);
    world.check("a:443", &["127.0.0.1:443"]);
    assert_eq!(world.target("a").unwrap().service.name, ServiceName::new("default", "a"));
    assert_eq!(world.target("x.example.com").unwrap().failure, Some(Failure::NameProhibited));

    world.dns([says(Service { headless: true, ports: [port("", 5432)].into(), ..service("shop", "web") })]);
    world.dns([resolves("web.shop.svc.cluster.local", &["10.0.0.1"])]);
    world.check("b:5432", &["10.0.0.1:5432"]);
    world.dns([gone("", "x.example.com")]);
    world.check_unasked("a:443", Ok(("x.example.com", true, 443)));
}

#[test]
fn an_external_name_without_ports_is_asked_for_each_further_port_by_its_external_name() {
    let mut world = world();
    world.manifests([
        says(portless("a", "b.default.svc.cluster.local")),
        says(portless("b", "x.example.com")),
        says(portless("c", "db.shop.svc.cluster.local")),
        says(portless("d", "db")),
    ]);
    let host = |name: &str, ports: &[u16]| Service {
        name: ServiceName::new("", name),
        ports: ports.iter().map(|&number| port("", number)).collect(),
        ..portless("", name)
    };
    world.dns([says(host("x.example.com", &[80])), resolves("x.example.com", &["192.0.2.1"])]);
    world.check("a", &["192.0.2.1:80"]);
    for name in ["a:443", "b:443"] {
        world.check_unasked(name, Ok(("x.example.com", true, 443)));
    }
    world.dns([says(host("x.example.com", &[80, 443]))]);
    world.check("a:443", &["192.0.2.1:443"]);
    assert_eq!(world.target("a:443").unwrap().service.name, ServiceName::new("default", "a"));

    // What DNS says is an alias is served under itself, whatever its name looks like.
    world.dns([
        says(host("db.shop.svc.cluster.local", &[5432])),
        resolves("db.shop.svc.cluster.local", &["192.0.2.2"]),
    ]);
    world.check("c:5432", &["192.0.2.2:5432"]);
    assert_eq!(world.target("c:5432").unwrap().service.name, ServiceName::new("default", "c"));
    world.check_unasked("c:5433", Ok(("db.shop.svc.cluster.local", true, 5433)));

    world.manifests([says(service("default", "db"))]);
    world.check_unasked("d", Ok(("db", true, 80)));
}

#[test]
fn external_names_of_sixteen_services_are_followed_and_more_are_too_many_but_no_circle() {
    let mut world = world();
    let next = |number: usize| match number {
        16 => "x.example.com".to_string(),
        _ => alloc::format!("s{}.default.svc.cluster.local", number + 1),
    };
    world.manifests((0..=16).map(|number| says(external(&alloc::format!("s{number}"), &next(number)))));
    world.dns([resolves("x.example.com", &["192.0.2.1"])]);
    world.check("s1", &["192.0.2.1:80"]);
    world.check("s16", &["192.0.2.1:80"]);
    world.manifests([
        says(external("s16", "s17.default.svc.cluster.local")),
        says(external("s17", "x.example.com")),
    ]);
    assert_eq!(world.target("s0").unwrap().failure, Some(Failure::NameFailed));
    world.manifests([
        says(portless("p", "q.default.svc.cluster.local")),
        says(portless("q", "p.default.svc.cluster.local")),
    ]);
    world.check_unasked("p", Err(Failure::NameLoop));
}

#[test]
fn two_names_with_one_address_are_no_conflict() {
    let mut world = world();
    let found = |name| Service { cluster_ips: [ip("10.96.0.9")].into(), ..service("shop", name) };
    for name in ["one", "two"] {
        world.dns([
            says(found(name)),
            resolves(&alloc::format!("{name}.shop.svc.cluster.local"), &["10.96.0.9"]),
        ]);
        world.check(&alloc::format!("{name}.shop"), &["10.96.0.9:80"]);
    }
    assert_eq!(world.rejections(), [""; 0]);

    // Nor with what is written down, which goes before: its own address, and that of an endpoint.
    world.manifests([says(at("written", "10.96.0.9"))]);
    assert_eq!(world.at("10.96.0.9:80").as_deref(), Some("default/written"));
    world.check("one.shop", &["10.96.0.9:80"]);
    let web = service("shop", "web");
    world.dns([
        says(Service { cluster_ips: [ip("10.0.0.1")].into(), ..service("shop", "pod") }),
        resolves("pod.shop.svc.cluster.local", &["10.0.0.1"]),
    ]);
    world.manifests([says(web.clone()), says_slice(slice(&web.name, "web-1", 80, &["10.0.0.1"]))]);
    world.check("web.shop", &["10.0.0.1:80"]);
    assert_eq!(world.rejections(), [""; 0]);
    assert_eq!(endpoints(&world.target("one.shop").unwrap()), endpoints(&world.target("two.shop").unwrap()));
}

#[test]
fn a_priority_of_srv_records_is_left_for_the_next_where_none_of_it_may_be_used() {
    let mut world = world();
    world.manifests([says(external("a", "_http._tcp.x.example.com"))]);
    let record = |address, priority| Record { port: Some(8080), priority, ..Record::of(ip(address)) };
    let mut says = |records: &[Record]| {
        world.dns([Change::Name(text("_http._tcp.x.example.com"), Some(records.into()))]);
        endpoints(&world.target("a").unwrap())
    };
    assert_eq!(says(&[record("192.0.2.1", 10), record("192.0.2.2", 20)]), ["192.0.2.1:8080"]);
    assert_eq!(says(&[record("127.0.0.1", 10), record("192.0.2.2", 20)]), ["192.0.2.2:8080"]);
}

#[test]
fn of_hosts_that_clients_choose_no_more_are_told_than_agreed() {
    let mut world = world();
    for number in 0..200 {
        let name = alloc::format!("n{number}.example.com");
        let host = Service {
            name: ServiceName::new("", name.as_str()),
            ports: [port("", 80)].into(),
            ..portless("", &name)
        };
        world.dns([says(host), resolves(&name, &["127.0.0.1"])]);
        assert_eq!(world.target(&name).unwrap().failure, Some(Failure::NameProhibited));
    }
    assert_eq!(world.rejections().len(), 64);
    world.manifests([says(external("a", "n1.example.com"))]);
    assert_eq!(world.rejections().len(), 65, "what is written down is always told");
}

#[test]
fn only_what_is_written_down_has_a_loopback_vip() {
    let mut world = world_with(Settings { loopback_vips: LoopbackVips::On, ..Settings::default() });
    world.dns([says(Service { headless: true, ..service("shop", "web") })]);
    world.dns([resolves("web.shop.svc.cluster.local", &["10.0.0.1", "10.0.0.2"])]);
    assert_eq!(world.entry("web.shop").loopback_vip, None);
    world.manifests([says(service("shop", "web"))]);
    assert!(world.entry("web.shop").loopback_vip.is_some());
}

/// What requests name at the endpoints of `host`.
fn authority(world: &World, host: &str) -> Option<String> {
    world.target(host).unwrap().rewrite.as_ref()?.authority.as_deref().map(ToString::to_string)
}

#[test]
fn who_is_reached_by_another_name_is_asked_by_the_last_one_of_the_chain() {
    let mut world = world();
    world.manifests([
        says(external("a", "x.example.com")),
        says(external("b", "a.default.svc.cluster.local")),
        says(external("c", "web.shop.svc.cluster.local")),
        says(portless("d", "web.shop.svc.cluster.local")),
        says(service("shop", "web")),
    ]);
    world.dns([resolves("x.example.com", &["192.0.2.1"])]);
    for (host, expected) in [
        ("a", Some("x.example.com")),
        ("b", Some("x.example.com")),
        ("b:5432", Some("x.example.com:5432")),
        ("c", Some("web.shop.svc.cluster.local")),
        ("d", Some("web.shop.svc.cluster.local")),
        ("web.shop", None),
    ] {
        assert_eq!(authority(&world, host).as_deref(), expected, "{host}");
    }
    let host = Service {
        name: ServiceName::new("", "db"),
        ports: [port("", 80)].into(),
        ..portless("", "db.example.com")
    };
    world.dns([says(host), resolves("db.example.com", &["192.0.2.1"])]);
    assert_eq!(authority(&world, "db"), None, "clients say what it is called");
}

#[test]
fn a_named_port_of_a_service_that_the_table_knows_needs_no_dns() {
    let mut world = world();
    let mut web = service("shop", "web");
    web.ports = [port("http", 8080), port("metrics", 9000)].into();
    world.manifests([says(web)]);
    assert_eq!(world.target("_metrics._tcp.web.shop").unwrap().port.port, 9000);
    assert_eq!(world.target("_http._tcp.web.shop.svc.cluster.local:99").unwrap().port.port, 8080);
    for host in ["_grpc._tcp.web.shop", "_http._udp.web.shop"] {
        assert_eq!(world.target(host), Err(NotFound::Port), "{host}");
        world.check_unasked(host, Err(Failure::NoSuchPort));
    }
    world.check_unasked("_http._tcp.other.shop", Ok(("_http._tcp.other.shop", false, 80)));
}

/// The facts of four Services, each with endpoints of its own or another name, and of two names.
#[derive(Clone, Debug)]
enum Step {
    Own(usize, u8),
    External(usize, usize),
    Gone(usize),
    Resolve(usize, Vec<u8>),
}

const NAMES: [&str; 6] = [
    "a.default.svc.cluster.local",
    "b.default.svc.cluster.local",
    "c.default.svc.cluster.local",
    "d.default.svc.cluster.local",
    "x.example.com",
    "y.example.com",
];
const SERVICES: [&str; 4] = ["a", "b", "c", "d"];

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..4usize, 1..4u8).prop_map(|(which, last)| Step::Own(which, last)),
        (0..4usize, 0..6usize).prop_map(|(which, name)| Step::External(which, name)),
        (0..4usize).prop_map(Step::Gone),
        (0..6usize, prop::collection::vec(1..5u8, 0..3)).prop_map(|(name, lasts)| Step::Resolve(name, lasts)),
    ]
}

/// Works out each Service anew from everything that is known.
#[derive(Default)]
struct Model {
    services: [Option<Step>; 4],
    names: [Vec<u8>; 6],
}

impl Model {
    fn learn(&mut self, step: &Step) {
        match step {
            Step::Own(which, _) | Step::External(which, _) => self.services[*which] = Some(step.clone()),
            Step::Gone(which) => self.services[*which] = None,
            Step::Resolve(name, lasts) => self.names[*name] = lasts.clone(),
        }
    }

    fn expected(&self, which: usize) -> Result<Vec<String>, Failure> {
        let (mut at, mut hops) = (which, 0);
        let mut lasts = loop {
            let known = if at < 4 { self.services[at].clone() } else { None };
            match known {
                Some(Step::Own(_, last)) => break vec![last],
                Some(Step::External(_, _)) if hops == 8 => return Err(Failure::NameLoop),
                Some(Step::External(_, name)) => (at, hops) = (name, hops + 1),
                Some(Step::Gone(_) | Step::Resolve(..)) | None => break self.names[at].clone(),
            }
        };
        lasts.sort_unstable();
        lasts.dedup();
        Ok(lasts.iter().map(|last| format!("10.0.0.{last}:80")).collect())
    }
}

impl World {
    fn take(&mut self, step: &Step) {
        match step {
            Step::Own(which, last) => {
                let own = service("default", SERVICES[*which]);
                let address = format!("10.0.0.{last}");
                let slice = slice(&own.name, SERVICES[*which], 80, &[&address]);
                self.manifests([says(own), says_slice(slice)]);
            }
            Step::External(which, name) => {
                let external = external(SERVICES[*which], NAMES[*name]);
                self.manifests([says(Service { ports: [port("", 80)].into(), ..external })]);
            }
            Step::Gone(which) => drop(self.manifests([gone("default", SERVICES[*which])])),
            Step::Resolve(name, lasts) => {
                let addresses: Vec<String> = lasts.iter().map(|last| format!("10.0.0.{last}")).collect();
                let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
                self.dns([resolves(NAMES[*name], &addresses)]);
            }
        }
    }
}

proptest! {
    #[test]
    fn every_chain_of_names_ends_where_the_facts_say_after_every_step(steps in prop::collection::vec(step(), 1..40)) {
        let (mut model, mut world) = (Model::default(), world());
        for step in steps {
            model.learn(&step);
            world.take(&step);
            for (which, name) in SERVICES.iter().enumerate() {
                let target = world.target(name).ok();
                prop_assert_eq!(target.is_some(), model.services[which].is_some());
                let Some(target) = target else { continue };
                match model.expected(which) {
                    Ok(expected) => prop_assert_eq!((endpoints(&target), target.failure), (expected, None), "{}", name),
                    Err(failure) => prop_assert_eq!(target.failure, Some(failure), "{}", name),
                }
            }
        }
    }
}
