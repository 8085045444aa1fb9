//! Which module may use which: one may use those in the rows before its own.

/// A crate whose modules have an order.
pub(super) struct Order {
    /// The folder of its package.
    pub(super) package: &'static str,
    /// Its top-level modules, the lowest first. Those of a row may not use each other.
    pub(super) rows: &'static [&'static [&'static str]],
}

pub(super) const ORDERS: [Order; 2] =
    [Order { package: "core", rows: CORE }, Order { package: "sidecar", rows: SIDECAR }];

const CORE: &[&[&str]] = &[
    &[
        "ack_timeout",
        "address",
        "authority",
        "draws",
        "grpc_timeout",
        "hash",
        "http_date",
        "max_forwards",
        "outcome",
        "sniff",
        "time",
    ],
    &["allocate", "dns", "forwarding", "grpc", "proxy_protocol", "retry"],
    &["capture", "service"],
    &["drain", "endpoints", "protocol"],
    &["rewrite", "stats"],
    &["balance"],
    &["affinity", "flows", "table"],
    &["inbound", "inventory", "port"],
    &["describe", "discovery", "dispatch", "overview"],
    &["findings"],
];

const SIDECAR: &[&[&str]] = &[
    &["clock", "error", "lifecycle", "shares", "sync"],
    &["config"],
    &["access_log", "certificates", "descriptors", "log", "memory"],
    &["metrics", "signals"],
    &["net", "recorder"],
    &["http", "ports"],
    &["shared"],
    &["client", "memory_trim"],
    &["upstream"],
    &["routing"],
    &["context"],
    &["exchange"],
    &["server", "udp"],
    &["worker"],
    &["admin"],
    &["control"],
    &["lint"],
    &["run"],
    &["demo", "fuzzing", "init"],
];
