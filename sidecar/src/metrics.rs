//! What `/metrics` counts: plain atomics that the data path adds to, read by whoever scrapes.
//!
//! A [`Series`] belongs to one (direction, service, endpoint); the data path looks it up once, when it first meets the endpoint,
//! and holds on to it. Labels are closed sets: nothing that a client chooses becomes one.

mod datagrams;
mod encode;
mod observed;
mod tls;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use prometheus_client::registry::Registry;
use svc_core::introduction::Greeting;
use svc_core::outcome::Failure;
use svc_core::table::Source;
use svc_proto::names::metric;

pub(crate) use datagrams::{Datagrams, Lost, Towards};
use encode::Shared;
pub(crate) use observed::Observed;

pub(crate) use tls::Handshake;

use crate::clock;
use crate::config::Discovery;
use crate::path::flood::Flood;

/// Everything that is counted.
#[derive(Debug)]
pub(crate) struct Metrics {
    series: Mutex<BTreeMap<SeriesKey, Arc<Series>>>,
    failures: [AtomicU64; Failure::ALL.len()],
    retries: [AtomicU64; Failure::ALL.len()],
    pub(crate) retry_budget_exhausted: AtomicU64,
    pub(crate) detect_timeouts: AtomicU64,
    pub(crate) passed_through: AtomicU64,
    pub(crate) datagrams: Datagrams,
    /// Shared with the log's own thread.
    pub(crate) access_log_dropped: Arc<AtomicU64>,
    floods: [AtomicU64; Flood::ALL.len()],
    dns_lookups: [AtomicU64; LookedUp::ALL.len()],
    proxy_headers: [AtomicU64; Greeting::ALL.len()],
    /// Refreshes that failed while an earlier answer serves on.
    pub(crate) dns_stale_answers: AtomicU64,
    tls: tls::Counts,
    updates: [[AtomicU64; Learned::ALL.len()]; Discovery::SOURCES.len()],
    snapshot_ms: AtomicU64,
}

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
    const ALL: [Learned; 3] = [Learned::Applied, Learned::Unchanged, Learned::Refused];
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
    const ALL: [LookedUp; 6] = [
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
    closed: [AtomicU64; 3],
    pub(crate) to_upstream_bytes: AtomicU64,
    pub(crate) to_client_bytes: AtomicU64,
    requests: [OnceLock<Box<Requests>>; 3],
    used_ms: AtomicU64,
}

/// Requests of one protocol. 500 × 4 bytes for the statuses: 2 KiB per endpoint that has answered at all.
#[derive(Debug)]
struct Requests {
    by_status: [AtomicU32; STATUS_END - STATUS_BEGIN],
    durations: [AtomicU64; BUCKETS_MS.len() + 1],
    total_us: AtomicU64,
}

const STATUS_BEGIN: usize = 100;
const STATUS_END: usize = 600;

/// Upper bounds of the duration histogram, in ms: half a millisecond is a neighbour, half a minute is a time-out.
const BUCKETS_MS: [f64; 14] =
    [0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 10_000.0, 30_000.0];

/// How long the series of an endpoint that nobody uses any more is shown.
const FORGET_AFTER: Duration = Duration::from_secs(600);

impl Metrics {
    pub(crate) fn new() -> Arc<Metrics> {
        Arc::new(Metrics {
            series: Mutex::default(),
            failures: [const { AtomicU64::new(0) }; Failure::ALL.len()],
            retries: [const { AtomicU64::new(0) }; Failure::ALL.len()],
            retry_budget_exhausted: AtomicU64::new(0),
            detect_timeouts: AtomicU64::new(0),
            passed_through: AtomicU64::new(0),
            datagrams: Datagrams::default(),
            access_log_dropped: Arc::default(),
            floods: Default::default(),
            dns_lookups: Default::default(),
            proxy_headers: Default::default(),
            dns_stale_answers: AtomicU64::new(0),
            tls: tls::Counts::default(),
            updates: Default::default(),
            snapshot_ms: AtomicU64::new(0),
        })
    }

    /// Renders everything as OpenMetrics text: what was counted, and what is observed at that moment.
    pub(crate) fn renderer(self: &Arc<Self>, observed: Observed) -> Box<dyn Fn() -> String + Send + Sync> {
        let mut registry = Registry::with_prefix(metric::PREFIX);
        registry.register_collector(Box::new(Shared(self.clone())));
        registry.register_collector(Box::new(observed));
        let metrics = self.clone();
        Box::new(move || {
            metrics.forget_gone();
            let mut text = String::new();
            prometheus_client::encoding::text::encode(&mut text, &registry)
                .expect("a String takes every write");
            text
        })
    }

    /// The series of `key`. Takes a lock: the data path asks once per endpoint, not per request.
    pub(crate) fn series(&self, key: SeriesKey) -> Arc<Series> {
        self.series.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default().clone()
    }

    pub(crate) fn failed(&self, failure: Failure) {
        self.failures[failure as usize].fetch_add(1, Relaxed);
    }

    pub(crate) fn retried(&self, because: Failure) {
        self.retries[because as usize].fetch_add(1, Relaxed);
    }

    /// A client was stopped from flooding us.
    pub(crate) fn flooded(&self, flood: Flood) {
        self.flooded_by(flood, 1);
    }

    /// So many were.
    pub(crate) fn flooded_by(&self, flood: Flood, clients: u64) {
        self.floods[flood as usize].fetch_add(clients, Relaxed);
    }

    /// A source has told something: one that a sidecar can read.
    pub(crate) fn updated(&self, source: Source, learned: Learned) {
        if let Some(counts) = self.updates.get(source as usize) {
            counts[learned as usize].fetch_add(1, Relaxed);
        }
    }

    /// DNS has been asked once.
    pub(crate) fn looked_up(&self, result: LookedUp) {
        self.dns_lookups[result as usize].fetch_add(1, Relaxed);
    }

    /// A connection had to say whom it is for.
    pub(crate) fn greeted(&self, greeting: Greeting) {
        self.proxy_headers[greeting as usize].fetch_add(1, Relaxed);
    }

    /// A new snapshot is in force.
    pub(crate) fn published(&self) {
        self.snapshot_ms.store(now_ms(), Relaxed);
    }

    /// Drops the series that only this registry still holds and that nothing has touched for [`FORGET_AFTER`].
    fn forget_gone(&self) {
        let before = now_ms().saturating_sub(FORGET_AFTER.as_millis() as u64);
        let mut series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        series.retain(|_, series| Arc::strong_count(series) > 1 || series.used_ms.load(Relaxed) >= before);
    }
}

impl Series {
    /// A request has ended, for better or worse.
    pub(crate) fn answered(&self, protocol: Protocol, status: u16, took: Duration) {
        let requests = match protocol {
            Protocol::Http1 => &self.requests[0],
            Protocol::Http2 => &self.requests[1],
            Protocol::Grpc => &self.requests[2],
            Protocol::Tcp | Protocol::Udp => return,
        };
        requests.get_or_init(Requests::new).add(status, took);
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

impl Requests {
    fn new() -> Box<Requests> {
        Box::new(Requests {
            by_status: [const { AtomicU32::new(0) }; STATUS_END - STATUS_BEGIN],
            durations: [const { AtomicU64::new(0) }; BUCKETS_MS.len() + 1],
            total_us: AtomicU64::new(0),
        })
    }

    fn add(&self, status: u16, took: Duration) {
        let index = usize::from(status).clamp(STATUS_BEGIN, STATUS_END - 1) - STATUS_BEGIN;
        self.by_status[index].fetch_add(1, Relaxed);
        let took_us = took.as_micros() as u64;
        let bucket = BUCKETS_MS.iter().take_while(|&&upper_ms| took_us as f64 > upper_ms * 1000.0).count();
        self.durations[bucket].fetch_add(1, Relaxed);
        self.total_us.fetch_add(took_us, Relaxed);
    }
}

fn now_ms() -> u64 {
    clock::now().0.as_millis() as u64
}
