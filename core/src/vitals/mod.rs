//! What all workers know of one endpoint.
//!
//! Plain atomics, each right by itself: two that are read together may be a moment apart, which a choice among endpoints
//! survives and a lock on every request would not be worth.

mod eject;
mod judge;
mod load;
mod port;
mod recent;

pub use eject::{Change, EjectPolicy, Ejector, Probe, Reason};
pub use judge::{Health, is_held_against};
pub use load::Load;
pub use port::PortVitals;

/// What is known of one endpoint of one Service port, for as long as it has its [`EndpointId`](crate::endpoints::EndpointId).
#[derive(Debug, Default)]
pub struct Vitals {
    /// How much it has to do.
    pub load: Load,
    /// Whether it is left out because it fails.
    pub ejector: Ejector,
}

impl Vitals {
    /// Whether new connections and requests go elsewhere, as long as there is an elsewhere.
    pub fn is_out(&self) -> bool {
        self.ejector.is_ejected()
    }

    /// The endpoint is among those that get new traffic; true when it was not before.
    pub fn arrive(&self) -> bool {
        self.ejector.arrive()
    }

    /// The endpoint gets nothing new any more. What is known of its health is forgotten.
    pub fn leave(&self, port: &PortVitals) {
        self.ejector.leave(port);
    }
}
