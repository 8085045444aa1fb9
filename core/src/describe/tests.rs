use core::time::Duration;

use super::*;
use crate::endpoints::Here;
use crate::inventory::{Change, Inventory, LoopbackVips, Settings, SliceKey};
use crate::samples::{ip, port, service, slice, slice_endpoint, slice_port, text};
use crate::service::{Locality, ServiceType, Slice};
use crate::table::Source;

/// Frozen: `kubectl svc` and the Wasm filter of every release read it. A change here is a new version.
const GOLDEN: &str = include_str!("services.v1.json");

#[test]
fn the_document_is_what_it_was_when_it_was_frozen() {
    let inventory = inventory();
    let table = inventory.table();
    let described = describe(&table, inventory.rejections(), ServiceFilter::default(), &NOBODY);
    assert_eq!(serde_json::to_string_pretty(&described).unwrap() + "\n", GOLDEN);
}

#[test]
fn whoever_reads_the_document_has_everything_in_it() {
    let read: document::Document<'_> = serde_json::from_str(GOLDEN).unwrap();
    assert_eq!(read.version, document::VERSION);
    assert_eq!(serde_json::to_string_pretty(&read).unwrap() + "\n", GOLDEN);
}

#[test]
fn a_filter_leaves_the_services_it_names() {
    let inventory = inventory();
    let table = inventory.table();
    let names = |namespace, name| -> Vec<String> {
        let described = describe(&table, [], ServiceFilter { namespace, name }, &NOBODY);
        described.entries.iter().map(|entry| entry.service.name.to_string()).collect()
    };
    assert_eq!(names(None, None), ["default/db", "default/kubernetes", "shop/db", "shop/web"]);
    assert_eq!(names(Some("shop"), None), ["shop/db", "shop/web"]);
    assert_eq!(names(None, Some("db")), ["default/db", "shop/db"]);
    assert_eq!(names(Some("shop"), Some("db")), ["shop/db"]);
    assert!(names(Some("SHOP"), None).is_empty());
}

#[test]
fn who_is_ejected_is_said_to_be() {
    let table = inventory().table();
    let entries =
        || table.entries().flat_map(|entry| &entry.targets).flat_map(|target| target.endpoints.all());
    let one = entries().map(|endpoint| endpoint.id).max().unwrap();
    let ejected = BTreeSet::from([one]);
    let text = serde_json::to_string(&describe(&table, [], ServiceFilter::default(), &ejected)).unwrap();
    assert_eq!(text.matches("\"ejected\":true").count(), 1);
    assert_eq!(text.matches("\"ejected\":false").count(), entries().count() - 1);
}

static NOBODY: BTreeSet<EndpointId> = BTreeSet::new();

/// Something for every field to say, and something to leave out.
fn inventory() -> Inventory {
    let mut inventory = Inventory::new(Settings {
        sources: [Source::Manifests, Source::Environment].into(),
        loopback_vips: LoopbackVips::On,
        app_ports: [9000].into(),
        here: Here { node: Some(text("node-a")), zone: None },
        ..Settings::default()
    });
    let web = web();
    let slice = web_slice(&web);
    let key = SliceKey { namespace: text("shop"), name: text("web-1"), part: 0, from_endpoints: false };
    let mut elsewhere = service("shop", "db");
    (elsewhere.kind, elsewhere.external_name) = (ServiceType::ExternalName, Some(text("db.example.com")));
    let mut refused = service("shop", "web-2");
    refused.cluster_ips = web.cluster_ips.clone();
    let services = [web, elsewhere, refused, service("default", "db")].map(says);
    let slices = [Change::Slice(key, Some(Arc::new(slice)))];
    inventory.apply(Source::Manifests, services.into_iter().chain(slices).collect());

    let mut kubernetes = service("default", "kubernetes");
    kubernetes.cluster_ips = [ip("10.96.0.1")].into();
    inventory.apply(Source::Environment, [says(kubernetes)].into());
    inventory
}

fn says(service: Service) -> Change {
    Change::Service(service.name.clone(), Some(Arc::new(service)))
}

fn web() -> Service {
    let mut web = service("shop", "web");
    web.kind = ServiceType::LoadBalancer;
    web.cluster_ips = [ip("10.96.0.7"), ip("fd00:10:96::7")].into();
    web.external_ips = [ip("203.0.113.1")].into();
    web.ingress = [
        IngressPoint { ip: Some(ip("203.0.113.2")), hostname: None, proxied: true },
        IngressPoint { ip: None, hostname: Some(text("lb.example.com")), proxied: false },
    ]
    .into();
    web.affinity = Some(Duration::from_secs(10800));
    web.internal_traffic_local = true;
    web.traffic_distribution = Some(text("PreferSameZone"));
    web.annotations.insert(text("svcmesh.dev/load-balancer"), text("random"));
    web.handling.policy = Some(Policy::Random);
    web.ports = [port("http", 80), port("metrics", 9000)].into();
    web.ports[0].node_port = Some(30080);
    web.ports[0].app_protocol = Some(text("http"));
    web
}

fn web_slice(web: &Service) -> Slice {
    let mut one = slice(&web.name, "web-1", 0, &["10.0.0.2"]);
    one.ports = [slice_port("http", 8080), slice_port("metrics", 9000)].into();
    one.weights = Some(text("10.0.0.1=3"));
    let mut leaving = slice_endpoint("10.0.0.1");
    (leaving.ready, leaving.terminating) = (false, true);
    leaving.hostname = Some(text("web-0"));
    leaving.place = Some(Arc::new(Locality {
        node: Some(text("node-a")),
        zone: Some(text("zone-a")),
        hints: TopologyHints { zones: [text("zone-a"), text("zone-b")].into(), nodes: Vec::new() },
    }));
    one.endpoints.push(leaving);
    one
}
