//! What became of datagrams.

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use svc_core::outcome::Failure;
use svc_proto::names::metric;

use super::series::Direction;

/// Each datagram that was received was forwarded, or dropped for one reason.
#[derive(Debug, Default)]
pub(crate) struct Datagrams {
    received: [AtomicU64; Towards::ALL.len()],
    forwarded: [AtomicU64; Towards::ALL.len()],
    dropped: [[AtomicU64; DatagramLoss::ALL.len()]; Towards::ALL.len()],
}

/// Which way something goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Towards {
    Upstream,
    Client,
}

/// Why a datagram went no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DatagramLoss {
    /// The Service has none that may be used.
    NoEndpoints,
    /// The Service, or its port, has just gone.
    NoService,
    /// As many flows as there may be, or as many as each endpoint may have.
    Limit,
    /// No endpoint could be sent anything, or the client could not.
    Unreachable,
    /// The way there does not take datagrams of that size.
    TooBig,
    /// The kernel had no room for it.
    Full,
}

impl Datagrams {
    pub(crate) fn received(&self, destination: Towards, count: usize) {
        self.received[destination as usize].fetch_add(count as u64, Relaxed);
    }

    pub(crate) fn forwarded(&self, destination: Towards, count: usize) {
        self.forwarded[destination as usize].fetch_add(count as u64, Relaxed);
    }

    pub(crate) fn dropped(&self, destination: Towards, lost: DatagramLoss, count: usize) {
        self.dropped[destination as usize][lost as usize].fetch_add(count as u64, Relaxed);
    }

    pub(super) fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let direction = ("direction", Direction::Outbound.as_str());
        for (name, help, counts) in [
            (metric::UDP_DATAGRAMS_RECEIVED, "Datagrams that came", &self.received),
            (metric::UDP_DATAGRAMS_FORWARDED, "Datagrams that were sent on", &self.forwarded),
        ] {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for (destination, count) in Towards::ALL.iter().zip(counts) {
                let labels = [direction, ("flow", destination.as_str())];
                let count = count.load(Relaxed);
                metric.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&count, None)?;
            }
        }
        let (name, help) = (metric::UDP_DATAGRAMS_DROPPED, "Datagrams that were not sent on");
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (destination, counts) in Towards::ALL.iter().zip(&self.dropped) {
            for (lost, count) in DatagramLoss::ALL.iter().zip(counts) {
                let labels = [direction, ("flow", destination.as_str()), ("reason", lost.as_str())];
                let count = count.load(Relaxed);
                metric.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&count, None)?;
            }
        }
        Ok(())
    }
}

impl Towards {
    const ALL: [Towards; 2] = [Towards::Upstream, Towards::Client];

    fn as_str(self) -> &'static str {
        match self {
            Towards::Upstream => "to_upstream",
            Towards::Client => "to_client",
        }
    }
}

impl DatagramLoss {
    const ALL: [DatagramLoss; 6] = [
        DatagramLoss::NoEndpoints,
        DatagramLoss::NoService,
        DatagramLoss::Limit,
        DatagramLoss::Unreachable,
        DatagramLoss::TooBig,
        DatagramLoss::Full,
    ];

    /// What a failure to find an endpoint comes to.
    pub(crate) fn by(failure: Failure) -> DatagramLoss {
        if failure == Failure::NoEndpoints {
            DatagramLoss::NoEndpoints
        } else if failure == Failure::UnknownDestination {
            DatagramLoss::NoService
        } else if failure == Failure::TooManyConnections {
            DatagramLoss::Limit
        } else {
            DatagramLoss::Unreachable
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            DatagramLoss::NoEndpoints => "no-endpoints",
            DatagramLoss::NoService => "no-service",
            DatagramLoss::Limit => "limit",
            DatagramLoss::Unreachable => "unreachable",
            DatagramLoss::TooBig => "too-big",
            DatagramLoss::Full => "full",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_a_count_of_its_own() {
        assert!(DatagramLoss::ALL.into_iter().enumerate().all(|(index, lost)| lost as usize == index));
        assert!(
            Towards::ALL.into_iter().enumerate().all(|(index, destination)| destination as usize == index)
        );
    }
}
