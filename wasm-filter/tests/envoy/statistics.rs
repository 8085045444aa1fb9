//! What Envoy's own statistics say of the filter.

use std::time::Duration;

use testing::time::within;

use super::backend::Backend;
use super::bootstrap::Bootstrap;
use super::envoy::Envoy;
use super::services::{service, web};

#[test]
fn the_sidecars_metrics_are_envoys_too() {
    let backends = Backend::three();
    let envoy = Envoy::start(&Bootstrap::of(&[web(&backends), service("idle", &[])]));
    let mut client = envoy.client();
    for _ in 0..30 {
        client.get("web");
    }
    client.get("idle");
    client.get("nobody");
    for line in [
        "svcmesh_requests_total{service=\"default/web\",protocol=\"http/1.1\",code=\"200\"} 30",
        "svcmesh_failures_total{code=\"MN\"} 1",
        "svcmesh_failures_total{code=\"MD\"} 1",
    ] {
        within(Duration::from_secs(15), line, || {
            envoy.admin("/stats/prometheus").body.lines().any(|other| other == line).then_some(())
        });
    }
}
