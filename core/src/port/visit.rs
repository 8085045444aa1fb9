//! An attempt at an endpoint of a port that one worker has alone.

use alloc::sync::Arc;

use crate::address::EndpointAddr;
use crate::balance::Member;
use crate::endpoints::EndpointId;
use crate::time::Now;
use crate::vitals::{Change, Head, Heard, PortVitals, Probe, Subject, Trial, Vitals};

/// A [`Trial`] that keeps what it is about: the snapshot may change, and the port may go, while it lasts. Nothing is allocated for it.
#[derive(Debug)]
#[must_use = "its end takes it off the load of its endpoint"]
pub struct Visit {
    id: EndpointId,
    addr: EndpointAddr,
    endpoint: Arc<Vitals>,
    port: Arc<PortVitals>,
    trial: Trial,
}

impl Visit {
    pub(super) fn begin(member: &Member, port: &Arc<PortVitals>, probe: Option<Probe>, now: Now) -> Visit {
        Visit {
            id: member.id,
            addr: member.addr,
            endpoint: member.vitals.clone(),
            port: port.clone(),
            trial: Trial::begin(&member.vitals, probe, now),
        }
    }

    /// Who is visited.
    pub fn id(&self) -> EndpointId {
        self.id
    }

    /// Where that is.
    pub fn addr(&self) -> EndpointAddr {
        self.addr
    }

    /// As [`Trial::hears`].
    pub fn hears<'h>(
        &mut self,
        head: Head<impl Fn(&str) -> Option<&'h [u8]>>,
        unix_seconds: impl FnOnce() -> u64,
        now: Now,
        draw: impl FnOnce() -> u64,
    ) -> Heard {
        let (of, trial) = self.parts();
        trial.hears(head, of, unix_seconds, now, draw)
    }

    /// As [`Trial::hears_grpc`], of trailers.
    pub fn hears_grpc<'h>(
        &mut self,
        field: impl Fn(&str) -> Option<&'h [u8]>,
        now: Now,
        draw: impl FnOnce() -> u64,
    ) -> Heard {
        let (of, trial) = self.parts();
        trial.hears_grpc(field, of, || (now, draw()))
    }

    /// As [`Trial::succeeded`].
    pub fn succeeded(&mut self, now: Now) -> Option<Change> {
        let (of, trial) = self.parts();
        trial.succeeded(of, now)
    }

    /// As [`Trial::failed`].
    pub fn failed(&mut self, now: Now, draw: impl FnOnce() -> u64) -> Option<Change> {
        let (of, trial) = self.parts();
        trial.failed(of, || (now, draw()))
    }

    /// Nothing is asked of the endpoint any more. If nothing was said of what came of the visit, it tells nothing about the endpoint.
    pub fn end(mut self, now: Now, draw: impl FnOnce() -> u64) {
        let (of, trial) = self.parts();
        trial.end(of, || (now, draw()));
    }

    fn parts(&mut self) -> (Subject<'_>, &mut Trial) {
        (Subject { endpoint: &self.endpoint, port: &self.port }, &mut self.trial)
    }
}
