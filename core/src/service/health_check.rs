//! How endpoints are asked whether they live (S-23).

use alloc::sync::Arc;
use core::time::Duration;

/// What a Service asks for (`svcmesh.dev/health-check`, else the annotations of AWS).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// What is tried.
    pub probe: HealthProbe,
    /// From the beginning of one check to that of the next.
    pub interval: Duration,
    /// How long one check may take; no longer than `interval`.
    pub timeout: Duration,
    /// Checks in a row that must succeed before an endpoint that was not healthy is; at least 2.
    pub healthy: u8,
    /// Checks in a row that must fail before an endpoint that was healthy is not; at least 2.
    pub unhealthy: u8,
    /// Where the endpoints are asked; `None`: at the port that gets the traffic.
    pub port: Option<u16>,
}

/// What is tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HealthProbe {
    /// A connection.
    Tcp,
    /// A GET.
    Http {
        /// The path, with its query.
        path: Arc<str>,
    },
}

impl Default for HealthCheck {
    /// A connection every 10 s, of 5 s at most; 2 good ones in a row, or 6 bad ones, decide.
    fn default() -> HealthCheck {
        HealthCheck {
            probe: HealthProbe::Tcp,
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(5),
            healthy: 2,
            unhealthy: 6,
            port: None,
        }
    }
}

// S-23
// S-23, and faster for small pods
// likewise
