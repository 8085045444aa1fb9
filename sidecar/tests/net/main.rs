//! Tests with real peers and network namespaces. `cargo xtask test net` installs the peers and runs them.

#[path = "../support/mod.rs"]
mod support;

mod peers;
mod web;

mod affinity;
mod blackhole;
mod budget;
mod capture;
mod dns;
mod drain;
mod endpoints;
mod external;
mod failover;
mod floods;
mod grpc;
mod http;
mod idle;
mod inbound;
mod init;
mod kubernetes;
mod life;
mod metrics;
mod pods;
mod proxy_header;
mod rolling;
mod silence;
mod tcp;
mod tls;
mod tls_bytes;
mod tls_changes;
mod transparent;
mod udp;
mod vips;
mod workers;
