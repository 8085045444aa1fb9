//! How much there may be, and who is believed.

use clap::Arg;
use ipnet::IpNet;

use super::flag::Flag;
use super::settings::Settings;
use super::values::{networks, number};

/// How much there may be, and who is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Threads that carry traffic.
    pub workers: usize,
    /// Connections open at once, over all workers.
    pub connections_max: usize,
    /// Peers whose forwarding headers are believed.
    pub trusted_proxies: Vec<IpNet>,
}

impl Limits {
    pub(super) fn read(settings: &mut Settings<'_>) -> Limits {
        let workers = settings.read(&WORKERS);
        let connections_max = settings.read(&MAX_CONNECTIONS);
        let trusted_proxies = settings.read(&TRUSTED_PROXIES);
        Limits { workers, connections_max, trusted_proxies }
    }
}

pub(super) fn args() -> [Arg; 3] {
    const HEADING: &str = "Limits and trust";
    [WORKERS.arg(HEADING), MAX_CONNECTIONS.arg(HEADING), TRUSTED_PROXIES.arg(HEADING)]
}

const WORKERS: Flag<usize> = Flag {
    name: "workers",
    value: "NUMBER",
    default: "1",
    help: "Threads that carry traffic, each with its own listeners and connections to endpoints",
    parse: number::<1, 64>, // a sidecar shares its node; the largest gateways have that many cores
};

const MAX_CONNECTIONS: Flag<usize> = Flag {
    name: "max-connections",
    value: "NUMBER",
    default: "10000",
    help: "Connections from clients open at once; further ones are refused and counted",
    parse: number::<1, 1_000_000>, // each takes two descriptors, and Linux caps them at 1,048,576 unless told otherwise
};

const TRUSTED_PROXIES: Flag<Vec<IpNet>> = Flag {
    name: "trusted-proxies",
    value: "NETWORKS",
    default: "",
    help: "Peers whose X-Forwarded-* and Forwarded headers are believed; everybody else's are dropped",
    parse: networks,
};
