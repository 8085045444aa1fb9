//! One attempt at an endpoint: what it adds to the endpoint's load, and what it says of its health.

use std::rc::Rc;

use svc_core::time::Now;
use svc_core::vitals::{Change, Probe};

use super::mesh::Mesh;
use super::upstream::Upstream;
use crate::clock;

/// An attempt says at most once what came of it; if nothing is said, it tells nothing about the endpoint.
pub(crate) struct Trial {
    pub(crate) upstream: Rc<Upstream>,
    begun: Now,
    probe: Option<Probe>,
    is_told: bool,
}

impl Trial {
    pub(crate) fn begin(upstream: &Rc<Upstream>, probe: Option<Probe>, begun: Now) -> Trial {
        upstream.vitals.load.begin();
        Trial { upstream: upstream.clone(), begun, probe, is_told: false }
    }

    /// The endpoint has begun well. Its last word is still to come, but an ejection need not wait for that: a stream may take hours.
    pub(crate) fn promises(&mut self) {
        if let Some(probe) = self.probe.take() {
            self.ends_ejection(probe, clock::now());
        }
    }

    /// The endpoint did what it was asked.
    pub(crate) fn succeeded(&mut self, now: Now) {
        if std::mem::replace(&mut self.is_told, true) {
            return;
        }
        match self.probe.take() {
            Some(probe) => self.ends_ejection(probe, now),
            None => self.upstream.vitals.ejector.succeeded(&self.upstream.port.vitals, now),
        }
    }

    fn ends_ejection(&self, probe: Probe, now: Now) {
        let change = self.upstream.vitals.ejector.probe_succeeded(probe, &self.upstream.port.vitals, now);
        self.log(change);
    }

    /// The endpoint did not.
    pub(crate) fn failed(&mut self, mesh: &Mesh) {
        if std::mem::replace(&mut self.is_told, true) {
            return;
        }
        let (ejector, port) = (&self.upstream.vitals.ejector, &self.upstream.port.vitals);
        let (now, draw) = (clock::now(), mesh.draw());
        let change = match self.probe.take() {
            Some(probe) => ejector.probe_failed(probe, port, now, draw),
            None => ejector.failed(self.begun, port, now, draw),
        };
        self.log(change);
    }

    /// Nothing is asked of the endpoint any more.
    pub(crate) fn end(&mut self, mesh: &Mesh) {
        self.upstream.vitals.load.end();
        if let Some(probe) = self.probe.take() {
            let port = &self.upstream.port.vitals;
            self.upstream.vitals.ejector.probe_abandoned(probe, port, clock::now(), mesh.draw());
        }
    }

    fn log(&self, change: Option<Change>) {
        let (service, endpoint) = (&self.upstream.of.0, self.upstream.addr);
        match change {
            None => {}
            Some(Change::Ejected { reason, penalty }) => {
                tracing::info!(%service, %endpoint, reason = reason.as_str(), ?penalty, "endpoint ejected");
            }
            Some(Change::Kept { penalty }) => {
                tracing::debug!(%service, %endpoint, ?penalty, "endpoint stays ejected");
            }
            Some(Change::Returned) => tracing::info!(%service, %endpoint, "endpoint used again"),
        }
    }
}
