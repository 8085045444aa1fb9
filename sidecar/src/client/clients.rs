//! The clients of a worker.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use crate::memory::Holder;
use crate::shared::Shared;

/// One admitted client connection.
pub(crate) struct Admission {
    /// What it makes us hold.
    pub(crate) holder: Holder,
    pub(crate) shared: Arc<Shared>,
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.shared.connections.fetch_sub(1, Relaxed);
    }
}
