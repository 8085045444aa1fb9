//! The clients of a worker: who may come in, what they make us hold, and when they have to go.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::tracker::ConnectionTracker;
use crate::config::Config;
use crate::memory::{Holder, Holders};
use crate::metrics::Metrics;
use crate::metrics::floods::Flood;
use crate::shared::Shared;

/// The clients of a worker.
pub(crate) struct Clients {
    pub(crate) config: Arc<Config>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) tracker: ConnectionTracker,
    pub(crate) holders: Holders,
}

impl Clients {
    pub(crate) fn new(config: Arc<Config>, metrics: Arc<Metrics>, shared: Arc<Shared>) -> Clients {
        let holders = Holders::new(shared.memory.clone());
        Clients { config, metrics, shared, tracker: ConnectionTracker::default(), holders }
    }

    /// Admits one more client connection, unless `--max-connections` are open.
    pub(crate) fn admit(&self) -> Option<Admission> {
        let before = self.shared.connections.fetch_add(1, Relaxed);
        let admission = Admission { holder: self.holders.enter(), shared: self.shared.clone() };
        (before < self.config.limits.connections_max as u64).then_some(admission)
    }

    /// Keeps the process below `--memory-max`.
    pub(crate) fn judge_memory(&self) {
        self.metrics.flooded_by(Flood::Memory, self.holders.judge().floods);
    }

    /// Ends the connections of clients that are overdue, and counts those that are slow.
    pub(crate) fn reap(&self) {
        let slow = self.tracker.reap();
        self.metrics.flooded_by(Flood::SlowRead, slow.reads);
        self.metrics.flooded_by(Flood::SlowBody, slow.bodies);
    }
}

/// One admitted client connection.
pub(crate) struct Admission {
    /// What it makes us hold.
    pub(crate) holder: Holder,
    shared: Arc<Shared>,
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.shared.connections.fetch_sub(1, Relaxed);
    }
}
