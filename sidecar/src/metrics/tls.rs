//! What is counted of TLS. (Handshakes that fail are among the failures.)

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use svc_proto::names::metric;

use super::Metrics;
use super::series::Direction;

/// How a handshake went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HandshakeResult {
    /// With certificates and a signature, which cost a hundred times what the rest does.
    Full,
    /// On the strength of an earlier one.
    Resumed,
}

/// The counts.
#[derive(Debug, Default)]
pub(super) struct HandshakeCounts {
    handshakes: [[AtomicU64; 2]; 2],
    applied: AtomicU64,
    refused: AtomicU64,
}

impl Metrics {
    pub(crate) fn shook_hands(&self, direction: Direction, how: HandshakeResult) {
        self.tls.handshakes[direction as usize][how as usize].fetch_add(1, Relaxed);
    }

    /// Files of certificates were read again: some hold now, or some cannot be used. Both may be so.
    pub(crate) fn certificates_reloaded(&self, changed: bool, refused: bool) {
        self.tls.applied.fetch_add(changed.into(), Relaxed);
        self.tls.refused.fetch_add(refused.into(), Relaxed);
    }
}

impl HandshakeCounts {
    pub(super) fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "TLS handshakes that succeeded";
        let mut metric =
            encoder.encode_descriptor(metric::TLS_HANDSHAKES, help, None, MetricType::Counter)?;
        for direction in [Direction::Inbound, Direction::Outbound] {
            for how in [HandshakeResult::Full, HandshakeResult::Resumed] {
                let count = self.handshakes[direction as usize][how as usize].load(Relaxed);
                let labels = [("direction", direction.as_str()), ("kind", how.as_str())];
                metric.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&count, None)?;
            }
        }
        let help = "Changes of the files of certificates, by what came of it";
        let mut metric =
            encoder.encode_descriptor(metric::CERTIFICATE_RELOADS, help, None, MetricType::Counter)?;
        for (result, count) in [("applied", &self.applied), ("refused", &self.refused)] {
            let labels = [("result", result)];
            metric
                .encode_family(&labels)?
                .encode_counter::<NoLabelSet, _, u64>(&count.load(Relaxed), None)?;
        }
        Ok(())
    }
}

impl HandshakeResult {
    fn as_str(self) -> &'static str {
        match self {
            HandshakeResult::Full => "full",
            HandshakeResult::Resumed => "resumed",
        }
    }
}
