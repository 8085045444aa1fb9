//! svcmesh's sidecar: the whole Service system from inside the pod. The decisions live in `svc-core`; this makes them happen.

pub mod access_log;
pub mod admin;
pub mod config;
pub mod control;
pub mod demo;
pub mod init;
pub mod lint;
pub mod log;

pub use run::{RunError, run};

#[cfg(feature = "fuzzing")]
pub mod fuzzing;

mod certificates;
mod clock;
mod descriptors;
mod memory;
mod metrics;
mod run;
mod signals;

mod connection;
mod listen;
mod net;
mod path;
mod shares;
mod wanted;
mod worker;
