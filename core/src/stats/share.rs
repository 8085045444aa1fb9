//! How much of its part an endpoint gets while it starts, or while it is backed off from.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use core::time::Duration;

use super::port::PortStats;
use crate::endpoints::EndpointId;
use crate::time::{Now, millis};

/// The share of one endpoint: how many of [`FULL_SHARE`] picks that would be its own it gets. Applied by chance, where there is somebody
/// else to pick.
#[derive(Debug, Default)]
pub struct Share {
    start: Ramp,
    backoff: Ramp,
}

/// All of them.
pub const FULL_SHARE: u32 = 256;

impl Share {
    /// It gets a tenth from now on, and more in even steps until it gets all at the end of `window`.
    pub fn start_slowly(&self, window: Duration, port: &PortStats, now: Now) {
        if !window.is_zero() {
            let end_ms = self.start.begin(millis(now.0), window);
            port.dims(end_ms);
        }
    }

    /// It gets an eighth for `time`, as it has asked for, and then more in even steps. Who asked for longer before has that.
    pub fn back_off(&self, time: Duration, port: &PortStats, now: Now) {
        let end_ms = self.backoff.begin(millis(now.0 + time.min(BACKOFF_MAX)), RECOVERY);
        port.dims(end_ms);
    }

    /// What it gets, of [`FULL_SHARE`].
    pub fn at(&self, now: Now) -> u32 {
        let now_ms = millis(now.0);
        self.start.share(START_SHARE, now_ms).min(self.backoff.share(BACKOFF_SHARE, now_ms))
    }

    /// Whether chance lets this pick have the endpoint. The same pick of the same endpoint has always the same answer: policies ask
    /// more than once.
    pub(crate) fn admits(&self, id: EndpointId, now: Now, draw: u64) -> bool {
        let share = self.at(now);
        share >= FULL_SHARE || toss(id, draw) < share
    }

    /// The endpoint left.
    pub(super) fn forget(&self) {
        self.start.0.store(0, Relaxed);
        self.backoff.0.store(0, Relaxed);
    }
}

/// A number below [`FULL_SHARE`] for each pair: the finalizer of splitmix64, whose bits do not tell of the draw's, by which policies choose.
fn toss(id: EndpointId, draw: u64) -> u32 {
    let mut mixed = draw ^ id.0.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed >> 56) as u32
}

/// A tenth, for an endpoint that starts.
const START_SHARE: u32 = FULL_SHARE / 10;

/// An eighth, for an endpoint that has too much to do: enough to hear from it.
const BACKOFF_SHARE: u32 = FULL_SHARE / 8;

/// No endpoint is backed off from for longer, whatever it asks for.
const BACKOFF_MAX: Duration = Duration::from_secs(300);

/// From an eighth back to all.
const RECOVERY: Duration = Duration::from_secs(5);

/// Low until some time, then rising evenly for some time: when it begins to rise (ms, 40 bits: 34 years), above how long it does (ms, 24
/// bits: 4 hours, beyond which it is cut). 0 is at the top.
#[derive(Debug, Default)]
struct Ramp(AtomicU64);

impl Ramp {
    /// Returns when it ends, in ms. Of two, the one that begins to rise later holds.
    fn begin(&self, from_ms: u64, length: Duration) -> u64 {
        let word = from_ms << LENGTH_BITS | millis(length).clamp(1, LENGTH_MS_MAX);
        let word = self.0.fetch_max(word, Relaxed).max(word);
        (word >> LENGTH_BITS) + (word & LENGTH_MS_MAX)
    }

    fn share(&self, low: u32, now_ms: u64) -> u32 {
        let word = self.0.load(Relaxed);
        let (from_ms, length_ms) = (word >> LENGTH_BITS, word & LENGTH_MS_MAX);
        let risen_ms = now_ms.saturating_sub(from_ms);
        if risen_ms >= length_ms {
            return FULL_SHARE;
        }
        low + (u64::from(FULL_SHARE - low) * risen_ms / length_ms) as u32
    }
}

const LENGTH_BITS: u32 = 24;
const LENGTH_MS_MAX: u64 = (1 << LENGTH_BITS) - 1;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(ms: u64) -> Now {
        Now(Duration::from_millis(ms))
    }

    #[test]
    fn a_start_goes_from_a_tenth_to_all_in_even_steps() {
        let (share, port) = (Share::default(), PortStats::default());
        assert_eq!(share.at(at(0)), FULL_SHARE);
        share.start_slowly(Duration::from_secs(10), &port, at(5_000));
        let shares = [5_000, 7_500, 10_000, 14_999, 15_000, 99_000].map(|ms| share.at(at(ms)));
        assert_eq!(shares, [25, 82, 140, 255, 256, 256]);
    }

    #[test]
    fn who_asks_to_be_spared_gets_an_eighth_for_so_long_and_more_after_it() {
        let (share, port) = (Share::default(), PortStats::default());
        share.back_off(Duration::from_secs(3), &port, at(1_000));
        let shares = [1_000, 3_999, 4_000, 6_500, 9_000].map(|ms| share.at(at(ms)));
        assert_eq!(shares, [32, 32, 32, 144, 256]);
    }

    #[test]
    fn nobody_is_spared_for_longer_than_five_minutes() {
        let (share, port) = (Share::default(), PortStats::default());
        share.back_off(Duration::MAX, &port, at(0));
        assert_eq!([300_000, 305_000].map(|ms| share.at(at(ms))), [32, 256]);
    }

    #[test]
    fn a_port_takes_care_until_all_have_their_whole_share() {
        let (share, port) = (Share::default(), PortStats::default());
        assert!(port.is_quiet());
        share.back_off(Duration::from_millis(1_500), &port, at(0));
        port.settle(at(6_400));
        assert!(!port.is_quiet());
        port.settle(at(7_000));
        assert!(port.is_quiet());
    }

    proptest! {
        #[test]
        fn a_share_is_the_least_of_what_its_reasons_leave(
            asked in proptest::collection::vec((any::<bool>(), 0..400_000_u64, 0..60_000_u64), 0..8),
            looked_ms in 0..500_000_u64,
        ) {
            let (share, port) = (Share::default(), PortStats::default());
            // Each reason as a line through two points; of one kind the one that begins to rise last counts.
            let (mut start, mut backoff) = (None, None);
            for (starts, time_ms, now_ms) in asked {
                let time = Duration::from_millis(time_ms);
                if starts {
                    share.start_slowly(time, &port, at(now_ms));
                    start = start.max((time_ms > 0).then_some((now_ms, time_ms)));
                } else {
                    share.back_off(time, &port, at(now_ms));
                    backoff = backoff.max(Some((now_ms + time_ms.min(300_000), 5_000)));
                }
            }
            let line = |ramp: Option<(u64, u64)>, low: f64| {
                let Some((from_ms, length_ms)) = ramp else { return 256.0 };
                let part = (looked_ms as f64 - from_ms as f64) / length_ms as f64;
                low + (256.0 - low) * part.clamp(0.0, 1.0)
            };
            let expected = line(start, 25.0).min(line(backoff, 32.0));
            let share = f64::from(share.at(at(looked_ms)));
            prop_assert!((expected - share).abs() <= 1.0, "{share} instead of {expected}");
        }

        #[test]
        fn chance_gives_each_endpoint_its_share(id in any::<u64>(), seed in any::<u64>()) {
            let (share, port) = (Share::default(), PortStats::default());
            share.back_off(Duration::from_secs(1), &port, at(0));
            let draws = (0..4_000_u64).map(|n| seed.wrapping_add(n.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
            let admitted = draws.filter(|draw| share.admits(EndpointId(id), at(0), *draw)).count();
            prop_assert!((350..650).contains(&admitted), "{admitted} of 4000 instead of 500");
        }
    }
}
