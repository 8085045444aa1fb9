//! One attempt at an endpoint: what it adds to the endpoint's load, and what it says of its latency and health.

use std::rc::Rc;
use std::time::{Duration, UNIX_EPOCH};

use hyper::HeaderMap;
use hyper::body::Frame;
use hyper::header::{HeaderValue, RETRY_AFTER};
use hyper::http::response::Parts;
use svc_core::time::Now;
use svc_core::vitals::{Change, Health, Probe, asked_by_grpc_status, asked_by_status};

use super::mesh::Mesh;
use super::upstream::Upstream;
use crate::clock;

/// An attempt says at most once what came of it; if nothing is said, it tells nothing about the endpoint.
pub(crate) struct Trial {
    pub(crate) upstream: Rc<Upstream>,
    begun: Now,
    probe: Option<Probe>,
    is_told: bool,
    is_half_closed: bool,
}

impl Trial {
    pub(crate) fn begin(upstream: &Rc<Upstream>, probe: Option<Probe>, begun: Now) -> Trial {
        upstream.vitals.load.begin();
        Trial { upstream: upstream.clone(), begun, probe, is_told: false, is_half_closed: false }
    }

    /// The head of the endpoint's answer is there.
    pub(crate) fn hears(&mut self, head: &Parts, is_grpc: bool, mesh: &Mesh) {
        if is_good(head, is_grpc) {
            let now = clock::now();
            self.upstream.vitals.latency.observe(now.since(self.begun), now);
        }
        self.hears_plea(head);
        match Health::of_status(head.status.as_u16()) {
            Health::Failing => self.failed(mesh),
            Health::Well | Health::Busy if is_grpc => self.hears_grpc(&head.headers, mesh),
            Health::Well | Health::Busy => self.promises(),
        }
    }

    /// A part of a gRPC endpoint's answer is there: a message, or how the call went.
    pub(crate) fn hears_frame<T>(&mut self, frame: &Frame<T>, mesh: &Mesh) {
        match frame.trailers_ref() {
            Some(trailers) => self.hears_grpc(trailers, mesh),
            None => self.promises(),
        }
    }

    /// How a call went stands in the trailers, or in the headers when there is nothing between (gRPC over HTTP/2, "Responses").
    fn hears_grpc(&mut self, fields: &HeaderMap, mesh: &Mesh) {
        let Some(status) = fields.get(GRPC_STATUS).map(HeaderValue::as_bytes) else { return };
        self.spare(asked_by_grpc_status(status, fields.get(GRPC_PUSHBACK).map(HeaderValue::as_bytes)));
        match Health::of_grpc_status(status) {
            Health::Failing => self.failed(mesh),
            Health::Well | Health::Busy => self.promises(),
        }
    }

    fn hears_plea(&self, head: &Parts) {
        let status = head.status.as_u16();
        if !matches!(status, 429 | 503) {
            return; // no other status is one: most answers need no look at their headers, nor at the time of day
        }
        let retry_after = head.headers.get(RETRY_AFTER).map(HeaderValue::as_bytes);
        let since_1970 = clock::wall().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.spare(asked_by_status(status, retry_after, since_1970.as_secs()));
    }

    /// The endpoint may have asked to be left alone for some time.
    fn spare(&self, asked: Option<Duration>) {
        let Some(time) = asked else { return };
        let (service, endpoint) = (&self.upstream.of.0, self.upstream.addr);
        tracing::debug!(%service, %endpoint, ?time, "endpoint asks to be spared");
        self.upstream.vitals.share.spare(time, &self.upstream.port.vitals, clock::now());
    }

    /// The endpoint has begun well. Its last word is still to come, but an ejection need not wait for that: a stream may take hours.
    fn promises(&mut self) {
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
        let change = self.upstream.vitals.probe_succeeded(probe, &self.upstream.port.vitals, now);
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

    /// Something more is asked of the endpoint, at `begun`: what comes of that is told anew.
    pub(crate) fn ask_again(&mut self, begun: Now) {
        (self.begun, self.is_told) = (begun, false);
    }

    /// When it began to find out if an ejected endpoint is well again, while it does not know yet.
    pub(crate) fn probe_begun(&self) -> Option<Now> {
        self.probe.as_ref().map(|_| self.begun)
    }

    /// One side of a tunnel has said its last.
    pub(crate) fn half_closed(&mut self) {
        if !std::mem::replace(&mut self.is_half_closed, true) {
            self.upstream.vitals.load.half_close();
        }
    }

    /// Nothing is asked of the endpoint any more.
    pub(crate) fn end(&mut self, mesh: &Mesh) {
        match self.is_half_closed {
            true => self.upstream.vitals.load.end_half_closed(),
            false => self.upstream.vitals.load.end(),
        }
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

/// Whether the endpoint did what it was asked, so that the time it took counts: who refuses in no time must not look fast.
fn is_good(head: &Parts, is_grpc: bool) -> bool {
    let grpc_status = if is_grpc { head.headers.get(GRPC_STATUS) } else { None };
    Health::of_status(head.status.as_u16()) == Health::Well
        && grpc_status.is_none_or(|status| Health::of_grpc_status(status.as_bytes()) == Health::Well)
}

pub(super) const GRPC_STATUS: &str = "grpc-status";

/// When a server wants to have the call again (gRFC A6, "Pushback").
const GRPC_PUSHBACK: &str = "grpc-retry-pushback-ms";
