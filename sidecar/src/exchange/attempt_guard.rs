//! One attempt at an endpoint, as its client's account has it.

use std::rc::Rc;
use std::time::{Duration, UNIX_EPOCH};

use hyper::HeaderMap;
use hyper::body::Frame;
use hyper::header::HeaderValue;
use hyper::http::response::Parts;
use svc_core::stats::{self, AnswerHead, EjectionChange, Heard, Probe, Subject};
use svc_core::time::Now;

use crate::clock;
use crate::context::WorkerContext;
use crate::upstream::Upstream;

/// An attempt, and the endpoint that it is at.
pub(crate) struct AttemptGuard {
    pub(crate) upstream: Rc<Upstream>,
    attempt: stats::Attempt,
}

impl AttemptGuard {
    pub(crate) fn begin(upstream: &Rc<Upstream>, probe: Option<Probe>, begun: Now) -> AttemptGuard {
        let attempt = stats::Attempt::begin(&upstream.stats, probe, begun);
        AttemptGuard { upstream: upstream.clone(), attempt }
    }

    /// As the attempt of core has it.
    pub(crate) fn has_had(&mut self, whole: Option<Now>) {
        self.attempt.has_had(whole);
    }

    /// As the attempt of core has it.
    pub(crate) fn had_for(&self, now: Now) -> Option<Duration> {
        self.attempt.had_for(now)
    }

    /// As the attempt of core has it.
    pub(crate) fn heeds_client(&mut self) {
        self.attempt.heeds_client();
    }

    /// The head of the endpoint's answer is there.
    pub(crate) fn hears(&mut self, head: &Parts, is_grpc: bool, context: &WorkerContext) {
        let head = AnswerHead { status: head.status.as_u16(), is_grpc, field: first_of(&head.headers) };
        let heard =
            self.attempt.hears(head, subject(&self.upstream), unix_seconds, clock::now(), || context.draw());
        self.notes(heard);
    }

    /// A part of a gRPC endpoint's answer is there: a message, or how the call went.
    pub(crate) fn hears_frame<T>(&mut self, frame: &Frame<T>, context: &WorkerContext) {
        let of = subject(&self.upstream);
        let heard = match frame.trailers_ref() {
            Some(trailers) => self.attempt.hears_grpc(first_of(trailers), of, || moment(context)),
            None => Heard { change: self.attempt.promises(of, clock::now), backoff: None },
        };
        self.notes(heard);
    }

    /// The endpoint did what it was asked.
    pub(crate) fn succeeded(&mut self, now: Now) {
        let change = self.attempt.succeeded(subject(&self.upstream), now);
        self.log(change);
    }

    /// The endpoint did not.
    pub(crate) fn failed(&mut self, context: &WorkerContext) {
        let change = self.attempt.failed(subject(&self.upstream), || moment(context));
        self.log(change);
    }

    /// Something more is asked of the endpoint, at `begun`: what comes of that is told anew.
    pub(crate) fn ask_again(&mut self, begun: Now) {
        self.attempt.ask_again(begun);
    }

    /// When it began to find out if an ejected endpoint is well again, while it does not know yet.
    pub(crate) fn probe_begun(&self) -> Option<Now> {
        self.attempt.probe_begun()
    }

    /// One side of a tunnel has said its last.
    pub(crate) fn half_closed(&mut self) {
        self.attempt.half_closed(&self.upstream.stats);
    }

    /// Nothing is asked of the endpoint any more.
    pub(crate) fn end(&mut self, context: &WorkerContext) {
        self.attempt.end(subject(&self.upstream), || moment(context));
    }

    fn notes(&self, heard: Heard) {
        if let Some(time) = heard.backoff {
            let (service, endpoint) = (&self.upstream.of.0, self.upstream.addr);
            tracing::debug!(%service, %endpoint, ?time, "endpoint asks to be spared");
        }
        self.log(heard.change);
    }

    fn log(&self, change: Option<EjectionChange>) {
        let (service, endpoint) = (&self.upstream.of.0, self.upstream.addr);
        match change {
            None => {}
            Some(EjectionChange::Ejected { reason, penalty }) => {
                tracing::info!(%service, %endpoint, reason = reason.as_str(), ?penalty, "endpoint ejected");
            }
            Some(EjectionChange::Kept { penalty }) => {
                tracing::debug!(%service, %endpoint, ?penalty, "endpoint stays ejected");
            }
            Some(EjectionChange::Returned) => tracing::info!(%service, %endpoint, "endpoint used again"),
        }
    }
}

fn subject(upstream: &Upstream) -> Subject<'_> {
    Subject { endpoint: &upstream.stats, port: &upstream.port.stats }
}

fn first_of<'h>(headers: &'h HeaderMap) -> impl Fn(&str) -> Option<&'h [u8]> {
    move |name| headers.get(name).map(HeaderValue::as_bytes)
}

fn moment(context: &WorkerContext) -> (Now, u64) {
    (clock::now(), context.draw())
}

fn unix_seconds() -> u64 {
    clock::wall().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
