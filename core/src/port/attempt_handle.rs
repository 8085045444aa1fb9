//! The handle of an attempt at an endpoint of a port that one worker has alone.

use alloc::sync::Arc;

use crate::address::EndpointAddr;
use crate::balance::Member;
use crate::endpoints::EndpointId;
use crate::stats::{AnswerHead, Attempt, EjectionChange, EndpointStats, Heard, PortStats, Probe, Subject};
use crate::time::Now;

/// A [`Attempt`] that keeps what it is about: the snapshot may change, and the port may go, while it lasts. Nothing is allocated for it.
#[derive(Debug)]
#[must_use = "its end takes it off the load of its endpoint"]
pub struct AttemptHandle {
    id: EndpointId,
    addr: EndpointAddr,
    endpoint: Arc<EndpointStats>,
    port: Arc<PortStats>,
    attempt: Attempt,
}

impl AttemptHandle {
    pub(super) fn begin(
        member: &Member,
        port: &Arc<PortStats>,
        probe: Option<Probe>,
        now: Now,
    ) -> AttemptHandle {
        AttemptHandle {
            id: member.id,
            addr: member.addr,
            endpoint: member.stats.clone(),
            port: port.clone(),
            attempt: Attempt::begin(&member.stats, probe, now),
        }
    }

    /// The endpoint of this attempt.
    pub fn id(&self) -> EndpointId {
        self.id
    }

    /// Where that is.
    pub fn addr(&self) -> EndpointAddr {
        self.addr
    }

    /// As [`Attempt::hears`].
    pub fn hears<'h>(
        &mut self,
        head: AnswerHead<impl Fn(&str) -> Option<&'h [u8]>>,
        unix_seconds: impl FnOnce() -> u64,
        now: Now,
        draw: impl FnOnce() -> u64,
    ) -> Heard {
        let (of, attempt) = self.parts();
        attempt.hears(head, of, unix_seconds, now, draw)
    }

    /// As [`Attempt::hears_grpc`], of trailers.
    pub fn hears_grpc<'h>(
        &mut self,
        field: impl Fn(&str) -> Option<&'h [u8]>,
        now: Now,
        draw: impl FnOnce() -> u64,
    ) -> Heard {
        let (of, attempt) = self.parts();
        attempt.hears_grpc(field, of, || (now, draw()))
    }

    /// As [`Attempt::succeeded`].
    pub fn succeeded(&mut self, now: Now) -> Option<EjectionChange> {
        let (of, attempt) = self.parts();
        attempt.succeeded(of, now)
    }

    /// As [`Attempt::failed`].
    pub fn failed(&mut self, now: Now, draw: impl FnOnce() -> u64) -> Option<EjectionChange> {
        let (of, attempt) = self.parts();
        attempt.failed(of, || (now, draw()))
    }

    /// Nothing is asked of the endpoint any more. If nothing was said of what came of the attempt, it tells nothing about the endpoint.
    pub fn end(mut self, now: Now, draw: impl FnOnce() -> u64) {
        let (of, attempt) = self.parts();
        attempt.end(of, || (now, draw()));
    }

    fn parts(&mut self) -> (Subject<'_>, &mut Attempt) {
        (Subject { endpoint: &self.endpoint, port: &self.port }, &mut self.attempt)
    }
}
