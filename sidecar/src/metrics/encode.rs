//! The counts as OpenMetrics, under the names of the contract.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use svc_core::outcome::Failure;
use svc_core::proxy_protocol::ProxyHeaderResult;
use svc_proto::names::metric;

use super::floods::Flood;
use super::series::{Closed, Direction, Learned, LookedUp, Protocol, SeriesKey, Snapshot, now_ms};
use super::{Metrics, requests};
use crate::config::DiscoverySettings;
use crate::log;
use crate::sync::lock;

/// The registry wants to own its collectors; the data path owns these counts.
#[derive(Debug)]
pub(super) struct SharedMetrics(pub(super) Arc<Metrics>);

impl Collector for SharedMetrics {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.0.encode(encoder)
    }
}

impl Metrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let series: Vec<_> = {
            let series = lock(&self.series);
            series.iter().map(|(key, series)| (key.clone(), series.clone())).collect()
        };
        requests::encode(&mut encoder, &series)?;
        encode_connections(&mut encoder, &series)?;
        self.failures.encode(&mut encoder)?;
        encode_retries(&mut encoder, &self.retries)?;
        for (name, help, count) in [
            (
                metric::RETRY_BUDGET_EXHAUSTED,
                "Requests that failed because too many had been sent again",
                &self.retry_budget_exhausted,
            ),
            (
                metric::DETECT_TIMEOUTS,
                "Connections whose client said nothing in time to tell its protocol",
                &self.detect_timeouts,
            ),
            (metric::PASSED_THROUGH, "Captured connections to no Service of ours", &self.passed_through),
            (
                metric::INTERIM_DROPPED,
                "Interim responses (1xx) of endpoints that clients were not told of",
                &self.interim_dropped,
            ),
            (
                metric::BARE_LINE_FEEDS,
                "Heads of endpoints' answers with lines that end with LF alone, which were mended",
                &self.bare_line_feeds,
            ),
            (
                metric::ACCESS_LOG_DROPPED,
                "Lines of the access log that nobody took in time",
                &self.access_log_dropped,
            ),
            (
                metric::ACCEPT_FAILURES,
                "Attempts to accept a connection that failed, as without descriptors",
                &self.accept_failures,
            ),
            (
                metric::DNS_STALE_ANSWERS,
                "Look-ups that failed while the last good answer serves on",
                &self.dns_stale_answers,
            ),
        ] {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            metric.encode_counter::<NoLabelSet, _, u64>(&count.load(Relaxed), None)?;
        }
        encode_log(&mut encoder)?;
        self.datagrams.encode(&mut encoder)?;
        encode_updates(&mut encoder, &self.updates)?;
        self.tls.encode(&mut encoder)?;
        encode_lookups(&mut encoder, &self.dns_lookups)?;
        encode_greetings(&mut encoder, &self.proxy_headers)?;
        encode_floods(&mut encoder, &self.floods)?;
        let age_ms = now_ms().saturating_sub(self.snapshot_ms.load(Relaxed));
        encoder
            .encode_descriptor(
                metric::SNAPSHOT_AGE_SECONDS,
                "Time since the snapshot was put in force",
                None,
                MetricType::Gauge,
            )?
            .encode_gauge(&(age_ms as f64 / 1000.0))?;
        let build = [("version", env!("CARGO_PKG_VERSION"))];
        encoder
            .encode_descriptor(metric::BUILD_INFO, "What runs", None, MetricType::Gauge)?
            .encode_family(&build)?
            .encode_gauge(&1_i64)
    }
}

fn encode_log(encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let help = "Lines of the log that nobody took in time, or that were too many of a kind";
    let mut metric = encoder.encode_descriptor(metric::LOG_DROPPED, help, None, MetricType::Counter)?;
    for (reason, lines) in [("queue", &log::LINES_LOST), ("rate", &log::LINES_SUPPRESSED)] {
        let labels = [("reason", reason)];
        metric.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&lines.load(Relaxed), None)?;
    }
    Ok(())
}

fn encode_connections(encoder: &mut DescriptorEncoder<'_>, all: &Snapshot) -> fmt::Result {
    let labels = |key: &SeriesKey, more: Option<(&'static str, &'static str)>| -> Vec<(&str, String)> {
        let mut labels = vec![
            ("direction", key.direction.as_str().to_owned()),
            ("service", key.service.to_string()),
            ("endpoint", key.endpoint.to_string()),
        ];
        labels.extend(more.map(|(name, value)| (name, value.to_owned())));
        labels
    };
    let counter = |metric: &mut MetricEncoder<'_>, labels: Vec<(&str, String)>, count: &AtomicU64| {
        metric.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&count.load(Relaxed), None)
    };
    let mut metric = encoder.encode_descriptor(
        metric::CONNECTIONS_OPENED,
        "Connections opened to endpoints",
        None,
        MetricType::Counter,
    )?;
    for (key, series) in all {
        counter(&mut metric, labels(key, None), &series.opened)?;
    }
    let mut metric = encoder.encode_descriptor(
        metric::CONNECTIONS_CLOSED,
        "Connections to endpoints that closed",
        None,
        MetricType::Counter,
    )?;
    for (key, series) in all {
        for how in [Closed::Done, Closed::Failed, Closed::Cut] {
            counter(&mut metric, labels(key, Some(("reason", how.as_str()))), &series.closed[how as usize])?;
        }
    }
    let mut metric = encoder.encode_descriptor(
        metric::CONNECTIONS_OPEN,
        "Open connections to endpoints",
        None,
        MetricType::Gauge,
    )?;
    for (key, series) in all {
        metric.encode_family(&labels(key, None))?.encode_gauge(&(series.open.load(Relaxed) as i64))?;
    }
    let mut metric =
        encoder.encode_descriptor(metric::BYTES, "Payload bytes relayed", None, MetricType::Counter)?;
    for (key, series) in all {
        counter(&mut metric, labels(key, Some(("flow", "to_upstream"))), &series.to_upstream_bytes)?;
        counter(&mut metric, labels(key, Some(("flow", "to_client"))), &series.to_client_bytes)?;
    }
    Ok(())
}

fn encode_retries(encoder: &mut DescriptorEncoder<'_>, counts: &[AtomicU64]) -> fmt::Result {
    let mut metric =
        encoder.encode_descriptor(metric::RETRIES, "Requests sent again", None, MetricType::Counter)?;
    for failure in Failure::ALL {
        let count = counts[failure as usize].load(Relaxed);
        if count > 0 {
            let labels = [("reason", failure.verdict().code)];
            metric.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&count, None)?;
        }
    }
    Ok(())
}

fn encode_updates(
    encoder: &mut DescriptorEncoder<'_>,
    updates: &[[AtomicU64; Learned::ALL.len()]; DiscoverySettings::SOURCES.len()],
) -> fmt::Result {
    let help = "What sources told, by what came of it";
    let mut metric = encoder.encode_descriptor(metric::DISCOVERY_UPDATES, help, None, MetricType::Counter)?;
    for (source, counts) in DiscoverySettings::SOURCES.iter().zip(updates) {
        for (learned, count) in Learned::ALL.iter().zip(counts) {
            let labels = [("source", source.as_str()), ("result", learned.as_str())];
            metric
                .encode_family(&labels)?
                .encode_counter::<NoLabelSet, _, u64>(&count.load(Relaxed), None)?;
        }
    }
    Ok(())
}

fn encode_lookups(encoder: &mut DescriptorEncoder<'_>, counts: &[AtomicU64]) -> fmt::Result {
    let help = "Questions to DNS, each for one type of record of one name";
    let mut metric = encoder.encode_descriptor(metric::DNS_LOOKUPS, help, None, MetricType::Counter)?;
    for (result, count) in LookedUp::ALL.into_iter().zip(counts) {
        let labels = [("result", result.as_str())];
        metric.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&count.load(Relaxed), None)?;
    }
    Ok(())
}

fn encode_greetings(encoder: &mut DescriptorEncoder<'_>, counts: &[AtomicU64]) -> fmt::Result {
    let help = "Connections that had to begin with a PROXY header, by what came of it";
    let mut metric = encoder.encode_descriptor(metric::PROXY_HEADERS, help, None, MetricType::Counter)?;
    for (result, count) in ProxyHeaderResult::ALL.into_iter().zip(counts) {
        let labels = [("result", result.as_str())];
        metric.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&count.load(Relaxed), None)?;
    }
    Ok(())
}

fn encode_floods(encoder: &mut DescriptorEncoder<'_>, counts: &[AtomicU64]) -> fmt::Result {
    let help = "Connections of clients that did what nobody does who wants an answer";
    let mut metric = encoder.encode_descriptor(metric::FLOODS, help, None, MetricType::Counter)?;
    for (flood, count) in Flood::ALL.into_iter().zip(counts) {
        let labels = [("kind", flood.as_str())];
        metric.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&count.load(Relaxed), None)?;
    }
    Ok(())
}

impl LookedUp {
    fn as_str(self) -> &'static str {
        match self {
            LookedUp::Ok => "ok",
            LookedUp::NxDomain => "nxdomain",
            LookedUp::NoData => "nodata",
            LookedUp::ServFail => "servfail",
            LookedUp::Timeout => "timeout",
            LookedUp::Error => "error",
        }
    }
}

impl Direction {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Direction::Inbound => "inbound",
            Direction::Outbound => "outbound",
        }
    }
}

impl Protocol {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
            Protocol::Http1 => "http/1.1",
            Protocol::Http2 => "h2",
            Protocol::Grpc => "grpc",
        }
    }
}

impl Learned {
    fn as_str(self) -> &'static str {
        match self {
            Learned::Applied => "applied",
            Learned::Unchanged => "unchanged",
            Learned::Refused => "refused",
        }
    }
}

impl Closed {
    fn as_str(self) -> &'static str {
        match self {
            Closed::Done => "done",
            Closed::Failed => "failed",
            Closed::Cut => "cut",
        }
    }
}
