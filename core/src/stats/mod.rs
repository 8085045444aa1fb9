//! Stats of endpoints: what all workers know of one, and of those of one Service port together.
//!
//! Plain atomics, each right by itself: two that are read together may be a moment apart, which a choice among endpoints
//! survives and a lock on every request would not be worth.

mod attempt;
mod check;
mod eject;
mod endpoint;
mod health;
mod latency;
mod load;
mod members;
mod port;
mod pushback;
mod reason;
mod recent;
mod share;

pub use attempt::{AnswerHead, Attempt, GRPC_STATUS, Heard, Subject};
pub use check::Checkup;
pub use eject::{EjectionChange, Ejector, Probe};
pub use endpoint::EndpointStats;
pub use health::{Health, is_held_against, is_its_own};
pub use latency::{Latency, Reading};
pub use load::Load;
pub use port::PortStats;
pub use pushback::{pushback_of_grpc_status, pushback_of_status};
pub use reason::Reason;
pub use share::{FULL_SHARE, Share};
