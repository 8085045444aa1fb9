//! The outcomes of the last ten seconds.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::time::Now;

/// Successes and failures by the second. An outcome costs one addition; what is too old is overwritten when its place comes round again.
///
/// Two workers that begin a second at once, or one that is held up for ten, may miscount by an outcome: a rate survives that.
#[derive(Debug, Default)]
pub(super) struct Recent {
    /// From above: which round of ten seconds (24 bits, five years), successes and failures (20 bits each). A worker carries fewer than
    /// 100,000 requests a second, so that ten of them at one endpoint stay below 2^20.
    seconds: [AtomicU64; SECONDS as usize],
}

impl Recent {
    pub(super) fn succeeded(&self, now: Now) {
        self.add(SUCCESS, now);
    }

    pub(super) fn failed(&self, now: Now) {
        self.add(FAILURE, now);
    }

    fn add(&self, outcome: u64, now: Now) {
        let (slot, round) = self.slot(now.0.as_secs());
        let mut before = slot.load(Relaxed);
        while before >> ROUND_SHIFT != round {
            let first = round << ROUND_SHIFT | outcome;
            match slot.compare_exchange_weak(before, first, Relaxed, Relaxed) {
                Ok(_) => return,
                Err(other) => before = other,
            }
        }
        slot.fetch_add(outcome, Relaxed);
    }

    /// Whether there are enough outcomes to judge by, and too few of them are successes.
    pub(super) fn is_poor(&self, now: Now) -> bool {
        let (successes, failures) = self.counts(now);
        let outcomes = successes + failures;
        outcomes >= OUTCOMES_MIN && successes * 100 < outcomes * SUCCESS_PERCENT_MIN
    }

    fn counts(&self, now: Now) -> (u64, u64) {
        let newest = now.0.as_secs();
        let seconds = newest.saturating_sub(SECONDS - 1)..=newest;
        let counts = seconds.map(|second| {
            let (slot, round) = self.slot(second);
            let word = slot.load(Relaxed);
            if word >> ROUND_SHIFT == round { ((word >> COUNT_BITS) & COUNT, word & COUNT) } else { (0, 0) }
        });
        counts.fold((0, 0), |sum, counts| (sum.0 + counts.0, sum.1 + counts.1))
    }

    pub(super) fn forget(&self) {
        self.seconds.iter().for_each(|slot| slot.store(0, Relaxed));
    }

    fn slot(&self, second: u64) -> (&AtomicU64, u64) {
        (&self.seconds[(second % SECONDS) as usize], (second / SECONDS) & ROUND)
    }
}

/// The span that a rate is taken over, in seconds, the present one included.
pub(super) const SECONDS: u64 = 10;

/// Below this many outcomes a rate says little: of ten, three failures are as often chance as not.
pub(super) const OUTCOMES_MIN: u64 = 20;

/// An endpoint of which more than every fifth request fails is better left out.
pub(super) const SUCCESS_PERCENT_MIN: u64 = 80;

const COUNT_BITS: u32 = 20;
const COUNT: u64 = (1 << COUNT_BITS) - 1;
const ROUND_SHIFT: u32 = 2 * COUNT_BITS;
const ROUND: u64 = (1 << (u64::BITS - ROUND_SHIFT)) - 1;
const SUCCESS: u64 = 1 << COUNT_BITS;
const FAILURE: u64 = 1;

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    fn at(seconds: u64) -> Now {
        Now(Duration::from_secs(seconds))
    }

    #[test]
    fn an_outcome_counts_for_ten_seconds_and_not_for_eleven() {
        for begun in [0, 7, 19, 100_000_007, 1 << 40] {
            let recent = Recent::default();
            recent.succeeded(at(begun));
            recent.failed(at(begun));
            recent.failed(at(begun + 9));
            assert_eq!(recent.counts(at(begun + 9)), (1, 2), "from {begun}");
            assert_eq!(recent.counts(at(begun + 10)), (0, 1), "from {begun}");
            assert_eq!(recent.counts(at(begun + 19)), (0, 0), "from {begun}");
        }
    }

    #[test]
    fn a_rate_is_poor_below_four_in_five_of_twenty() {
        for (successes, failures, poor) in
            [(16, 4, false), (15, 5, true), (14, 5, false), (0, 19, false), (0, 20, true), (80, 20, false)]
        {
            let recent = Recent::default();
            (0..successes).for_each(|_| recent.succeeded(at(3)));
            (0..failures).for_each(|_| recent.failed(at(5)));
            assert_eq!(recent.is_poor(at(6)), poor, "{successes} + {failures}");
        }
    }

    #[test]
    fn what_is_forgotten_does_not_count() {
        let recent = Recent::default();
        recent.failed(at(3));
        recent.forget();
        assert_eq!(recent.counts(at(3)), (0, 0));
    }
}
