//! How much an endpoint has to do.

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// The connections (of bytes) and requests (of HTTP) that an endpoint has at the moment, over all workers.
///
/// Who adds one takes it away again, whatever happens: the caller's `Drop` does.
#[derive(Debug, Default)]
pub struct Load {
    active: AtomicU32,
    inactive: AtomicU32,
}

impl Load {
    /// One more, under way in both directions.
    pub fn begin(&self) {
        self.active.fetch_add(1, Relaxed);
    }

    /// One that has begun is over.
    pub fn end(&self) {
        self.active.fetch_sub(1, Relaxed);
    }

    /// One that has begun is half closed: IPVS counts it as inactive from its first FIN (S-09).
    pub fn half_close(&self) {
        self.inactive.fetch_add(1, Relaxed);
        self.active.fetch_sub(1, Relaxed);
    }

    /// One that was half closed is over.
    pub fn end_half_closed(&self) {
        self.inactive.fetch_sub(1, Relaxed);
    }

    /// How many are under way.
    pub fn active(&self) -> u32 {
        self.active.load(Relaxed)
    }

    /// How many are half closed.
    pub fn inactive(&self) -> u32 {
        self.inactive.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_half_closed_connection_is_counted_once_and_elsewhere() {
        let load = Load::default();
        load.begin();
        load.begin();
        load.half_close();
        assert_eq!((load.active(), load.inactive()), (1, 1));
        load.end();
        load.end_half_closed();
        assert_eq!((load.active(), load.inactive()), (0, 0));
    }
}
