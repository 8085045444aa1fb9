//! How much there may be, and who is believed.

use clap::Arg;
use ipnet::IpNet;

use super::flag::{Expected, Flag};
use super::settings::SettingsReader;
use super::values::{SIZE_MAX, SIZE_MIN, networks, number, size};

/// How much there may be, and who is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Threads that carry traffic.
    pub workers: usize,
    /// Connections open at once, over all workers.
    pub connections_max: usize,
    /// Bytes that the buffers of all clients together may take.
    pub memory_max: u64,
    /// Peers whose PROXY and forwarding headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether connections to this pod begin with a PROXY header.
    pub proxy_protocol_in: ProxyProtocolIn,
}

/// Whether connections to this pod begin with a PROXY header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyProtocolIn {
    /// The bytes are the application's, whatever they are.
    Off,
    /// They must, and only trusted proxies may connect.
    Require,
    /// What `require` would do is counted, and not done.
    Observe,
}

impl Limits {
    pub(super) fn read(settings: &mut SettingsReader<'_>) -> Limits {
        let workers = settings.read(&WORKERS);
        let connections_max = settings.read(&MAX_CONNECTIONS);
        let memory_max = memory_max(settings);
        let trusted_proxies = settings.read(&TRUSTED_PROXIES);
        let proxy_protocol_in = settings.read(&PROXY_PROTOCOL_IN);
        if proxy_protocol_in == ProxyProtocolIn::Require && trusted_proxies.is_empty() {
            settings.refuse(&PROXY_PROTOCOL_IN, "`--trusted-proxies` beside it: everybody would be refused");
        }
        Limits { workers, connections_max, memory_max, trusted_proxies, proxy_protocol_in }
    }
}

pub(super) fn args() -> [Arg; 5] {
    const HEADING: &str = "Limits and trust";
    [
        WORKERS.arg(HEADING),
        MAX_CONNECTIONS.arg(HEADING),
        MEMORY_MAX.arg(HEADING),
        TRUSTED_PROXIES.arg(HEADING),
        PROXY_PROTOCOL_IN.arg(HEADING),
    ]
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

const MEMORY_MAX: Flag<u64> = Flag {
    name: "memory-max",
    value: "SIZE",
    default: "256Mi",
    help: "Memory that the buffers of all clients together may take; where the container has a limit, the default is four fifths of that. \
           At the bound the clients that hold the most are paused, then ended",
    parse: size,
};

/// What is said, else four fifths of the container's limit: the rest is for the snapshot and the program.
fn memory_max(settings: &mut SettingsReader<'_>) -> u64 {
    let said = settings.read(&MEMORY_MAX);
    let of_pod = settings.memory_of_pod().map(|limit| (limit / 5 * 4).clamp(SIZE_MIN, SIZE_MAX));
    match of_pod {
        Some(bytes) if !settings.is_given(&MEMORY_MAX) => {
            settings.took_from_pod(&MEMORY_MAX, &bytes.to_string());
            bytes
        }
        Some(_) | None => said,
    }
}

const TRUSTED_PROXIES: Flag<Vec<IpNet>> = Flag {
    name: "trusted-proxies",
    value: "NETWORKS",
    default: "",
    help: "Peers whose PROXY header (`--proxy-protocol-in`), X-Forwarded-* and Forwarded headers are believed; everybody else's are dropped",
    parse: networks,
};

const PROXY_PROTOCOL_IN: Flag<ProxyProtocolIn> = Flag {
    name: "proxy-protocol-in",
    value: "off|require|observe",
    default: "off",
    help: "Whether connections to this pod (`--inbound`, `--inbound-map`) begin with a PROXY header: `require` refuses those without \
           one, and whoever is not among `--trusted-proxies`; `observe` counts what `require` would do, and does not do it",
    parse: proxy_protocol_in,
};

fn proxy_protocol_in(raw: &str) -> Result<ProxyProtocolIn, Expected> {
    match raw {
        "off" => Ok(ProxyProtocolIn::Off),
        "require" => Ok(ProxyProtocolIn::Require),
        "observe" => Ok(ProxyProtocolIn::Observe),
        _ => Err("`off`, `require` or `observe`".into()),
    }
}
