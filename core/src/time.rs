//! The only time core knows.

use core::time::Duration;

/// A moment, counted from an origin that the caller chose once (the start of the process). Never goes backwards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Now(pub Duration);

impl Now {
    /// How long ago `earlier` was; zero when it lies ahead.
    pub fn since(self, earlier: Now) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

/// Whole milliseconds; those of half a billion years where there are more.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
