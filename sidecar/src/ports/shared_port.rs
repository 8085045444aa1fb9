//! What all workers know of a Service port.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use svc_core::balance::Member;
use svc_core::endpoints::EndpointId;
use svc_core::port::EndpointRegistry;
use svc_core::retry::Budget;
use svc_core::stats::PortStats;
use svc_core::table::Target;
use svc_core::time::Now;

use super::pins::Pinned;
use crate::net::tls_client::Sessions;
use crate::sync::lock;

/// What all workers know of a Service port that any of them uses.
#[derive(Debug, Default)]
pub(crate) struct SharedPort {
    /// Of its endpoints together.
    pub(crate) stats: PortStats,
    /// Locked only where a worker meets other endpoints than before.
    roll: Mutex<EndpointRegistry>,
    /// How many of its requests may be sent again.
    pub(crate) budget: Budget,
    /// Of TLS with its endpoints. Locked only where a handshake begins.
    pub(crate) sessions: Sessions,
    /// Where the Service has affinity. Locked only where a worker meets another snapshot of the port.
    pinned: Mutex<Option<Arc<Pinned>>>,
    /// Its endpoints have answered requests, although nobody says what they speak.
    pub(crate) speaks_http: AtomicBool,
}

impl SharedPort {
    /// The members that the usable endpoints of `target` are.
    pub(crate) fn members(&self, target: &Arc<Target>, now: Now) -> Box<[Member]> {
        lock(&self.roll).members(target, &self.stats, now)
    }

    /// The pins of the clients of `target`, which asks for affinity.
    pub(crate) fn pinned(&self, target: &Arc<Target>) -> Arc<Pinned> {
        lock(&self.pinned).get_or_insert_with(|| Pinned::new(target)).clone()
    }

    /// Those pins, where a worker uses them.
    pub(crate) fn pins(&self) -> Option<Arc<Pinned>> {
        lock(&self.pinned).clone()
    }

    pub(crate) fn follow(&self, target: &Arc<Target>, now: Now) {
        lock(&self.roll).follow(target, &self.stats, now);
        let mut pinned = lock(&self.pinned);
        match (&*pinned, target.service.affinity) {
            (Some(pinned), Some(_)) => pinned.follow(target),
            (Some(left), None) => {
                left.clear(); // routes of the snapshot before may hold it for a while
                *pinned = None;
            }
            (None, _) => {}
        }
    }

    pub(crate) fn out(&self) -> Vec<EndpointId> {
        lock(&self.roll).out().collect()
    }
}
