//! What `/metrics` counts: plain atomics that the data path adds to, read by whoever scrapes.
//!
//! A [`Series`] belongs to one (direction, service, endpoint); the data path looks it up once, when it first meets the endpoint,
//! and holds on to it. Labels are closed sets: nothing that a client chooses becomes one.

mod datagrams;
mod encode;
mod failures;
pub(crate) mod floods;
pub(crate) mod format;
mod process;
mod requests;
mod series;
mod text;
mod tls;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::registry::Registry;
use svc_core::outcome::Failure;
use svc_core::proxy_protocol::ProxyHeaderResult;
use svc_core::table::{Source, Table};
use svc_proto::names::metric;

use crate::config::DiscoverySettings;
use crate::sync::lock;

use encode::SharedMetrics;
use failures::Failures;
use floods::Flood;
use format::Format;
use process::Process;
use series::{is_known, now_ms};

pub(crate) use datagrams::{DatagramLoss, Datagrams, Towards};
pub(crate) use series::{Closed, Direction, Learned, LookedUp, Protocol, Series, SeriesKey};

pub(crate) use tls::HandshakeResult;

/// Everything that is counted.
#[derive(Debug)]
pub(crate) struct Metrics {
    series: Mutex<BTreeMap<SeriesKey, Arc<Series>>>,
    failures: Failures,
    retries: [AtomicU64; Failure::ALL.len()],
    pub(crate) retry_budget_exhausted: AtomicU64,
    pub(crate) detect_timeouts: AtomicU64,
    pub(crate) passed_through: AtomicU64,
    pub(crate) accept_failures: AtomicU64,
    pub(crate) interim_dropped: AtomicU64,
    bare_line_feeds: AtomicU64,
    pub(crate) datagrams: Datagrams,
    /// Shared with the log's own thread.
    pub(crate) access_log_dropped: Arc<AtomicU64>,
    floods: [AtomicU64; Flood::ALL.len()],
    dns_lookups: [AtomicU64; LookedUp::ALL.len()],
    proxy_headers: [AtomicU64; ProxyHeaderResult::ALL.len()],
    /// Refreshes that failed while an earlier answer serves on.
    pub(crate) dns_stale_answers: AtomicU64,
    tls: tls::HandshakeCounts,
    updates: [[AtomicU64; Learned::ALL.len()]; DiscoverySettings::SOURCES.len()],
    snapshot_ms: AtomicU64,
}

/// How long the series of an endpoint that nobody uses any more is shown.
const FORGET_AFTER: Duration = Duration::from_secs(600);

impl Metrics {
    pub(crate) fn new() -> Arc<Metrics> {
        Arc::new(Metrics {
            series: Mutex::default(),
            failures: Failures::default(),
            retries: [const { AtomicU64::new(0) }; Failure::ALL.len()],
            retry_budget_exhausted: AtomicU64::new(0),
            detect_timeouts: AtomicU64::new(0),
            passed_through: AtomicU64::new(0),
            accept_failures: AtomicU64::new(0),
            interim_dropped: AtomicU64::new(0),
            bare_line_feeds: AtomicU64::new(0),
            datagrams: Datagrams::default(),
            access_log_dropped: Arc::default(),
            floods: Default::default(),
            dns_lookups: Default::default(),
            proxy_headers: Default::default(),
            dns_stale_answers: AtomicU64::new(0),
            tls: tls::HandshakeCounts::default(),
            updates: Default::default(),
            snapshot_ms: AtomicU64::new(0),
        })
    }

    /// Renders everything: what was counted, what is `observed` at that moment, and the process itself. Series of endpoints that `table` no
    /// longer has are forgotten.
    pub(crate) fn renderer(
        self: &Arc<Self>,
        observed: impl Collector + 'static,
        table: Arc<ArcSwap<Table>>,
    ) -> Box<dyn Fn(Format) -> String + Send + Sync> {
        let mut registry = Registry::with_prefix(metric::PREFIX);
        registry.register_collector(Box::new(SharedMetrics(self.clone())));
        let metrics = self.clone();
        registry.register_collector(Box::new(observed));
        let mut of_process = Registry::default();
        of_process.register_collector(Box::new(Process::begun_now()));
        Box::new(move |format| {
            metrics.forget_gone(&table.load());
            let page = page(&[&registry, &of_process]).expect("a String takes every write");
            match format {
                Format::OpenMetrics => page,
                Format::Text => text::of_open_metrics(&page),
            }
        })
    }

    /// The series of `key`. Takes a lock: the data path asks once per endpoint, not per request.
    pub(crate) fn series(&self, key: SeriesKey) -> Arc<Series> {
        let series = lock(&self.series).entry(key).or_default().clone();
        series.used(); // nobody may hold it when it is shown
        series
    }

    /// Something failed; `service` is empty where none was meant.
    pub(crate) fn failed(&self, service: &Arc<str>, failure: Failure) {
        self.failures.add(service, failure);
    }

    /// Counts what is odd about an endpoint's answer over HTTP/1.
    pub(crate) fn heard(&self, has_bare_line_feed: bool) {
        if has_bare_line_feed {
            self.bare_line_feeds.fetch_add(1, Relaxed);
        }
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
    pub(crate) fn greeted(&self, result: ProxyHeaderResult) {
        self.proxy_headers[result as usize].fetch_add(1, Relaxed);
    }

    /// A new snapshot is in force.
    pub(crate) fn published(&self) {
        self.snapshot_ms.store(now_ms(), Relaxed);
    }

    /// Drops the series that only this registry still holds and that nothing has touched for [`FORGET_AFTER`]. What no endpoint was
    /// asked for stays as long as its Service.
    fn forget_gone(&self, table: &Table) {
        let before_ms = now_ms().saturating_sub(FORGET_AFTER.as_millis() as u64);
        let mut series = lock(&self.series);
        series.retain(|key, series| {
            let is_used = Arc::strong_count(series) > 1 || series.used_ms.load(Relaxed) >= before_ms;
            is_used || (key.endpoint.is_empty() && is_known(&key.service, table))
        });
        drop(series);
        self.failures.forget_gone(table, before_ms);
    }
}

fn page(registries: &[&Registry]) -> Result<String, std::fmt::Error> {
    let mut page = String::new();
    for registry in registries {
        encode_registry(&mut page, registry)?;
    }
    encode_eof(&mut page)?;
    Ok(page)
}
