//! Changes of slices, ten in a second.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use svc_cluster::Result;
use tokio::time::{MissedTickBehavior, interval};

use crate::objects::{self, SERVICES};
use crate::server::Server;

/// Changes one slice in each tenth of a second. The Services whose slices they were: evenly spread over all.
pub(crate) async fn make(server: &Server) -> Result<Vec<usize>> {
    static TURN: AtomicUsize = AtomicUsize::new(1);
    let turn = TURN.fetch_add(1, Ordering::Relaxed);
    let services: Vec<usize> = (0..SERVICES).step_by(SERVICES / UPDATES).collect();
    let mut ticks = interval(PAUSE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for &service in &services {
        ticks.tick().await;
        let slice = objects::slice(service, turn);
        let name = slice["metadata"]["name"].as_str().unwrap_or_default();
        let namespace = objects::namespace_of(service);
        let path = format!("/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices/{name}");
        server.replace(&path, &slice).await?;
    }
    ticks.tick().await;
    Ok(services)
}

/// 20 s: before the first bookmark, which comes after a minute.
pub(crate) const UPDATES: usize = 200;

const PAUSE: Duration = Duration::from_millis(100);
