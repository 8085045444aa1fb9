//! When endpoints that fail are ejected, and for how long.

use core::time::Duration;

/// What a Service asks for (`svcmesh.dev/eject`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EjectPolicy {
    /// How many failures in a row are enough; at least 1.
    pub consecutive: u32,
    /// How long the first ejection lasts; above zero. Each further one is twice as long.
    pub base: Duration,
    /// How long any ejection lasts at most; not below `base`. An endpoint that was well for as long begins afresh.
    pub max: Duration,
}

impl Default for EjectPolicy {
    /// 5 failures in a row, for 1 s up to 60 s.
    fn default() -> EjectPolicy {
        EjectPolicy { consecutive: 5, base: Duration::from_secs(1), max: Duration::from_secs(60) }
    }
}
