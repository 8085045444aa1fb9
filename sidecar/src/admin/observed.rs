//! What is not counted as it happens, but read when somebody asks.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use arc_swap::ArcSwap;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use svc_core::endpoints::{Endpoint, EndpointId};
use svc_core::stats::Reason;
use svc_core::table::{Entry, Table};
use svc_proto::names::metric;

use crate::shared::Shared;

/// Where to look. A scrape at 10,000 Services × 100 endpoints walks over a million of them, and writes a line for each Service
/// and state: no endpoint has a series here.
#[derive(Debug)]
pub(crate) struct Observed {
    /// The snapshot in force.
    pub(crate) table: Arc<ArcSwap<Table>>,
    /// Who is connected.
    pub(crate) shared: Arc<Shared>,
}

impl Collector for Observed {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Open client connections";
        encoder
            .encode_descriptor(metric::CLIENT_CONNECTIONS_OPEN, help, None, MetricType::Gauge)?
            .encode_gauge(&(self.shared.connections.load(Relaxed) as i64))?;
        let memory = &self.shared.memory;
        for (name, help, bytes) in [
            (metric::MEMORY_HELD_BYTES, "What buffers of clients have allocated", memory.held_bytes()),
            (
                metric::MEMORY_MAX_BYTES,
                "The bound of what buffers of clients may allocate",
                memory.max_bytes(),
            ),
        ] {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            metric.encode_gauge(&i64::try_from(bytes).unwrap_or(i64::MAX))?;
        }
        let help = "Flows of datagrams: clients with an endpoint, or on their way to one";
        encoder
            .encode_descriptor(metric::UDP_FLOWS, help, None, MetricType::Gauge)?
            .encode_gauge(&(self.shared.udp_flows.load(Relaxed) as i64))?;
        let help = "Clients that session affinity has pinned to an endpoint, over all Service ports";
        encoder
            .encode_descriptor(metric::AFFINITY_ENTRIES, help, None, MetricType::Gauge)?
            .encode_gauge(&(self.shared.pinned() as i64))?;
        encode_endpoints(&mut encoder, &self.table.load_full(), &self.shared.out())?;
        encode_ejections(&mut encoder, &self.shared)
    }
}

/// Hosts that only DNS knows have no line: clients choose them. Every Service has its `ready` line, for what matters most is when it says 0; the other states where there are any.
fn encode_endpoints(
    encoder: &mut DescriptorEncoder<'_>,
    table: &Table,
    out: &BTreeSet<EndpointId>,
) -> fmt::Result {
    let help = "Endpoints known, each in one state";
    let mut metric = encoder.encode_descriptor(metric::ENDPOINTS, help, None, MetricType::Gauge)?;
    let mut entries: Vec<&Arc<Entry>> =
        table.entries().filter(|entry| !entry.service.name.namespace.is_empty()).collect();
    entries.sort_unstable_by(|a, b| a.service.name.cmp(&b.service.name));
    for entry in entries {
        let service = entry.service.name.to_string();
        for (state, count) in EndpointState::ALL.into_iter().zip(count(entry, out)) {
            if count > 0 || state == EndpointState::Ready {
                let labels = [("service", service.as_str()), ("state", state.as_str())];
                metric.encode_family(&labels)?.encode_gauge(&count)?;
            }
        }
    }
    Ok(())
}

/// As far as anybody has been ejected. Kept with the port, so that they go with it.
fn encode_ejections(encoder: &mut DescriptorEncoder<'_>, shared: &Shared) -> fmt::Result {
    let help = "Endpoints left out because they failed";
    let mut metric = encoder.encode_descriptor(metric::EJECTIONS, help, None, MetricType::Counter)?;
    let mut services: BTreeMap<Arc<str>, [u64; Reason::ALL.len()]> = BTreeMap::new();
    shared.each_ejections(|service, counts| {
        let sums = services.entry(service.label()).or_default();
        sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
    });
    for (service, counts) in &services {
        for (reason, count) in Reason::ALL.iter().zip(counts).filter(|(_, count)| **count > 0) {
            let labels = [("service", &**service), ("reason", reason.as_str())];
            metric.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(count, None)?;
        }
    }
    Ok(())
}

/// By [`EndpointState`]. What has several ports is an endpoint of each.
fn count(entry: &Entry, out: &BTreeSet<EndpointId>) -> [i64; EndpointState::ALL.len()] {
    let mut counts = [0; EndpointState::ALL.len()];
    for endpoints in entry.targets.iter().map(|target| &target.endpoints) {
        for (index, endpoint) in endpoints.all().iter().enumerate() {
            let usable = index < endpoints.usable().len();
            counts[EndpointState::of(endpoint, usable, out.contains(&endpoint.id)) as usize] += 1;
        }
    }
    counts
}

/// What an endpoint's conditions, and its place, come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EndpointState {
    /// Gets traffic.
    Ready,
    /// Would get traffic, and fails.
    Ejected,
    /// Is ready, and for clients on other nodes or in other zones.
    Elsewhere,
    /// Terminates, and serves: gets traffic where none is ready (S-05).
    Serving,
    /// Terminates, and no longer serves.
    Terminating,
    /// Neither ready nor about to go.
    Unready,
}

impl EndpointState {
    const ALL: [EndpointState; 6] = [
        EndpointState::Ready,
        EndpointState::Ejected,
        EndpointState::Elsewhere,
        EndpointState::Serving,
        EndpointState::Terminating,
        EndpointState::Unready,
    ];

    fn of(endpoint: &Endpoint, usable: bool, out: bool) -> EndpointState {
        match (endpoint.ready, endpoint.terminating, endpoint.serving) {
            (true, _, _) if usable && out => EndpointState::Ejected,
            (true, _, _) if usable => EndpointState::Ready,
            (true, _, _) => EndpointState::Elsewhere,
            (false, true, true) => EndpointState::Serving,
            (false, true, false) => EndpointState::Terminating,
            (false, false, _) => EndpointState::Unready,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            EndpointState::Ready => "ready",
            EndpointState::Ejected => "ejected",
            EndpointState::Elsewhere => "elsewhere",
            EndpointState::Serving => "serving",
            EndpointState::Terminating => "terminating",
            EndpointState::Unready => "unready",
        }
    }
}
