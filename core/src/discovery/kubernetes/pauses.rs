//! Pauses before the next attempt, with jitter, so that clients that failed together do not return together.

use core::time::Duration;

use crate::draws::Draws;
use crate::time::Now;

/// After so many failures in a row of one request (at least one): 1 s doubling to 10 s, of which the half is drawn.
pub(super) fn backoff(failures: u32, draws: &Draws) -> Duration {
    let whole = FIRST.saturating_mul(1 << failures.saturating_sub(1).min(DOUBLINGS_MAX)).min(BACKOFF_MAX);
    between(whole / 2, whole, draws)
}

/// What a server asks for with `Retry-After`, and no longer than a minute; a tenth more is drawn.
pub(super) fn retry_after(asked: Duration, draws: &Draws) -> Duration {
    let asked = asked.min(RETRY_AFTER_MAX);
    between(asked, asked + asked / 10 + A_MOMENT, draws)
}

/// After a 403: a Role applied now is in use within a minute.
pub(super) fn after_refusal(draws: &Draws) -> Duration {
    between(Duration::from_secs(30), Duration::from_secs(60), draws)
}

/// After the loss of a working connection: 1,000 clients return at 100 a second.
pub(super) fn after_loss(draws: &Draws) -> Duration {
    between(Duration::ZERO, RECONNECT_MAX, draws)
}

/// After one that never came to be, or did not serve: 1,000 are 133 a second.
pub(super) fn after_failed_connect(draws: &Draws) -> Duration {
    between(RECONNECT_MAX / 2, RECONNECT_MAX, draws)
}

/// How long a watch is to last: the server ends it, and it goes on where it was.
pub(super) fn watch_seconds(draws: &Draws) -> u64 {
    between(Duration::from_secs(290), Duration::from_secs(590), draws).as_secs()
}

/// Evenly drawn.
pub(super) fn between(from: Duration, to: Duration, draws: &Draws) -> Duration {
    let part = u32::try_from(draws.draw() >> 32).unwrap_or(u32::MAX);
    // 590 s × 2^32 = 2.5 × 10^12 s, inside the 1.8 × 10^19 of a Duration.
    from + (to - from) * part / u32::MAX
}

/// This much later.
pub(super) fn after(now: Now, wait: Duration) -> Now {
    Now(now.0.saturating_add(wait))
}

const FIRST: Duration = Duration::from_secs(1);
const BACKOFF_MAX: Duration = Duration::from_secs(10);
const RECONNECT_MAX: Duration = Duration::from_secs(10);
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);
const A_MOMENT: Duration = Duration::from_millis(100);

/// 2^4 s are more than the longest.
const DOUBLINGS_MAX: u32 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_to_ten_seconds_and_are_drawn() {
        let draws = Draws::new(7);
        for (failures, whole) in [(1, 1), (2, 2), (3, 4), (4, 8), (5, 10), (u32::MAX, 10)] {
            let whole = Duration::from_secs(whole);
            let drawn: [Duration; 64] = core::array::from_fn(|_| backoff(failures, &draws));
            assert!(drawn.iter().all(|pause| (whole / 2..=whole).contains(pause)), "{failures}: {drawn:?}");
            assert!(drawn.iter().max().unwrap().abs_diff(*drawn.iter().min().unwrap()) > whole / 4);
        }
    }

    #[test]
    fn what_a_server_asks_for_is_waited_for_within_a_minute() {
        let draws = Draws::new(7);
        for (asked, most) in [(0, 1), (3, 4), (60, 67), (3_600, 67)] {
            let pause = retry_after(Duration::from_secs(asked), &draws);
            assert!(pause >= Duration::from_secs(asked.min(60)) && pause < Duration::from_secs(most));
        }
    }
}
