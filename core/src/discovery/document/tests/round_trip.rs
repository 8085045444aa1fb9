//! What a sidecar tells is what its reader knows.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use svc_proto::services as document;

use super::*;
use crate::address::Transport;
use crate::describe::{ServiceFilter, describe};
use crate::endpoints::{Endpoint, Here};
use crate::samples::{ip, text};
use crate::service::{Policy, Unit, read_endpoint_slice, read_service};
use crate::table::Target;

/// Everything that a sidecar may know, from all its sources.
fn told(settings: Settings, changes: [Vec<Change>; 3]) -> Inventory {
    let [manifests, environment, dns] = changes;
    let sources = [Source::Manifests, Source::Environment, Source::Dns].into();
    let mut inventory = Inventory::new(Settings { sources, ..settings });
    inventory.apply(Source::Manifests, manifests);
    inventory.apply(Source::Environment, environment);
    inventory.apply(Source::Dns, dns);
    inventory
}

/// Reads what `inventory` describes, and compares the two tables.
fn check(inventory: &Inventory, settings: Settings) {
    let table = inventory.table();
    let nobody = BTreeSet::new();
    let json = serde_json::to_string(&describe(&table, [], ServiceFilter::default(), &nobody)).unwrap();
    let mut reader = Reader::new(settings);
    let _changed = reader.documents.read(json.as_bytes()).unwrap().apply(&mut reader.inventory);
    let known = reader.table();
    assert_eq!(reader.documents.rejections().next(), None, "{json}");

    for entry in table.entries() {
        let read = known.by_name(&entry.service.name).unwrap_or_else(|| panic!("no {}", entry.service.name));
        check_service(entry, read);
        for address in &entry.service.cluster_ips {
            for target in &entry.targets {
                let found = known.by_destination(target.port.transport, (*address, target.port.port).into());
                assert_eq!(found.map(|found| &found.service.name), Some(&entry.service.name));
            }
        }
    }
    let again = serde_json::to_string(&describe(&known, [], ServiceFilter::default(), &nobody)).unwrap();
    assert_eq!(comparable(&again), comparable(&json));
}

fn check_service(told: &Entry, read: &Entry) {
    let (service, known): (&Service, &Service) = (&told.service, &read.service);
    assert_eq!(known.handling, service.handling, "{}", service.name);
    assert_eq!(known.affinity, service.affinity);
    for unit in [Unit::Connection, Unit::Request] {
        assert_eq!(Policy::of(known, unit), Policy::of(service, unit));
    }
    assert_eq!(read.targets.len(), told.targets.len());
    for (told, read) in told.targets.iter().zip(&read.targets) {
        assert_eq!(usable(read), usable(told), "{}:{}", service.name, told.port.port);
        assert_eq!(read.rewrite, told.rewrite, "{}:{}", service.name, told.port.port);
        let number = |target: &Target| (target.port.port, target.port.transport, target.port.node_port);
        assert_eq!(number(read), number(told));
    }
}

fn usable(target: &Target) -> Vec<String> {
    let shown = |endpoint: &Endpoint| {
        format!("{:?}", Endpoint { id: crate::endpoints::EndpointId(0), ..endpoint.clone() })
    };
    target.endpoints.usable().iter().map(shown).collect()
}

/// What both must say alike: not whom they have it from, nor what each gives to its own pod.
fn comparable(json: &str) -> Vec<document::Service<'_>> {
    let document: document::Document<'_> = serde_json::from_str(json).unwrap();
    let mut services = document.services;
    for service in &mut services {
        service.source = "".into();
        service.loopback_vip = None;
        service.skipped_ports.clear();
        service
            .endpoints
            .sort_by(|a, b| (&a.port_name, a.address, a.port).cmp(&(&b.port_name, b.address, b.port)));
    }
    services
}

fn manifest_service(object: Value) -> Option<Change> {
    let object = serde_json::from_value(object).unwrap();
    let service = read_service(&object, &Rules::default()).ok()?.fact;
    Some(Change::Service(service.name.clone(), Some(Arc::new(service))))
}

fn manifest_slice(object: Value) -> Option<Change> {
    let object = serde_json::from_value(object).unwrap();
    let read = read_endpoint_slice(&object, &Rules::default(), &mut Interner::default()).ok()?.fact;
    let slice = read.into_iter().next()?;
    let (namespace, name) = (slice.service.namespace.clone(), slice.name.clone());
    let key = crate::inventory::SliceKey { namespace, name, part: 0, from_endpoints: false };
    Some(Change::Slice(key, Some(Arc::new(slice))))
}

fn here() -> Here {
    Here { node: Some(text("node-a")), zone: Some(text("zone-a")) }
}

const NAMES: [&str; 5] = ["web", "db", "cart", "mail", "x1"];

fn name() -> impl Strategy<Value = &'static str> {
    select(&NAMES[..])
}

/// One annotation at most, of every sort.
fn annotations() -> impl Strategy<Value = Value> {
    const ANNOTATIONS: [(&str, &str); 20] = [
        ("svcmesh.dev/load-balancer", "maglev"),
        ("svcmesh.dev/load-balancer", "rr"),
        ("svcmesh.dev/load-balancer", "p2c"),
        ("svcmesh.dev/weights", "10.0.0.1=7,pod-1=0"),
        ("svcmesh.dev/proxy-protocol", "v2"),
        ("svcmesh.dev/timeout", "1m"),
        ("svcmesh.dev/try-timeout", "0"),
        ("svcmesh.dev/retry", "reset,attempts=2"),
        ("svcmesh.dev/idle-timeout", "90s"),
        ("svcmesh.dev/max-connections", "10"),
        ("svcmesh.dev/eject", "off"),
        ("svcmesh.dev/slow-start", "30s"),
        ("svcmesh.dev/health-check", "http:/live,interval=5s"),
        ("svcmesh.dev/tls", "originate"),
        ("svcmesh.dev/tls-ca", "secret/ca"),
        ("svcmesh.dev/rewrite-location", "true"),
        ("svcmesh.dev/allow-local-external-name", "true"),
        ("service.beta.kubernetes.io/aws-load-balancer-connection-idle-timeout", "60"),
        ("service.beta.kubernetes.io/aws-load-balancer-proxy-protocol", "*"),
        ("other.example/x", "y"),
    ];
    vec(select(&ANNOTATIONS[..]), 0..3).prop_map(|chosen| {
        Value::Object(chosen.into_iter().map(|(key, value)| (key.to_string(), value.into())).collect())
    })
}

fn ports() -> impl Strategy<Value = Value> {
    let port = (
        select(&[80_u16, 443, 8080, 9000][..]),
        any::<bool>(),
        select(&[None, Some("http"), Some("https"), Some("grpc")][..]),
    );
    vec(port, 1..4).prop_map(|ports| {
        let several = ports.len() > 1;
        let port = |(index, (port, udp, app)): (usize, (u16, bool, Option<&str>))| {
            let name = if several { format!("p{index}") } else { String::new() };
            let protocol = if udp { "UDP" } else { "TCP" };
            json!({"name": name, "port": port, "protocol": protocol, "appProtocol": app})
        };
        Value::Array(ports.into_iter().enumerate().map(port).collect())
    })
}

prop_compose! {
    /// Of every kind, addresses of both families given or left to be allocated.
    fn service()(
        name in name(), namespace in select(&["default", "shop"][..]), kind in select(&["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"][..]),
        ip in select(&["", "", "None", "10.96.0.7", "fd00:10:96::7"][..]), external in external_name(), annotations in annotations(), ports in ports(),
        affinity in select(&["None", "ClientIP"][..]), local in any::<bool>(), near in select(&[None, Some("PreferSameZone"), Some("PreferSameNode")][..]),
        unready in any::<bool>(), published in any::<bool>(), proxied in any::<bool>(),
    ) -> Value {
        let ingress = json!([{"ip": "203.0.113.2", "ipMode": if proxied { "Proxy" } else { "VIP" }}, {"hostname": "lb.example.com"}]);
        json!({
            "metadata": {"name": name, "namespace": namespace, "annotations": annotations},
            "spec": {
                "type": kind, "clusterIP": if kind == "ExternalName" { "" } else { ip }, "externalName": external, "ports": ports,
                "sessionAffinity": affinity, "internalTrafficPolicy": if local { "Local" } else { "Cluster" }, "trafficDistribution": near,
                "publishNotReadyAddresses": unready, "externalIPs": if published { &["203.0.113.1"][..] } else { &[] },
            },
            "status": {"loadBalancer": {"ingress": if published { ingress } else { json!([]) }}},
        })
    }
}

/// Another Service, an address in disguise, or a name that DNS knows.
fn external_name() -> impl Strategy<Value = String> {
    let service = (name(), select(&["default", "shop"][..]))
        .prop_map(|(name, namespace)| format!("{name}.{namespace}.svc.cluster.local"));
    let elsewhere = select(&["db.example.com", "api.example.com", "_http._tcp.example.com", "10.0.0.1"][..]);
    prop_oneof![service, elsewhere.prop_map(String::from)]
}

prop_compose! {
    fn slice_endpoint()(
        address in 0..6_u8, conditions in any::<[bool; 3]>(), node in select(&[None, Some("node-a"), Some("node-b")][..]),
        zone in select(&[None, Some("zone-a"), Some("zone-b")][..]), hint in select(&[None, Some("zone-a"), Some("zone-b")][..]),
        hostname in select(&[None, Some("pod-0")][..]), pod in 0..3_u8,
    ) -> Value {
        let hints = hint.map(|zone| json!({"forZones": [{"name": zone}], "forNodes": [{"name": "node-a"}]}));
        let [ready, serving, terminating] = conditions;
        json!({
            "addresses": [format!("10.0.0.{address}")], "conditions": {"ready": ready, "serving": serving, "terminating": terminating},
            "nodeName": node, "zone": zone, "hints": hints, "hostname": hostname,
            "targetRef": {"kind": "Pod", "name": format!("pod-{pod}")},
        })
    }
}

prop_compose! {
    fn slice()(
        of in name(), namespace in select(&["default", "shop"][..]), part in 0..3_u8, endpoints in vec(slice_endpoint(), 0..5), number in 8000..8003_u16,
        weights in select(&[None, Some("10.0.0.2=5,pod-2=3"), Some("10.0.0.1=0")][..]), ipv6 in any::<bool>(),
    ) -> Value {
        let mut endpoints = endpoints;
        if ipv6 {
            let address = |index: usize| json!([format!("fd00::{index}")]);
            endpoints.iter_mut().enumerate().for_each(|(index, endpoint)| endpoint["addresses"] = address(index));
        }
        let ports: Vec<Value> = ["", "p0", "p1", "p2"].iter().zip(number..).flat_map(|(name, number)| {
            ["TCP", "UDP"].map(|protocol| json!({"name": name, "port": number, "protocol": protocol}))
        }).collect();
        // No two ports of a slice share a name, so one of the protocols it is.
        let ports: Vec<Value> = ports.into_iter().skip(usize::from(part == 0)).step_by(2).collect();
        let annotations = weights.map(|weights| json!({"svcmesh.dev/weights": weights}));
        json!({
            "metadata": {
                "name": format!("{of}-{part}"), "namespace": namespace, "labels": {"kubernetes.io/service-name": of}, "annotations": annotations,
            },
            "addressType": if ipv6 { "IPv6" } else { "IPv4" }, "endpoints": endpoints, "ports": ports,
        })
    }
}

prop_compose! {
    /// What DNS has said of a name.
    fn records()(
        name in select(&["db.example.com", "api.example.com", "_http._tcp.example.com", "mail.shop.svc.cluster.local"][..]),
        records in vec((1..4_u8, select(&[None, Some(8080_u16)][..]), 1..3_u16), 1..4),
    ) -> Change {
        let is_srv = name.starts_with('_');
        let record = |(address, port, weight): (u8, Option<u16>, u16)| Record {
            address: ip(&format!("192.0.2.{address}")), port: is_srv.then(|| port.unwrap_or(9090)), weight: if is_srv { weight } else { 1 },
            priority: 0,
        };
        let mut records: Vec<Record> = records.into_iter().map(record).collect();
        records.sort_unstable();
        records.dedup_by_key(|record| record.address);
        Change::Name(name.into(), Some(records.into()))
    }
}

/// Services of which nothing but an address and ports is known.
fn environment() -> impl Strategy<Value = Vec<Change>> {
    let service = (name(), 1..5_u8, vec(1..4_u16, 1..3)).prop_map(|(name, address, mut ports)| {
        ports.sort_unstable();
        ports.dedup();
        let name = ServiceName::new("default", name);
        let port = |(index, port): (usize, u16)| crate::service::Port {
            name: if index == 0 { text("") } else { format!("p{index}").into() },
            ..crate::service::Port::unnamed(port)
        };
        let ports = ports.into_iter().enumerate().map(port).collect();
        let service = Service {
            cluster_ips: [ip(&format!("10.96.1.{address}"))].into(),
            ..Service::plain(name, ports)
        };
        Change::Service(service.name.clone(), Some(Arc::new(service)))
    });
    vec(service, 0..4)
}

/// Hosts that somebody asked for, and a Service of pods or of one address.
fn dns() -> impl Strategy<Value = Vec<Change>> {
    let hosts = vec(
        (select(&["db.example.com", "api.example.com"][..]), vec(select(&[80_u16, 443, 8080][..]), 1..3)),
        0..3,
    );
    (hosts, vec(records(), 0..5), any::<bool>(), vec(select(&[80_u16, 443][..]), 1..3)).prop_map(
        |(hosts, records, pods, mail)| {
            let ports = |mut ports: Vec<u16>| -> Vec<_> {
                ports.sort_unstable();
                ports.dedup();
                ports.into_iter().map(crate::service::Port::unnamed).collect()
            };
            let host = |(host, wanted): (&str, Vec<u16>)| {
                let kind = crate::service::ServiceType::ExternalName;
                let plain = Service::plain(ServiceName::new("", host), ports(wanted));
                Service { kind, external_name: Some(host.into()), ..plain }
            };
            let mut services: Vec<Service> = hosts.into_iter().map(host).collect();
            let mail_service = Service::plain(ServiceName::new("shop", "mail"), ports(mail));
            let cluster_ips = if pods { Vec::new() } else { [ip("192.0.2.1")].into() };
            services.push(Service { headless: pods, cluster_ips, ..mail_service });
            let services = services
                .into_iter()
                .map(|service| Change::Service(service.name.clone(), Some(Arc::new(service))));
            services.chain(records).collect()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn a_table_that_is_told_and_read_gives_the_same_answers(
        services in vec(service(), 0..8), slices in vec(slice(), 0..8), environment in environment(), dns in dns(),
    ) {
        let settings = || Settings { here: here(), ..Settings::default() };
        let manifests = services.into_iter().filter_map(manifest_service).chain(slices.into_iter().filter_map(manifest_slice));
        let inventory = told(settings(), [manifests.collect(), environment, dns]);
        check(&inventory, settings());
    }
}

#[test]
fn the_frozen_document_is_read_whole() {
    let golden = include_str!("../../../describe/services.v1.json");
    let mut reader = Reader::new(Settings { here: here(), ..Settings::default() });
    let _changed = reader.documents.read(golden.as_bytes()).unwrap().apply(&mut reader.inventory);
    assert_eq!(reader.rejections(), [""; 0]);
    let known = reader.table();
    let again =
        serde_json::to_string(&describe(&known, [], ServiceFilter::default(), &BTreeSet::new())).unwrap();
    assert_eq!(comparable(&again), comparable(golden));
    let at = known.by_destination(Transport::Tcp, "10.96.0.7:80".parse().unwrap());
    assert_eq!(at.map(|target| target.service.name.to_string()).as_deref(), Some("shop/web"));
}
