//! Files → snapshots: an update costs what it changes, and nothing changes for nothing.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use svc_core::table::{Source, Table};
use tokio::sync::watch;

use super::discovery::Discovery;
use super::publish::Publisher;
use crate::admin::Ready;
use crate::admin::observed::Observed;
use crate::config::{self, Config, Surroundings};
use crate::metrics::Metrics;
use crate::shared::Shared;

/// Discovery over a folder of manifests, and what the data path sees of it.
struct World {
    discovery: Discovery,
    table: Arc<ArcSwap<Table>>,
    published: watch::Receiver<u64>,
    metrics: Arc<Metrics>,
}

fn world(folder: &Path) -> World {
    let folder = folder.to_str().unwrap();
    let flags =
        config::command().get_matches_from(["run", "--discovery", "manifests", "--manifests", folder]);
    let config = Config::read(&flags, &Surroundings::default()).unwrap();
    let metrics = Metrics::new();
    let publisher = Publisher::new(&config, metrics.clone());
    let (table, mut published) = (publisher.table(), publisher.published());
    let ready = Arc::new(Ready::new([Source::Manifests]));
    let discovery =
        Discovery::start(&Arc::new(config.clone()), publisher, ready, metrics.clone(), &Shared::default())
            .unwrap();
    published.mark_unchanged();
    World { discovery, table, published, metrics }
}

/// Service number `service` with its endpoints at `port`.
fn write(folder: &Path, service: usize, port: u16) {
    let mut text = format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{ name: s{service} }}\nspec: {{ ports: [{{ port: 80 }}] }}\n---\n\
         apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n\
         metadata: {{ name: s{service}-1, labels: {{ kubernetes.io/service-name: s{service} }} }}\n\
         addressType: IPv4\nports: [{{ port: {port} }}]\nendpoints:\n"
    );
    for endpoint in 1..=ENDPOINTS {
        text += &format!("- addresses: [10.1.{service}.{endpoint}]\n  nodeName: node-{endpoint}\n");
    }
    fs::write(folder.join(format!("{service}.yaml")), text).unwrap();
}

const SERVICES: usize = 200;
const ENDPOINTS: usize = 20;

#[tokio::test]
async fn an_update_makes_anew_what_it_changes_and_shares_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    (0..SERVICES).for_each(|service| write(folder.path(), service, 8080));
    let mut world = world(folder.path());
    let before = world.table.load_full();
    assert_eq!(before.entries().count(), SERVICES);

    write(folder.path(), 7, 9090);
    world.discovery.reload();

    assert!(world.published.has_changed().unwrap());
    let after = world.table.load_full();
    let is_new = |name: &str| !Arc::ptr_eq(before.by_host(name).unwrap(), after.by_host(name).unwrap());
    let names = after.entries().map(|entry| entry.service.name.name.to_string());
    let new: Vec<_> = names.filter(|name| is_new(name)).collect();
    assert_eq!(new, ["s7"]);
    let target = &after.by_host("s7").unwrap().targets[0];
    assert!(target.endpoints.usable().iter().all(|endpoint| endpoint.addr.0.port() == 9090));
}

#[tokio::test]
async fn files_that_are_written_again_as_they_were_wake_nobody() {
    let folder = tempfile::tempdir().unwrap();
    (0..SERVICES).for_each(|service| write(folder.path(), service, 8080));
    let mut world = world(folder.path());
    let before = world.table.load_full();

    (0..SERVICES).for_each(|service| write(folder.path(), service, 8080));
    world.discovery.reload();

    assert!(!world.published.has_changed().unwrap());
    assert!(Arc::ptr_eq(&before, &world.table.load_full()));
}

#[tokio::test]
async fn an_update_counts_by_what_came_of_it() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), 1, 8080);
    let mut world = world(folder.path());
    check_updates(&world, [1, 0, 0]);
    world.discovery.reload();
    check_updates(&world, [1, 1, 0]);
    fs::write(folder.path().join("bad.yaml"), "apiVersion: v1\nkind: Service\nmetadata: { name: Bad }\n")
        .unwrap();
    write(folder.path(), 2, 8080);
    world.discovery.reload();
    check_updates(&world, [1, 1, 1]);
    world.discovery.reload(); // what was refused before is no news
    check_updates(&world, [1, 2, 1]);
}

#[track_caller]
fn check_updates(world: &World, counts: [u32; 3]) {
    let observed = Observed { table: world.table.clone(), shared: Arc::default() };
    let page =
        world.metrics.renderer(observed, world.table.clone())(crate::metrics::format::Format::OpenMetrics);
    for (result, count) in ["applied", "unchanged", "refused"].into_iter().zip(counts) {
        let line =
            format!("svcmesh_discovery_updates_total{{source=\"manifests\",result=\"{result}\"}} {count}\n");
        assert!(page.contains(&line), "not there: {line}{page}");
    }
}
