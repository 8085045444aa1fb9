//! svcmesh's sidecar: the whole Service system from inside the pod. The decisions live in `svc-core`; this makes them happen.

pub mod access_log;
pub mod admin;
pub mod config;
pub mod control;
pub mod demo;
pub mod init;
pub mod lint;
pub mod log;

pub use error::RunError;
pub use run::run;

#[cfg(feature = "fuzzing")]
pub mod fuzzing;

mod clock;
mod descriptors;
mod error;
mod lifecycle;
mod shares;
mod sync;

mod certificates;
mod http;
mod memory;
mod memory_trim;
mod metrics;
mod net;

mod client;
mod context;
mod exchange;
mod ports;
mod recorder;
mod routing;
mod server;
mod shared;
mod udp;
mod upstream;

mod run;
mod signals;
mod worker;
