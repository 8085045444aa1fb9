//! How long an answer of DNS holds, and when to ask again (S-32).

use core::time::Duration;

use crate::time::Now;

/// `--dns-min-ttl`, `--dns-max-ttl`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// No answer is kept for less.
    pub min: Duration,
    /// No answer is kept for longer.
    pub max: Duration,
}

/// What came of one look-up, as far as time is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DnsOutcome {
    /// Records, with the least of their lifetimes.
    Found(Duration),
    /// DNS says that there is no such name, or no such record of it; with the lifetime of that, where it has one (RFC 2308 §5).
    Denied(Option<Duration>),
    /// DNS could not say.
    Failed,
}

/// What is known of one (name, type), for how long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lease {
    /// What was answered last; failures do not count.
    held: HeldAnswer,
    /// When to ask again.
    due: Now,
    /// Failures since then.
    failures: u32,
}

/// The last answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HeldAnswer {
    /// There was none yet.
    #[default]
    Nothing,
    /// Records. They stay in force until another answer, however long that takes.
    Records,
    /// That there are none.
    Denial,
}

impl Lease {
    /// To be asked at once.
    pub fn new(now: Now) -> Lease {
        Lease { held: HeldAnswer::Nothing, due: now, failures: 0 }
    }

    /// Takes note of what came of a look-up. Only an answer replaces an answer.
    pub fn learn(&mut self, outcome: DnsOutcome, bounds: Bounds, now: Now) {
        match outcome {
            DnsOutcome::Found(lifetime) => {
                let kept = lifetime.clamp(bounds.min, bounds.max);
                *self = Lease { held: HeldAnswer::Records, due: after(now, kept - lead(kept)), failures: 0 };
            }
            DnsOutcome::Denied(lifetime) => {
                let kept = lifetime.unwrap_or_default().clamp(bounds.min, bounds.max);
                *self = Lease { held: HeldAnswer::Denial, due: after(now, kept), failures: 0 };
            }
            DnsOutcome::Failed => {
                self.due = after(now, pause(self.failures));
                self.failures = self.failures.saturating_add(1);
            }
        }
    }

    /// What is held may be over: to be asked again at once.
    pub fn expire(&mut self, now: Now) {
        self.due = self.due.min(now);
    }

    /// The last answer.
    pub fn held(&self) -> HeldAnswer {
        self.held
    }

    /// When to ask again.
    pub fn due(&self) -> Now {
        self.due
    }

    /// Whether the last look-up failed: what is held is more than the server says now.
    pub fn is_failing(&self) -> bool {
        self.failures > 0
    }
}

fn after(now: Now, wait: Duration) -> Now {
    Now(now.0 + wait)
}

/// How long before its end an answer is renewed: long beside an answer from the same cluster (1 ms), short beside the answer's life, so
/// that a name is asked for once in a lifetime, not twice, and a cache on the way has let go of the same answer.
fn lead(kept: Duration) -> Duration {
    (kept / LEAD_PART).min(LEAD_MAX)
}

/// 2 %: of 5 s, 100 ms.
const LEAD_PART: u32 = 50;
const LEAD_MAX: Duration = Duration::from_millis(500);

/// 250 ms, 500 ms, 1 s, 2 s, then every 4 s: a server that is back is found within that, and one that is down gets a question a
/// second for each four names.
fn pause(failures: u32) -> Duration {
    PAUSE_MIN * 2_u32.pow(failures.min(DOUBLINGS_MAX))
}

const PAUSE_MIN: Duration = Duration::from_millis(250);
const DOUBLINGS_MAX: u32 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { min: Duration::from_secs(5), max: Duration::from_secs(300) };

    fn at(ms: u64) -> Now {
        Now(Duration::from_millis(ms))
    }

    #[track_caller]
    fn check(outcome: DnsOutcome, due_ms: u64) {
        let mut lease = Lease::new(at(1_000));
        lease.learn(outcome, BOUNDS, at(1_000));
        assert_eq!(lease.due(), at(1_000 + due_ms), "{outcome:?}");
    }

    #[test]
    fn an_answer_is_renewed_shortly_before_its_end() {
        check(DnsOutcome::Found(Duration::from_secs(10)), 9_800);
        check(DnsOutcome::Found(Duration::from_secs(60)), 59_500);
    }

    #[test]
    fn lifetimes_are_kept_within_their_bounds() {
        check(DnsOutcome::Found(Duration::ZERO), 4_900);
        check(DnsOutcome::Found(Duration::from_secs(86_400)), 299_500);
        check(DnsOutcome::Denied(Some(Duration::from_secs(1))), 5_000);
        check(DnsOutcome::Denied(Some(Duration::from_secs(3_600))), 300_000);
        check(DnsOutcome::Denied(None), 5_000);
    }

    #[test]
    fn a_failure_takes_nothing_away_and_is_tried_again_ever_later() {
        for (outcome, held) in [
            (DnsOutcome::Found(Duration::from_secs(5)), HeldAnswer::Records),
            (DnsOutcome::Denied(None), HeldAnswer::Denial),
        ] {
            let mut lease = Lease::new(at(0));
            lease.learn(outcome, BOUNDS, at(0));
            for pause_ms in [250, 500, 1_000, 2_000, 4_000, 4_000] {
                lease.learn(DnsOutcome::Failed, BOUNDS, at(7_000));
                assert_eq!((lease.held(), lease.due()), (held, at(7_000 + pause_ms)));
                assert!(lease.is_failing());
            }
            lease.learn(DnsOutcome::Found(Duration::from_secs(5)), BOUNDS, at(9_000));
            assert!(!lease.is_failing());
        }
    }

    #[test]
    fn what_is_in_doubt_is_asked_for_at_once() {
        let mut lease = Lease::new(at(0));
        lease.learn(DnsOutcome::Found(Duration::from_secs(5)), BOUNDS, at(0));
        lease.expire(at(7));
        assert_eq!((lease.held(), lease.due()), (HeldAnswer::Records, at(7)));
    }

    #[test]
    fn an_answer_replaces_an_answer() {
        let mut lease = Lease::new(at(0));
        assert_eq!(lease.held(), HeldAnswer::Nothing);
        lease.learn(DnsOutcome::Found(Duration::from_secs(5)), BOUNDS, at(0));
        lease.learn(DnsOutcome::Denied(None), BOUNDS, at(5_000));
        assert_eq!(lease.held(), HeldAnswer::Denial);
    }
}
