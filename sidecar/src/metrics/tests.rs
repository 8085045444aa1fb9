//! The whole page under snapshot.

use arc_swap::ArcSwap;
use svc_core::grpc::Status;
use svc_core::inventory::{Inventory, Settings};
use svc_core::port::port_key;
use svc_core::service::Rules;
use svc_core::table::Table;
use svc_core::time::Now;

use super::*;
use crate::admin::observed::Observed;
use crate::control::manifests;
use crate::shared;

fn page(metrics: &Arc<Metrics>, table: Arc<Table>) -> String {
    let shared = shared::Shared::default();
    shared.connections.store(3, Relaxed);
    eject_one(&shared, &table);
    let table = Arc::new(ArcSwap::new(table));
    let observed = Observed { table: table.clone(), shared: Arc::new(shared) };
    let text = metrics.renderer(observed, table)(Format::OpenMetrics);
    let changes =
        |line: &str| line.starts_with("svcmesh_snapshot_age_seconds") || line.starts_with("process_");
    let stable = text.lines().filter(|line| !changes(line));
    stable.collect::<Vec<_>>().join("\n")
}

fn table(manifest: &str) -> Arc<Table> {
    let (changes, rejections) = manifests::read_text("test.yaml", manifest, &Rules::default());
    assert_eq!(rejections, []);
    let mut inventory = Inventory::new(Settings { sources: Source::ALL.to_vec(), ..Settings::default() });
    inventory.apply(Source::Manifests, changes).unwrap()
}

#[test]
fn the_names_are_the_contracts() {
    let metrics = Metrics::new();
    let series = metrics.series(SeriesKey {
        direction: Direction::Outbound,
        service: "shop/web".into(),
        endpoint: "10.1.0.1:80".into(),
    });
    series.opened.fetch_add(1, Relaxed);
    series.open.fetch_add(1, Relaxed);
    series.answered(Protocol::Http1, 200, None, Duration::from_micros(700));
    series.answered(Protocol::Grpc, 200, Some(Status::Unavailable), Duration::from_secs(40));
    series.answered(Protocol::Grpc, 502, Some(Status::Unknown), Duration::from_secs(40));
    series.closed(Closed::Done);
    metrics.failed(&"shop/cart".into(), Failure::NoEndpoints);
    metrics.retried(Failure::ConnectRefused);
    metrics.updated(Source::Manifests, Learned::Applied);
    metrics.updated(Source::Environment, Learned::Unchanged);
    insta::assert_snapshot!(page(&metrics, table(MANIFEST)));
}

/// The rows of `docs/metrics.md`: a metric, its type, its labels.
fn documented() -> BTreeMap<String, (String, Vec<String>)> {
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let word = |cell: &str| cell.trim_matches('`').to_owned();
        let labels = cells.get(3)?.split(' ').filter(|label| !label.is_empty()).map(word).collect();
        Some((word(cells[1]), (cells[2].to_owned(), labels)))
    };
    let document = include_str!("../../../docs/metrics.md");
    let rows =
        document.lines().filter(|line| line.starts_with("| `svcmesh_") || line.starts_with("| `process_"));
    rows.filter_map(row).collect()
}

/// The names of a sample's labels, in their order.
fn labels(sample: &str) -> Vec<String> {
    let labels =
        sample.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map_or("", |(labels, _)| labels);
    let names =
        labels.split("\",").filter_map(|label| label.split_once('=')).map(|(name, _)| name.to_owned());
    names.filter(|name| name != "le").collect()
}

#[test]
fn the_documented_metrics_are_those_that_there_are() {
    let metrics = Metrics::new();
    let series = metrics.series(SeriesKey {
        direction: Direction::Outbound,
        service: "shop/web".into(),
        endpoint: "10.1.0.1:80".into(),
    });
    series.answered(Protocol::Http1, 200, None, Duration::ZERO);
    metrics.retried(Failure::ConnectRefused);
    let (shared, table) = (shared::Shared::default(), table(MANIFEST));
    eject_one(&shared, &table);
    let table = Arc::new(ArcSwap::new(table));
    let observed = Observed { table: table.clone(), shared: Arc::new(shared) };
    let page = metrics.renderer(observed, table)(Format::Text);
    let kinds = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let kinds: BTreeMap<String, String> =
        kinds.map(|(name, kind)| (name.to_owned(), kind.to_owned())).collect();
    let documented = documented();
    let told: BTreeMap<String, String> =
        documented.iter().map(|(name, (kind, _))| (name.clone(), kind.clone())).collect();
    assert_eq!(told, kinds, "docs/metrics.md has a row for each metric, with its type");
    for sample in page.lines().filter(|line| !line.starts_with('#')) {
        let name = sample.split(['{', ' ']).next().unwrap();
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|part| name.strip_suffix(part));
        let (_, expected) =
            &documented[family.filter(|family| documented.contains_key(*family)).unwrap_or(name)];
        assert_eq!(&labels(sample), expected, "{sample}");
    }
    for name in kinds.keys() {
        let help = page.lines().find_map(|line| line.strip_prefix(&format!("# HELP {name} ")));
        assert!(help.is_some_and(|help| !help.is_empty()), "{name} has no help");
    }
}

/// Ejects the first endpoint of `shop/web`.
fn eject_one(shared: &shared::Shared, table: &Table) {
    let web = table.by_host("web.shop").unwrap();
    let port = shared.port(&port_key(&web.targets[0]));
    let members = port.members(&web.targets[0], Now::default());
    for _ in 0..5 {
        let _ejected = members[0].stats.ejector.failed(Now::default(), &port.stats, Now::default(), 0);
    }
}

#[test]
fn each_source_has_counts_of_its_own() {
    for (index, source) in DiscoverySettings::SOURCES.into_iter().enumerate() {
        assert_eq!(source as usize, index);
    }
}

/// An endpoint in each state, and a Service without any.
const MANIFEST: &str = "
apiVersion: v1
kind: Service
metadata: { name: web, namespace: shop }
spec: { ports: [{ port: 80 }] }
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: web-1, namespace: shop, labels: { kubernetes.io/service-name: web } }
addressType: IPv4
ports: [{ port: 8080 }]
endpoints:
- addresses: [10.1.0.1]
- addresses: [10.1.0.2]
- addresses: [10.1.0.3]
  conditions: { ready: false, serving: true, terminating: true }
- addresses: [10.1.0.4]
  conditions: { ready: false, serving: false, terminating: true }
- addresses: [10.1.0.5]
  conditions: { ready: false }
---
apiVersion: v1
kind: Service
metadata: { name: cart, namespace: shop }
spec: { ports: [{ port: 80 }] }
---
apiVersion: v1
kind: Service
metadata: { name: near, namespace: shop }
spec: { internalTrafficPolicy: Local, ports: [{ port: 80 }] }
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: near-1, namespace: shop, labels: { kubernetes.io/service-name: near } }
addressType: IPv4
ports: [{ port: 8080 }]
endpoints:
- addresses: [10.1.1.1]
  nodeName: another
";
