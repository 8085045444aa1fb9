//! What is counted of each endpoint, and the labels that tell its series apart.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use svc_core::address::ServiceName;
use svc_core::grpc::Status;
use svc_core::table::Table;

use super::requests::Requests;
use crate::clock;

/// What tells one series from another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SeriesKey {
    pub(crate) direction: Direction,
    /// `namespace/name`, or empty when there is no Service.
    pub(crate) service: Arc<str>,
    /// `address:port`, or empty when no endpoint was reached.
    pub(crate) endpoint: Arc<str>,
}

/// Which way a connection goes, seen from the pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Direction {
    /// To us, from elsewhere.
    Inbound,
    /// From us, to elsewhere.
    Outbound,
}

/// What a connection or request speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Tcp,
    Udp,
    Http1,
    Http2,
    Grpc,
}

/// Why a connection closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closed {
    Done,
    Failed,
    /// We ended it: the endpoint had left, or was silent.
    Cut,
}

/// What came of an update from a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Learned {
    /// A new snapshot is in force.
    Applied,
    /// It said nothing new.
    Unchanged,
    /// Some of it does not serve that was not refused before; the rest is in force.
    Refused,
}

impl Learned {
    pub(super) const ALL: [Learned; 3] = [Learned::Applied, Learned::Unchanged, Learned::Refused];
}

/// What came of asking DNS for the records of one type of one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LookedUp {
    Ok,
    /// There is no such name.
    NxDomain,
    /// There is, and it has no such record.
    NoData,
    ServFail,
    Timeout,
    /// Anything else: refused, malformed, no way to the server.
    Error,
}

impl LookedUp {
    pub(super) const ALL: [LookedUp; 6] = [
        LookedUp::Ok,
        LookedUp::NxDomain,
        LookedUp::NoData,
        LookedUp::ServFail,
        LookedUp::Timeout,
        LookedUp::Error,
    ];
}

/// The counts of one (direction, service, endpoint).
#[derive(Debug, Default)]
pub(crate) struct Series {
    pub(crate) opened: AtomicU64,
    pub(crate) open: AtomicU64,
    pub(super) closed: [AtomicU64; 3],
    pub(crate) to_upstream_bytes: AtomicU64,
    pub(crate) to_client_bytes: AtomicU64,
    pub(super) requests: [OnceLock<Box<Requests>>; 3],
    pub(super) used_ms: AtomicU64,
}

impl Series {
    /// A request has ended, for better or worse: with `call` where it was a call of gRPC.
    pub(crate) fn answered(&self, protocol: Protocol, status: u16, call: Option<Status>, took: Duration) {
        let requests = match protocol {
            Protocol::Http1 => &self.requests[0],
            Protocol::Http2 => &self.requests[1],
            Protocol::Grpc => &self.requests[2],
            Protocol::Tcp | Protocol::Udp => return,
        };
        requests.get_or_init(Requests::new).add(status, call, took);
    }

    pub(crate) fn closed(&self, how: Closed) {
        self.open.fetch_sub(1, Relaxed);
        self.closed[how as usize].fetch_add(1, Relaxed);
        self.used();
    }

    /// It is shown for a while from now on, whatever becomes of its endpoint.
    pub(crate) fn used(&self) {
        self.used_ms.store(now_ms(), Relaxed);
    }
}

/// Whether a Service of that name (`namespace/name`) is in the table.
pub(super) fn is_known(service: &str, table: &Table) -> bool {
    let name = service.split_once('/').map(|(namespace, name)| ServiceName::new(namespace, name));
    name.is_some_and(|name| table.by_name(&name).is_some())
}

pub(super) fn now_ms() -> u64 {
    clock::now().0.as_millis() as u64
}

pub(super) type Snapshot = [(SeriesKey, Arc<Series>)];
