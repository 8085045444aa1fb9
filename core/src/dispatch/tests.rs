use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::time::Duration;

use super::*;
use crate::dns::answer::Record;
use crate::inventory::{Change, Inventory, SliceKey};
use crate::port::Pinning;
use crate::samples::{ip, port, service, slice, text};
use crate::service::{Policy, Service, ServiceType};
use crate::table::Source;

/// What one worker knows.
struct World {
    inventory: Inventory,
    ports: WorkerPorts,
    trusted: Vec<IpNet>,
    telling: Telling,
}

/// `web.shop` at 10.0.0.1 to 10.0.0.3, and `api.shop` for `api.example.com`, all of which DNS has told.
fn world() -> World {
    let settings = crate::inventory::Settings {
        sources: [Source::Manifests, Source::Dns].into(),
        ..crate::inventory::Settings::default()
    };
    let mut world = World {
        inventory: Inventory::new(settings),
        ports: WorkerPorts::new(Pinning { entries_max: 100, seed: 7 }),
        trusted: ["10.9.0.0/16".parse().unwrap()].into(),
        telling: Telling { provenance: true, via: true },
    };
    world.serves(service("shop", "web"), &["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
    let external = |name: &str, external: &str| Service {
        kind: ServiceType::ExternalName,
        external_name: Some(text(external)),
        ..service("shop", name)
    };
    let ports = [port("http", 80), port("alt", 8080)].into();
    world.serves(Service { ports, ..external("api", "api.example.com") }, &[]);
    world.serves(Service { ports: Vec::new(), ..external("alias", "web.shop.svc.cluster.local") }, &[]);
    world.serves(Service { ports: Vec::new(), ..external("nowhere", "x.example.com") }, &[]);
    world.serves(Service { ports: Vec::new(), ..external("look-alike", "192.0.2.010") }, &[]);
    let record = Record::of(ip("192.0.2.80"));
    world.inventory.apply(Source::Dns, [Change::Name(text("api.example.com"), Some([record].into()))].into());
    world
}

impl World {
    fn serves(&mut self, service: Service, addresses: &[&str]) {
        let slice = slice(&service.name, &service.name.name, 80, addresses);
        let key = SliceKey {
            namespace: service.name.namespace.clone(),
            name: slice.name.clone(),
            part: 0,
            from_endpoints: false,
        };
        let changes = [
            Change::Service(service.name.clone(), Some(Arc::new(service))),
            Change::Slice(key, Some(Arc::new(slice))),
        ];
        self.inventory.apply(Source::Manifests, changes.into());
    }

    fn dispatch<'a>(
        &mut self,
        request: &Request<'a, List<'a>>,
        draw: u64,
    ) -> Result<Dispatched<'a>, Failure> {
        let table = self.inventory.table();
        let target = resolve(ServiceRef::parse(request.authority).unwrap(), &table)?;
        let settings = DispatchSettings { trusted_proxies: &self.trusted, telling: self.telling };
        dispatch(target, &mut self.ports, request, settings, NOW, || draw)
    }

    /// Where a client's request goes, by what its peer says.
    fn place(&mut self, peer: &str, fields: &List<'_>, draw: u64) -> String {
        let dispatched = self.dispatch(&Request { peer: ip(peer), fields, ..GET }, draw).unwrap();
        let addr = dispatched.attempt.addr().to_string();
        dispatched.attempt.end(NOW, || 0);
        addr
    }
}

const NOW: Now = Now(Duration::from_secs(5));

type List<'a> = [(&'a str, &'a str)];

const GET: Request<'static, List<'static>> = Request {
    method: "GET",
    authority: "web.shop",
    scheme: "http",
    version: HttpVersion::Http11,
    peer: IpAddr::V4(core::net::Ipv4Addr::new(192, 0, 2, 1)),
    fields: &[],
};

/// What is set, a name and its value each.
fn set(told: &Told<'_>) -> Vec<String> {
    let lines = told.set.iter();
    lines.map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value))).collect()
}

#[test]
fn a_host_and_the_name_of_a_port_lead_to_one_service() {
    let world = world();
    let table = world.inventory.table();
    for (text, name) in [
        ("web.shop", "shop/web"),
        ("WEB.Shop.svc.cluster.local.:80", "shop/web"),
        ("shop/web:80", "shop/web"),
        ("Shop/Web:80", "shop/web"),
        ("alias.shop", "shop/alias"),
        ("shop/alias:80", "shop/alias"),
    ] {
        let target = resolve(ServiceRef::parse(text).unwrap(), &table).unwrap();
        assert_eq!(target.service.name.to_string(), name, "{text}");
        assert_eq!(target.endpoints.usable().len(), 3, "{text}");
    }
}

#[test]
fn what_leads_nowhere_says_why() {
    let world = world();
    let table = world.inventory.table();
    for (text, failure) in [
        ("web", Failure::UnknownDestination), // it is in another namespace
        ("shop/wep:80", Failure::UnknownDestination),
        ("www.example.com", Failure::UnknownDestination),
        ("192.0.2.1", Failure::UnknownDestination),
        ("nowhere.shop", Failure::UnknownDestination),
        ("shop/nowhere:80", Failure::UnknownDestination),
        ("web.shop:81", Failure::NoSuchPort),
        ("shop/web:81", Failure::NoSuchPort),
        ("shop/alias:81", Failure::NoSuchPort),
        ("look-alike.shop", Failure::NameIsAddress),
        ("shop/look-alike:80", Failure::NameIsAddress),
        ("", Failure::BadRequest),
        ("user@web.shop", Failure::BadRequest),
    ] {
        assert_eq!(resolve(ServiceRef::parse(text).unwrap(), &table).unwrap_err(), failure, "{text}");
    }
}

#[test]
fn an_untrusted_peer_is_its_own_client_and_a_trusted_proxy_speaks_for_others() {
    let mut world = world();
    let mut web = service("shop", "web");
    web.handling.policy = Some(Policy::Maglev);
    world.serves(web, &["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
    let clients: Vec<String> = (1..=40).map(|nth| format!("192.0.2.{nth}")).collect();
    let own: Vec<_> = clients.iter().map(|client| world.place(client, &[], 7)).collect();
    for (client, place) in clients.iter().zip(&own) {
        assert_eq!(&world.place("10.9.0.1", &[("x-forwarded-for", client)], 9), place, "{client}");
        let element = format!("for={client}");
        assert_eq!(&world.place("10.9.0.1", &[("forwarded", &element)], 9), place, "{client}");
        assert_eq!(world.place("192.0.2.1", &[("x-forwarded-for", client)], 9), own[0], "{client}");
    }
    assert!(own.iter().any(|place| *place != own[0]));
}

#[test]
fn an_endpoint_is_told_whom_its_request_is_from_and_asked_by_its_own_name() {
    let mut world = world();
    for (authority, own_name) in [("api.shop", "api.example.com"), ("api.shop:8080", "api.example.com:8080")]
    {
        let fields: &List<'_> = &[("x-forwarded-for", "192.0.2.7"), ("x_real_ip", "1")];
        let request = Request { authority, peer: ip("10.9.0.1"), fields, ..GET };
        let dispatched = world.dispatch(&request, 0).unwrap();
        assert_eq!(dispatched.authority.as_deref(), Some(own_name));
        assert_eq!((dispatched.index, dispatched.attempt.addr().0.ip()), (0, ip("192.0.2.80")));
        let host = if authority.contains(':') { format!("\"{authority}\"") } else { authority.to_string() };
        assert_eq!(
            set(&dispatched.told),
            [
                "x-real-ip: 192.0.2.7".to_string(),
                "x-forwarded-for: 192.0.2.7, 10.9.0.1".into(),
                format!("forwarded: for=10.9.0.1;host={host};proto=http"),
                "x-forwarded-proto: http".into(),
                format!("x-forwarded-host: {authority}"),
                "via: 1.1 svcmesh".into(),
            ]
        );
        assert!(dispatched.told.ends("x_real_ip") && !dispatched.told.ends("accept"));
        dispatched.attempt.end(NOW, || 0);
    }
}

#[test]
fn where_nothing_is_to_be_told_nothing_is_changed() {
    let mut world = world();
    world.telling = Telling { provenance: false, via: false };
    let fields: &List<'_> = &[("x-forwarded-for", "192.0.2.7"), ("via", "1.1 a")];
    let dispatched = world.dispatch(&Request { fields, ..GET }, 0).unwrap();
    assert_eq!((dispatched.authority.as_deref(), dispatched.told.set.capacity()), (None, 0));
    assert!(!dispatched.told.ends("x-forwarded-for"));
    dispatched.attempt.end(NOW, || 0);
}

#[test]
fn a_request_that_goes_nowhere_burdens_nobody() {
    let mut world = world();
    let fields: &List<'_> = &[("via", "1.1 svcmesh"); crate::forwarding::PASSES_MAX];
    assert_eq!(world.dispatch(&Request { fields, ..GET }, 0).unwrap_err(), Failure::TooManyPasses);
    assert_eq!(world.ports.iter().count(), 0);
    world.serves(service("shop", "web"), &[]);
    assert_eq!(world.dispatch(&GET, 0).unwrap_err(), Failure::NoEndpoints);
}

#[test]
fn only_what_can_be_sent_again_finds_out_at_once_whether_an_ejected_endpoint_is_well() {
    let mut world = world();
    world.serves(service("shop", "web"), &["10.0.0.1", "10.0.0.2"]);
    let table = world.inventory.table();
    let target = resolve(ServiceRef::Authority("web.shop"), &table).unwrap();
    let port = world.ports.of(target, NOW);
    for _ in 0..5 {
        let _ejected = port.members()[0].stats.ejector.failed(NOW, port.stats(), NOW, 0);
    }
    let settings = DispatchSettings { trusted_proxies: &[], telling: world.telling };
    let later = Now(NOW.0 + Duration::from_millis(1_500));
    for (method, index) in [("POST", 1), ("GET", 0)] {
        let request = Request { method, ..GET };
        let dispatched = dispatch(target, &mut world.ports, &request, settings, later, || 0).unwrap();
        assert_eq!(dispatched.index, index, "{method}");
        dispatched.attempt.end(later, || 0);
    }
}
