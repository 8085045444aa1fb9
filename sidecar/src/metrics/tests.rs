//! The whole page under snapshot.

use arc_swap::ArcSwap;
use svc_core::inventory::{Inventory, Settings};
use svc_core::port::port_key;
use svc_core::service::Rules;
use svc_core::table::Table;
use svc_core::time::Now;

use super::*;
use crate::control::manifests;
use crate::path::shared;

fn page(metrics: &Arc<Metrics>, table: Arc<Table>) -> String {
    let shared = shared::Shared::default();
    shared.connections.store(3, Relaxed);
    eject_one(&shared, &table);
    let observed = Observed { table: Arc::new(ArcSwap::new(table)), shared: Arc::new(shared) };
    let text = metrics.renderer(observed)(Format::OpenMetrics);
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

/// Ejects the first endpoint of `shop/web`.
fn eject_one(shared: &shared::Shared, table: &Table) {
    let web = table.by_host("web.shop").unwrap();
    let port = shared.port(&port_key(&web.targets[0]));
    let members = port.members(&web.targets[0], Now::default());
    for _ in 0..5 {
        let _ejected = members[0].vitals.ejector.failed(Now::default(), &port.vitals, Now::default(), 0);
    }
}

#[test]
fn each_source_has_counts_of_its_own() {
    for (index, source) in Discovery::SOURCES.into_iter().enumerate() {
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
