//! How much may be sent again: retries help while few requests fail, and break what is left when all do.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::time::Now;

/// The retries that a Service port may still have: one for every five requests of the last eight seconds, and ten in any
/// second beside them. All workers share it.
///
/// Its endpoints thus get no more than 1.2 × the requests offered so far + 10 for each second begun; and over any interval no more
/// retries than a fifth of what was offered within it and the eight seconds before + 10 for each second begun. This holds exactly,
/// however workers interleave: a request is worth a fifth of a retry once, and a place of the reserve is given once a second.
#[derive(Debug, Default)]
pub struct Budget {
    /// What each of the last seconds earned and has not spent: the second's number, and its requests.
    earned: [AtomicU64; WINDOW_SECONDS],
    /// When each place of the reserve is free again, in ns.
    reserve: [AtomicU64; RESERVE],
}

/// 20 % of requests.
const REQUESTS_PER_RETRY: u32 = 5;

/// Retries that may be had in any second whatever the load: with few requests a fifth of them is nothing.
const RESERVE: usize = 10;

/// How long a request is worth its share of a retry. An endpoint that dies fails at once what it had under way: at a rate of
/// r a second 1.6 × r may then be sent again, which is all of it where requests take up to 1.6 s × the number of endpoints.
/// A power of two: a request finds its second's place without a division. 8 + 10 places × 8 bytes = 144 bytes for a port.
const WINDOW_SECONDS: usize = 8;

impl Budget {
    /// A client's request has come.
    pub fn offered(&self, now: Now) {
        let second = second(now);
        let place = &self.earned[second as usize % WINDOW_SECONDS];
        let mut seen = place.load(Relaxed);
        while number(seen) < second {
            match place.compare_exchange_weak(seen, earned(second, 1), Relaxed, Relaxed) {
                Ok(_) => return,
                Err(other) => seen = other,
            }
        }
        place.fetch_add(1, Relaxed);
    }

    /// Takes one retry; false when there is none.
    pub fn take(&self, now: Now) -> bool {
        self.take_earned(now) || self.take_reserve(now)
    }

    /// From the oldest second that has enough: it is the next to be worth nothing.
    fn take_earned(&self, now: Now) -> bool {
        let second = second(now);
        (0..WINDOW_SECONDS).any(|ago| self.take_earned_in(second + 1 + ago as u32, second))
    }

    /// `place` counts seconds as they fall into the window.
    fn take_earned_in(&self, place: u32, second: u32) -> bool {
        let place = &self.earned[place as usize % WINDOW_SECONDS];
        let spent = place.fetch_update(Relaxed, Relaxed, |seen| {
            let valid = number(seen) + WINDOW_SECONDS as u32 > second;
            (valid && requests(seen) >= REQUESTS_PER_RETRY).then(|| seen - u64::from(REQUESTS_PER_RETRY))
        });
        spent.is_ok()
    }

    fn take_reserve(&self, now: Now) -> bool {
        let now_ns = now.0.as_nanos() as u64; // 584 years
        self.reserve.iter().any(|place| {
            let free = |free_ns| (free_ns <= now_ns).then_some(now_ns + SECOND_NS);
            place.fetch_update(Relaxed, Relaxed, free).is_ok()
        })
    }
}

const SECOND_NS: u64 = 1_000_000_000;

fn second(now: Now) -> u32 {
    now.0.as_secs() as u32 // 136 years
}

fn earned(second: u32, requests: u32) -> u64 {
    u64::from(second) << 32 | u64::from(requests)
}

fn number(earned: u64) -> u32 {
    (earned >> 32) as u32
}

fn requests(earned: u64) -> u32 {
    earned as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use core::time::Duration;
    use proptest::prelude::*;

    fn at_ms(ms: u64) -> Now {
        Now(Duration::from_millis(ms))
    }

    fn taken(budget: &Budget, now: Now) -> usize {
        (0..10_000).take_while(|_| budget.take(now)).count()
    }

    fn offer(budget: &Budget, count: u32, now: Now) {
        (0..count).for_each(|_| budget.offered(now));
    }

    #[test]
    fn without_any_load_there_are_ten_in_any_second() {
        let budget = Budget::default();
        assert_eq!(taken(&budget, at_ms(500)), RESERVE);
        assert_eq!(taken(&budget, at_ms(1499)), 0);
        assert_eq!(taken(&budget, at_ms(1500)), RESERVE);
        assert_eq!(taken(&budget, at_ms(60_000)), RESERVE, "a quiet minute saves nothing up");
    }

    #[test]
    fn a_fifth_of_the_requests_may_be_sent_again_at_once() {
        let budget = Budget::default();
        offer(&budget, 1000, at_ms(100));
        assert_eq!(taken(&budget, at_ms(100)), 200 + RESERVE);
    }

    #[test]
    fn what_was_earned_long_ago_is_worth_nothing() {
        let budget = Budget::default();
        offer(&budget, 1000, at_ms(0));
        offer(&budget, 500, at_ms(1000));
        assert_eq!(taken(&budget, at_ms(8500)), 100 + RESERVE);
        offer(&budget, 5, at_ms(8500)); // takes the place of the first
        assert_eq!(taken(&budget, at_ms(8500)), 1);
    }

    /// What happened: when, and whether it was a request or a retry that was granted.
    struct History {
        requests_ms: Vec<u64>,
        retries_ms: Vec<u64>,
    }

    /// Requests and failures at random distances; every failure asks for a retry.
    fn history(steps: &[(bool, u64)]) -> History {
        let (budget, mut model, mut now_ms) = (Budget::default(), Model::default(), 0);
        let (mut requests_ms, mut retries_ms) = (Vec::new(), Vec::new());
        for &(request, later_ms) in steps {
            now_ms += later_ms;
            if request {
                budget.offered(at_ms(now_ms));
                model.unspent.push(now_ms / 1000);
                requests_ms.push(now_ms);
            } else {
                let granted = budget.take(at_ms(now_ms));
                assert_eq!(granted, model.grants(now_ms), "at {now_ms} ms");
                granted.then(|| retries_ms.push(now_ms));
            }
        }
        History { requests_ms, retries_ms }
    }

    /// The same, slow and obvious: the whole past is gone through for each decision.
    #[derive(Default)]
    struct Model {
        /// The second of each request that is not spent.
        unspent: Vec<u64>,
        reserve_ms: Vec<u64>,
    }

    impl Model {
        fn grants(&mut self, now_ms: u64) -> bool {
            let now = now_ms / 1000;
            for second in (now + 1).saturating_sub(8)..=now {
                if self.unspent.iter().filter(|other| **other == second).count() >= 5 {
                    for _ in 0..5 {
                        let index = self.unspent.iter().position(|other| *other == second);
                        self.unspent.swap_remove(index.expect("five were counted"));
                    }
                    return true;
                }
            }
            let lately = self.reserve_ms.iter().filter(|earlier| **earlier + 1000 > now_ms).count();
            if lately < 10 {
                self.reserve_ms.push(now_ms);
            }
            lately < 10
        }
    }

    fn within(times_ms: &[u64], from_ms: u64, until_ms: u64) -> u64 {
        times_ms.iter().filter(|ms| (from_ms..until_ms).contains(ms)).count() as u64
    }

    /// Long runs of requests and of failures, in bursts and with pauses.
    fn steps() -> impl Strategy<Value = Vec<(bool, u64)>> {
        let later_ms = prop_oneof![6 => Just(0_u64), 3 => 1_u64..40, 1 => 200_u64..3000];
        let run = (any::<bool>(), 1_usize..40, later_ms);
        prop::collection::vec(run, 0..25).prop_map(|runs| {
            runs.into_iter()
                .flat_map(|(request, count, later_ms)| (0..count).map(move |_| (request, later_ms)))
                .collect()
        })
    }

    proptest! {
        #[test]
        fn retries_stay_within_a_fifth_and_ten_a_second_over_every_interval(steps in steps()) {
            let History { requests_ms, retries_ms } = history(&steps);
            let end_ms = requests_ms.iter().chain(&retries_ms).max().map_or(0, |last_ms| last_ms + 1);
            for &from_ms in retries_ms.iter().step_by(7).chain([&0]) {
                for &until_ms in retries_ms.iter().step_by(5).chain([&end_ms]).filter(|it| **it > from_ms) {
                    let retries = within(&retries_ms, from_ms, until_ms);
                    let offered = within(&requests_ms, from_ms.saturating_sub(8000), until_ms);
                    let seconds = (until_ms - from_ms).div_ceil(1000);
                    prop_assert!(5 * retries <= offered + 50 * seconds, "{from_ms}..{until_ms} ms: {retries} of {offered}");
                }
            }
        }
    }

    #[test]
    fn workers_that_take_at_once_take_no_more_than_there_is() {
        let budget = Budget::default();
        let taken: usize = std::thread::scope(|scope| {
            let worker = || {
                let mut taken = 0;
                for round in 0..5000 {
                    budget.offered(at_ms(round));
                    taken += usize::from(budget.take(at_ms(round)));
                }
                taken
            };
            let workers = [(); 4].map(|()| scope.spawn(worker));
            workers.into_iter().map(|worker| worker.join().expect("no worker panics")).sum()
        });
        // 4 × 5000 requests within 5 s; each may take a fifth from a second in which they meet.
        assert!(taken <= 4000 + 5 * RESERVE, "{taken}");
        assert!(taken >= 3500, "{taken}");
    }
}
