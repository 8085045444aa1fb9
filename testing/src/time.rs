//! Waiting for something to become true, never for time to pass.

use std::thread;
use std::time::{Duration, Instant};

/// Asks `probe` until it has an answer; panics with `what` when it has none within ten seconds.
pub fn until<T>(what: &str, probe: impl FnMut() -> Option<T>) -> T {
    within(Duration::from_secs(10), what, probe)
}

/// Asks `probe` until it has an answer; panics with `what` when it has none within `limit`.
#[expect(clippy::disallowed_methods, reason = "tests run in real time")]
pub fn within<T>(limit: Duration, what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = probe() {
            return answer;
        }
        assert!(start.elapsed() < limit, "not within {limit:?}: {what}");
        thread::sleep(PAUSE);
    }
}

/// Short beside anything that is waited for here, long beside what a probe costs.
const PAUSE: Duration = Duration::from_millis(10);
