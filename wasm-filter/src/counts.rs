//! What the proxy's statistics say of the filter, under the names of the sidecar's metrics (`svc_proto::names::metric`).
//!
//! Counts are kept here and told at each tick: what is counted on the way of a request costs no call of the host. Envoy's statistics have no labels;
//! they stand in the name, as Graphite writes tags (`name;label=value`), where a tag rule of the bootstrap finds them. There is none for
//! endpoints: Envoy keeps a name for ever, and endpoints come and go.

use std::cell::RefCell;

use svc_core::address::ServiceName;
use svc_core::discovery::poll::PollOutcome;
use svc_core::hash::HashMap;
use svc_core::proxy_protocol::ProxyHeaderResult;
use svc_core::stats::Reason;
use svc_proto::names::metric;

use crate::host::{Host, Meter, MeterId};

/// One statistic.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Series {
    /// Requests that were answered.
    Requests {
        /// Whose.
        service: Option<ServiceName>,
        /// `http/1.1`, `http/2` or `grpc`.
        protocol: &'static str,
        /// The status.
        code: u16,
    },
    /// Requests and connections that failed, by the code of the failure table.
    Failures(&'static str),
    /// Connections of clients that were opened.
    Opened(Option<ServiceName>),
    /// Connections of clients that were closed.
    Closed(Option<ServiceName>),
    /// Bytes of connections.
    Bytes {
        /// Whose.
        service: Option<ServiceName>,
        /// `request` or `response`.
        flow: &'static str,
    },
    /// What connections began with.
    ProxyHeaders(ProxyHeaderResult),
    /// Endpoints that were ejected.
    Ejections {
        /// Whose.
        service: Option<ServiceName>,
        /// Why.
        reason: Reason,
    },
    /// What came of asking for changes.
    Updates(PollOutcome),
}

/// Counts that the host has not been told yet, and the numbers under which it knows them.
#[derive(Debug, Default)]
pub(crate) struct Counts(RefCell<HashMap<Series, Count>>);

#[derive(Debug, Default)]
struct Count {
    pending: u64,
    told_as: Option<MeterId>,
}

impl Counts {
    /// Counts one more.
    pub(crate) fn count(&self, series: Series) {
        self.add(series, 1);
    }

    /// Counts some more.
    pub(crate) fn add(&self, series: Series, count: u64) {
        if count == 0 {
            return;
        }
        let mut counts = self.0.borrow_mut();
        if counts.len() < SERIES_MAX || counts.contains_key(&series) {
            counts.entry(series).or_default().pending += count;
        }
    }

    /// Tells the host what has been counted since.
    pub(crate) fn flush(&self, host: &impl Host) {
        let mut counts = self.0.borrow_mut();
        for (series, count) in counts.iter_mut().filter(|(_, count)| count.pending > 0) {
            count.told_as = count.told_as.or_else(|| host.define(Meter::Counter, &series.name()));
            if let Some(id) = count.told_as {
                host.add(id, std::mem::take(&mut count.pending));
            }
        }
    }
}

/// Each is 150 bytes here and as many in Envoy: 10,000 × 300 bytes = 3 MB in each worker. More are not counted.
const SERIES_MAX: usize = 10_000;

impl Series {
    fn name(&self) -> String {
        let prefix = metric::PREFIX;
        let label =
            |service: &Option<ServiceName>| service.as_ref().map(ServiceName::label).unwrap_or_default();
        match self {
            Series::Requests { service, protocol, code } => format!(
                "{prefix}_{}_total;service={};protocol={protocol};code={code}",
                metric::REQUESTS,
                label(service)
            ),
            Series::Failures(code) => format!("{prefix}_{}_total;code={code}", metric::FAILURES),
            Series::Opened(service) => {
                format!("{prefix}_{}_total;service={}", metric::CONNECTIONS_OPENED, label(service))
            }
            Series::Closed(service) => {
                format!("{prefix}_{}_total;service={}", metric::CONNECTIONS_CLOSED, label(service))
            }
            Series::Bytes { service, flow } => {
                format!("{prefix}_{}_total;service={};flow={flow}", metric::BYTES, label(service))
            }
            Series::ProxyHeaders(result) => {
                format!("{prefix}_{}_total;result={}", metric::PROXY_HEADERS, result.as_str())
            }
            Series::Ejections { service, reason } => {
                let (service, reason) = (label(service), reason.as_str());
                format!("{prefix}_{}_total;service={service};reason={reason}", metric::EJECTIONS)
            }
            Series::Updates(outcome) => {
                let (family, result) = (metric::DISCOVERY_UPDATES, outcome.as_str());
                format!("{prefix}_{family}_total;source=services;result={result}")
            }
        }
    }
}
