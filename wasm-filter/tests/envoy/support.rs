//! What the sidecar's tests have as well: processes that end with their test, waiting with a deadline, manifests.
#![allow(dead_code, reason = "the sidecar's tests use the rest")]

#[path = "../../../sidecar/tests/support/manifests.rs"]
mod manifests;
#[path = "../../../sidecar/tests/support/process.rs"]
mod process;
#[path = "../../../sidecar/tests/support/recorder.rs"]
mod recorder;
#[path = "../../../sidecar/tests/support/time.rs"]
mod time;

pub(crate) use manifests::Manifests;
pub(crate) use process::{Process, folder, peer};
pub(crate) use recorder::Recorder;
pub(crate) use time::{until, within};
