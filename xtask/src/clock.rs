//! The time since this program first asked.

use std::sync::LazyLock;
use std::thread;
use std::time::{Duration, Instant};

#[expect(clippy::disallowed_methods, reason = "the one clock of xtask")]
pub(crate) fn now() -> Duration {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed()
}

/// Asks `probe` until it says yes; `false` when it has not within `limit`.
pub(crate) fn within(limit: Duration, mut probe: impl FnMut() -> bool) -> bool {
    let end = now() + limit;
    loop {
        if probe() {
            return true;
        }
        if now() > end {
            return false;
        }
        thread::sleep(Duration::from_millis(10));
    }
}
