//! The requests of one series: how many, by how they ended, and how long they took.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::time::Duration;

use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use svc_core::grpc::Status;
use svc_proto::names::metric;

use super::series::{Protocol, SeriesKey, Snapshot};
use crate::sync::lock;

/// Requests of one protocol. 500 × 4 bytes for the statuses: 2 KiB per endpoint that has answered at all.
#[derive(Debug)]
pub(super) struct Requests {
    by_status: [AtomicU32; STATUS_END - STATUS_BEGIN],
    /// Calls of gRPC whose answer has the status 200, as nearly all have.
    calls: [AtomicU32; Status::ALL.len()],
    /// The other calls, by the status of their answer. At most 500 × 17 entries of some 30 bytes: 255 KiB, of an endpoint that tries.
    odd_calls: Mutex<BTreeMap<(u16, Status), u64>>,
    durations: [AtomicU64; BUCKETS_MS.len() + 1],
    total_us: AtomicU64,
}

const STATUS_BEGIN: usize = 100;
const STATUS_END: usize = 600;

/// The HTTP status of an answer to a call of gRPC.
const CALL_ANSWERED: u16 = 200;

/// Upper bounds of the duration histogram, in ms: half a millisecond is a neighbour, half a minute is a time-out.
const BUCKETS_MS: [f64; 14] =
    [0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 10_000.0, 30_000.0];

impl Requests {
    pub(super) fn new() -> Box<Requests> {
        Box::new(Requests {
            by_status: [const { AtomicU32::new(0) }; STATUS_END - STATUS_BEGIN],
            calls: [const { AtomicU32::new(0) }; Status::ALL.len()],
            odd_calls: Mutex::default(),
            durations: [const { AtomicU64::new(0) }; BUCKETS_MS.len() + 1],
            total_us: AtomicU64::new(0),
        })
    }

    /// Counts one that has ended: with `call` where it was a call of gRPC.
    pub(super) fn add(&self, status: u16, call: Option<Status>, took: Duration) {
        let index = usize::from(status).clamp(STATUS_BEGIN, STATUS_END - 1) - STATUS_BEGIN;
        match call {
            None => drop(self.by_status[index].fetch_add(1, Relaxed)),
            Some(call) if status == CALL_ANSWERED => drop(self.calls[call as usize].fetch_add(1, Relaxed)),
            Some(call) => {
                let code = (STATUS_BEGIN + index) as u16;
                let mut odd_calls = lock(&self.odd_calls);
                *odd_calls.entry((code, call)).or_default() += 1;
            }
        }
        let took_us = took.as_micros() as u64;
        let bucket = BUCKETS_MS.iter().take_while(|&&upper_ms| took_us as f64 > upper_ms * 1000.0).count();
        self.durations[bucket].fetch_add(1, Relaxed);
        self.total_us.fetch_add(took_us, Relaxed);
    }

    /// How many there were of each kind, of those kinds that there were.
    fn counts(&self) -> Vec<(u16, Option<Status>, u64)> {
        let plain = self
            .by_status
            .iter()
            .enumerate()
            .map(|(index, count)| ((STATUS_BEGIN + index) as u16, None, u64::from(count.load(Relaxed))));
        let calls = Status::ALL.into_iter().zip(&self.calls);
        let calls = calls.map(|(call, count)| (CALL_ANSWERED, Some(call), u64::from(count.load(Relaxed))));
        let odd_calls = lock(&self.odd_calls);
        let odd_calls = odd_calls.iter().map(|(&(code, call), &count)| (code, Some(call), count));
        plain.chain(calls).chain(odd_calls).filter(|(_, _, count)| *count > 0).collect()
    }
}

pub(super) fn encode(encoder: &mut DescriptorEncoder<'_>, all: &Snapshot) -> fmt::Result {
    let help = "Requests that have ended, by the status that their client was sent";
    let mut metric = encoder.encode_descriptor(metric::REQUESTS, help, None, MetricType::Counter)?;
    for (key, protocol, requests) in ended(all) {
        for (code, call, count) in requests.counts() {
            let code = code.to_string();
            let labels = [
                ("direction", key.direction.as_str()),
                ("service", &key.service),
                ("endpoint", &key.endpoint),
                ("protocol", protocol.as_str()),
                ("code", &code),
                ("grpc_status", call.map_or("", Status::as_str)),
            ];
            metric.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&count, None)?;
        }
    }
    encode_durations(encoder, all)
}

fn encode_durations(encoder: &mut DescriptorEncoder<'_>, all: &Snapshot) -> fmt::Result {
    let help = "Time from a request's head to the last byte of its answer";
    let name = metric::REQUEST_DURATION_SECONDS;
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
    for (key, protocol, requests) in ended(all) {
        let buckets: Vec<(f64, u64)> = BUCKETS_MS
            .iter()
            .map(|upper_ms| upper_ms / 1000.0)
            .chain([f64::INFINITY])
            .zip(requests.durations.iter().map(|count| count.load(Relaxed)))
            .collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let labels = [
            ("direction", key.direction.as_str()),
            ("service", &key.service),
            ("endpoint", &key.endpoint),
            ("protocol", protocol.as_str()),
        ];
        let total = requests.total_us.load(Relaxed) as f64 / 1e6;
        metric.encode_family(&labels)?.encode_histogram::<NoLabelSet>(total, count, &buckets, None)?;
    }
    Ok(())
}

fn ended(all: &Snapshot) -> impl Iterator<Item = (&SeriesKey, Protocol, &Requests)> {
    all.iter().flat_map(|(key, series)| {
        [Protocol::Http1, Protocol::Http2, Protocol::Grpc]
            .into_iter()
            .zip(&series.requests)
            .filter_map(move |(protocol, requests)| Some((key, protocol, &**requests.get()?)))
    })
}
