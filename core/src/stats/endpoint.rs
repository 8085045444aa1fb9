//! The stats of one endpoint.

use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;

use super::eject::{EjectionChange, Ejector, Probe};
use super::latency::Latency;
use super::load::Load;
use super::port::PortStats;
use super::reason::Reason;
use super::share::Share;
use crate::time::Now;

/// What is known of one endpoint of one Service port, for as long as it has its [`EndpointId`](crate::endpoints::EndpointId).
#[derive(Debug, Default)]
pub struct EndpointStats {
    /// How much it has to do.
    pub load: Load,
    /// How long it takes to answer.
    pub latency: Latency,
    /// Whether it is left out because it fails.
    pub ejector: Ejector,
    /// How much of its part it gets.
    pub share: Share,
    fails_check: AtomicBool,
}

impl EndpointStats {
    /// Whether new connections and requests go elsewhere, as long as there is an elsewhere.
    pub fn is_out(&self) -> bool {
        self.ejector.is_ejected() || self.is_failing_check()
    }

    /// Whether its Service's health check says so. What its requests tell does not end that, and neither counts among the half of the
    /// endpoints that may be ejected.
    pub fn is_failing_check(&self) -> bool {
        self.fails_check.load(Ordering::Relaxed)
    }

    /// Its Service's health check says that it is ill. Who says so takes it back, by [`EndpointStats::passes_check`].
    pub fn fails_check(&self, port: &PortStats) {
        if !self.fails_check.swap(true, Ordering::AcqRel) {
            port.goes_out();
            port.count(Reason::HealthCheck);
        }
    }

    /// It passes again, or is not checked any more.
    pub fn passes_check(&self, port: &PortStats) {
        if self.fails_check.swap(false, Ordering::AcqRel) {
            port.comes_in();
        }
    }

    /// As [`Ejector::probe_succeeded`]; an endpoint that comes back gets its share little by little.
    pub fn probe_succeeded(&self, probe: Probe, port: &PortStats, now: Now) -> Option<EjectionChange> {
        let change = self.ejector.probe_succeeded(probe, port, now);
        if change == Some(EjectionChange::Returned) {
            self.share.start_slowly(port.slow_start().max(START_AFTER_EJECTION), port, now);
        }
        change
    }

    /// The endpoint is among those that get new traffic; true when it was not before.
    pub fn arrive(&self) -> bool {
        self.ejector.arrive()
    }

    /// The endpoint gets nothing new any more. What is known of its health is forgotten.
    pub fn leave(&self, port: &PortStats) {
        self.ejector.leave(port);
        self.share.forget();
    }
}

/// One success may have been luck.
const START_AFTER_EJECTION: Duration = Duration::from_secs(5);
