//! What all workers know of one endpoint, and of those of one Service port together.
//!
//! Plain atomics, each right by itself: two that are read together may be a moment apart, which a choice among endpoints
//! survives and a lock on every request would not be worth.

mod check;
mod eject;
mod endpoint;
mod judge;
mod latency;
mod load;
mod members;
mod port;
mod reason;
mod recent;
mod share;
mod sparing;
mod trial;

pub use check::Checkup;
pub use eject::{Change, Ejector, Probe};
pub use endpoint::Vitals;
pub use judge::{Health, is_held_against, is_its_own};
pub use latency::{Latency, Reading};
pub use load::Load;
pub use port::PortVitals;
pub use reason::Reason;
pub use share::{FULL_SHARE, Share};
pub use sparing::{asked_by_grpc_status, asked_by_status};
pub use trial::{GRPC_STATUS, Head, Heard, Subject, Trial};
