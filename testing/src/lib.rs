//! What the tests of several packages share. Nothing that is shipped depends on it.

pub mod parity;

pub mod cluster;
pub mod manifests;
pub mod network;
pub mod process;
pub mod recorder;
pub mod time;
