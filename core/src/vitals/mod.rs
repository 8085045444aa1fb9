//! What all workers know of one endpoint.
//!
//! Plain atomics, each right by itself: two that are read together may be a moment apart, which a choice among endpoints
//! survives and a lock on every request would not be worth.

mod eject;
mod load;

pub use eject::EjectPolicy;
pub use load::Load;

/// What is known of one endpoint of one Service port, for as long as it has its [`EndpointId`](crate::endpoints::EndpointId).
#[derive(Debug, Default)]
pub struct Vitals {
    /// How much it has to do.
    pub load: Load,
}
