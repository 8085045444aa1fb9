//! How long an endpoint takes to answer: an average that believes bad news at once.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use core::time::Duration;

use crate::time::Now;

/// A moving average over all workers, of the kind that is known as peak-EWMA: an answer slower than the average becomes the average, a
/// faster one takes away from what lies above it: to 1/e in 10 s, whatever the number of answers.
#[derive(Debug, Default)]
pub struct Latency {
    reading: AtomicU64,
}

impl Latency {
    /// An answer began `took` after it was asked for.
    ///
    /// Writes at most once in 1/16 s, slower and slower answers apart, so that workers do not take the cache line from each other.
    pub fn observe(&self, took: Duration, now: Now) {
        let sample = Reading::new(took, now);
        // Who loses the race looks again: a peak must not be lost to an average.
        let _unchanged = self
            .reading
            .fetch_update(Relaxed, Relaxed, |reading| Some(Reading(reading).followed_by(sample)?.0));
    }

    /// The average, and when it was last changed.
    pub fn reading(&self) -> Reading {
        Reading(self.reading.load(Relaxed))
    }
}

/// An average at a moment: 39 bits of ns (0: there was no answer yet) above 25 bits of 1/16 s.
///
/// The ticks come round after 24 days, so that after 12 the older of two is taken for the newer. Who is slow and has been asked nothing for
/// so long, because its weight was 0, say, is left alone for longer than needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading(u64);

impl Reading {
    fn new(took: Duration, now: Now) -> Reading {
        let nanos =
            took.as_secs().min(NANOS_MAX / NANOS_PER_S) * NANOS_PER_S + u64::from(took.subsec_nanos());
        let ticks =
            now.0.as_secs() * TICKS_PER_S + u64::from(now.0.subsec_nanos()) * TICKS_PER_S / NANOS_PER_S;
        Reading::pack(nanos.clamp(1, NANOS_MAX), ticks)
    }

    fn pack(nanos: u64, ticks: u64) -> Reading {
        Reading(nanos << TICKS_BITS | ticks & TICKS_MASK)
    }

    fn nanos(self) -> u64 {
        self.0 >> TICKS_BITS
    }

    /// How many ticks it is newer than `other`; negative when it is older.
    fn ahead_of(self, other: Reading) -> i64 {
        // Both shifted to the top, so that the difference has its sign.
        ((self.0 << NANOS_BITS).wrapping_sub(other.0 << NANOS_BITS) as i64) >> NANOS_BITS
    }

    /// The average after a `sample`, unless it stays as it is.
    fn followed_by(self, sample: Reading) -> Option<Reading> {
        if sample.nanos() > self.nanos() {
            return Some(sample);
        }
        let above = self.nanos() - sample.nanos();
        match sample.ahead_of(self) {
            ticks @ 1.. => Some(Reading::pack(sample.nanos() + decayed(above, ticks as u64), sample.0)),
            LATE_TICKS..=0 => None, // what has not passed yet takes nothing away; the next answer makes up for it
            _ => Some(sample),      // nobody is so late: the ticks have come round
        }
    }

    /// Both averages in ns, as they compare now.
    ///
    /// With time, an average is worth less: who was slow and has not been asked since may be faster now. Two that decay together keep their
    /// ratio, so only the lead that one has over the other counts, and no clock is asked. Decay makes nobody faster than the other, who
    /// answered meanwhile, nor than he was: else all would go to him at once. Of whom nothing is known yet, the same is expected as
    /// of the other; then the number of their requests decides, and he is neither flooded nor starved.
    pub fn abreast(self, other: Reading) -> (u64, u64) {
        let (one, two) = (self.nanos(), other.nanos());
        match (one, two, self.ahead_of(other)) {
            (0, known, _) | (known, 0, _) => (known, known),
            (_, _, ticks @ 0..) => (one, beside(two, one, ticks as u64)),
            (_, _, ticks) => (beside(one, two, ticks.unsigned_abs()), two),
        }
    }
}

/// What an older average counts for beside a newer one.
fn beside(older: u64, newer: u64, ticks: u64) -> u64 {
    match older > newer {
        true => decayed(older, ticks).max(newer),
        false => older,
    }
}

/// Half of it is left after each [`HALVING`]; between two, 2^-x is taken for 1 - ln 2 · x + (ln 2 - ½) · x². That is right at both ends,
/// begins with the right slope, which is what many short decays add up to, and is 1 % off at most. It costs four multiplications, and
/// gives the same on every machine.
fn decayed(nanos: u64, ticks: u64) -> u64 {
    let halvings = ticks * HALVINGS_PER_TICK;
    let (whole, part) = (halvings / HALVING, halvings % HALVING);
    let taken = (LN_2 * part - (LN_2 - HALVING / 2) * (part * part / HALVING)) / HALVING;
    (nanos * (HALVING - taken) / HALVING) >> whole.min(63)
}

const NANOS_PER_S: u64 = 1_000_000_000;
const TICKS_PER_S: u64 = 16;

const TICKS_BITS: u32 = 25;
const NANOS_BITS: u32 = 64 - TICKS_BITS;
const TICKS_MASK: u64 = (1 << TICKS_BITS) - 1;

/// 2^39 ns = 550 s, longer than anybody waits; and times 2^24 that fits into 64 bits.
const NANOS_MAX: u64 = (1 << NANOS_BITS) - 1;

/// How far behind another worker's answer one may come to be counted: 1 s. Between reading the clock and counting lie microseconds.
const LATE_TICKS: i64 = -16;

/// One, in numbers of 24 bits behind the point.
const HALVING: u64 = 1 << 24;

/// ln 2 · 2^24
const LN_2: u64 = 11_629_080;

/// Halves are 10 s · ln 2 = 6.93 s or 110.9 ticks apart: 2^24 / 110.9.
const HALVINGS_PER_TICK: u64 = 151_278;

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn at(seconds: f64) -> Now {
        Now(Duration::from_secs_f64(seconds))
    }

    /// Of answers in ms at times in s.
    fn average_of(answers: &[(f64, f64)]) -> f64 {
        let latency = Latency::default();
        answers.iter().for_each(|(ms, s)| latency.observe(MS.mul_f64(*ms), at(*s)));
        latency.reading().nanos() as f64 / 1e6
    }

    #[test]
    fn a_slower_answer_takes_over_at_once_and_faster_ones_take_ten_seconds() {
        assert_eq!(average_of(&[(5.0, 1.0), (200.0, 1.0)]), 200.0);
        let a_thousand_a_second = |seconds: f64| {
            let answers = (0..(1000.0 * seconds) as u32).map(|n| (5.0, 1.0 + f64::from(n) / 1000.0));
            average_of(&[(205.0, 1.0)].into_iter().chain(answers).collect::<Vec<_>>())
        };
        for (seconds, left) in [(1.0, 181.0), (10.0, 73.6), (30.0, 10.0), (60.0, 0.5)] {
            // 200 ms · e^(-s / 10)
            let above = a_thousand_a_second(seconds) - 5.0;
            assert!((above - left).abs() < left * 0.05, "{above} ms above after {seconds} s");
        }
        assert!((average_of(&[(205.0, 1.0), (5.0, 11.0)]) - 5.0 - 73.6).abs() < 1.0);
    }

    #[test]
    fn decay_is_never_far_from_the_exponential_and_never_turns_back() {
        let mut last = u64::MAX;
        for ticks in 0..5_000 {
            let exact = 1e9 * (-(ticks as f64) / 16.0 / 10.0).exp();
            let decayed = decayed(1_000_000_000, ticks);
            assert!((decayed as f64 - exact).abs() <= exact * 0.01 + 1.0, "{ticks}: {decayed}, not {exact}");
            assert!(decayed <= last);
            last = decayed;
        }
        assert_eq!(decayed(NANOS_MAX, 0), NANOS_MAX);
        assert_eq!(decayed(NANOS_MAX, TICKS_MASK), 0);
    }

    #[test]
    fn the_unknown_is_like_the_other_and_the_outdated_no_better() {
        let read = |ms: u32, s: f64| Reading::new(MS * ms, at(s));
        let ms = |(one, other): (u64, u64)| (one as f64 / 1e6, other as f64 / 1e6);
        let nothing = Latency::default().reading();
        assert_eq!(nothing.abreast(nothing), (0, 0));
        assert_eq!(ms(nothing.abreast(read(7, 1.0))), (7.0, 7.0));
        assert_eq!(ms(read(7, 1.0).abreast(nothing)), (7.0, 7.0));
        assert_eq!(ms(read(200, 1.0).abreast(read(5, 1.0))), (200.0, 5.0));
        let (older, newer) = ms(read(200, 1.0).abreast(read(5, 11.0)));
        assert!((73.0..74.2).contains(&older) && newer == 5.0, "{older} {newer}");
        assert_eq!(ms(read(5, 101.0).abreast(read(200, 1.0))), (5.0, 5.0));
        assert_eq!(ms(read(5, 1.0).abreast(read(200, 101.0))), (5.0, 200.0));
    }

    #[test]
    fn the_clock_may_come_round_and_workers_may_be_late() {
        let just_before = TICKS_MASK as f64 / 16.0 - 1.0;
        let (older, _) =
            Reading::new(200 * MS, at(just_before)).abreast(Reading::new(MS, at(just_before + 11.0)));
        assert!((65_000_000..68_000_000).contains(&older), "{older}");
        assert_eq!(average_of(&[(9.0, 5.0), (3.0, 4.5)]), 9.0);
        assert_eq!(average_of(&[(9.0, 5.0), (3.0, 5.0 + 15.0 * 86_400.0)]), 3.0);
    }

    #[test]
    fn fast_answers_within_a_tick_write_nothing() {
        let reading = |ms: u32, s: f64| Reading::new(MS * ms, at(s));
        assert_eq!(reading(9, 5.0).followed_by(reading(3, 5.05)), None);
        assert_eq!(reading(9, 5.0).followed_by(reading(10, 5.05)), Some(reading(10, 5.05)));
    }

    #[test]
    fn answers_without_end_and_in_no_time_are_bounded() {
        assert_eq!(Reading::new(Duration::MAX, at(0.0)).nanos(), NANOS_MAX);
        assert_eq!(Reading::new(Duration::ZERO, at(0.0)).nanos(), 1);
    }
}
