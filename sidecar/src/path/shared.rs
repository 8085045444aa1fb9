//! What all workers share: how much there is of everything, and what is known of endpoints.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use svc_core::address::{ServiceName, Transport};
use svc_core::balance::{Member, members};
use svc_core::endpoints::{Endpoint, EndpointId};
use svc_core::retry::Budget;
use svc_core::table::{Table, Target};
use svc_core::vitals::Vitals;

use crate::listen::Claims;

/// What all workers share.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// Every address that this process listens on.
    pub(crate) bound: ArcSwap<Vec<SocketAddr>>,
    /// Open client connections.
    pub(crate) connections: AtomicU64,
    /// Locked only where a change of the snapshot moves a loopback VIP.
    pub(crate) vips: Claims,
    /// Locked only where a worker meets a port for the first time, and where a port goes.
    ports: Mutex<HashMap<PortKey, Arc<SharedPort>>>,
}

/// Names a Service port across snapshots.
pub(crate) type PortKey = (ServiceName, u16, Transport);

pub(crate) fn port_key(target: &Target) -> PortKey {
    (target.service.name.clone(), target.port.port, target.port.transport)
}

/// What all workers know of a Service port that any of them uses.
#[derive(Debug, Default)]
pub(crate) struct SharedPort {
    /// Locked only where a worker meets other endpoints than before.
    vitals: Mutex<HashMap<EndpointId, Arc<Vitals>>>,
    /// How many of its requests may be sent again.
    pub(crate) budget: Budget,
}

impl Shared {
    pub(crate) fn port(&self, key: &PortKey) -> Arc<SharedPort> {
        lock(&self.ports).entry(key.clone()).or_default().clone()
    }

    /// Lets go of what belongs to ports and endpoints that the snapshot no longer has. Who uses it still keeps it.
    pub(crate) fn prune(&self, table: &Table) {
        lock(&self.ports).retain(|key, port| {
            let target = table.by_name(&key.0).and_then(|entry| entry.target(key.2, key.1));
            if let Some(target) = target {
                port.prune(target);
            }
            target.is_some()
        });
    }
}

impl SharedPort {
    /// The members that `endpoints` are.
    pub(crate) fn members(&self, endpoints: &[Endpoint]) -> Box<[Member]> {
        let mut vitals = lock(&self.vitals);
        members(endpoints, |id| vitals.entry(id).or_default().clone())
    }

    fn prune(&self, target: &Target) {
        let mut vitals = lock(&self.vitals);
        let known = target.endpoints.all();
        if vitals.len() > known.len() {
            let known: std::collections::HashSet<EndpointId> =
                known.iter().map(|endpoint| endpoint.id).collect();
            vitals.retain(|id, _| known.contains(id));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
