//! The only module that reads the clock: everything else is given a [`Now`].
#![expect(clippy::disallowed_methods, reason = "this is the one clock")]

use std::cell::Cell;
use std::sync::LazyLock;
use std::time::SystemTime;

use svc_core::time::Now;

/// Timers, which a simulation can drive.
pub(crate) use tokio::time::{Instant, MissedTickBehavior, Sleep, interval, sleep, sleep_until, timeout};

/// The origin of every [`Now`] of this process.
static ORIGIN: LazyLock<std::time::Instant> = LazyLock::new(std::time::Instant::now);

/// The time.
pub(crate) fn now() -> Now {
    #[cfg(test)]
    if let Some(held) = HELD.get() {
        return held;
    }
    Now(ORIGIN.elapsed())
}

#[cfg(test)]
thread_local! {
    static HELD: Cell<Option<Now>> = const { Cell::new(None) };
}

/// Makes it `now` for the thread of one test, until it is told otherwise.
#[cfg(test)]
pub(crate) fn set(now: Now) {
    HELD.set(Some(now));
}

/// Moves the coarse time of one test's thread on.
#[cfg(test)]
pub(crate) fn pass_ms(ms: u32) {
    COARSE_MS.set(COARSE_MS.get().wrapping_add(ms));
}

/// The time of day, for people to read.
pub(crate) fn wall() -> SystemTime {
    SystemTime::now()
}

thread_local! {
    static COARSE_MS: Cell<u32> = const { Cell::new(0) };
}

/// The time at the worker's last [`tick`], in ms since the origin (it wraps after 49 days: compare by [`coarse_since`]).
/// Idle and header deadlines need no more than this, and it costs a load where the clock costs 25 ns.
pub(crate) fn coarse_ms() -> u32 {
    COARSE_MS.get()
}

/// How long ago `earlier_ms` was, in ms.
pub(crate) fn coarse_since(earlier_ms: u32) -> u32 {
    coarse_ms().wrapping_sub(earlier_ms)
}

/// Moves this thread's coarse time on; the worker's reaper calls it on each of its rounds.
pub(crate) fn tick() {
    let ms = ORIGIN.elapsed().as_millis();
    COARSE_MS.set((ms & u128::from(u32::MAX)) as u32);
}
