//! When to ask somebody for a document again, and what an answer comes to: one question at a time, at even distances, less often while
//! nobody answers. What was known last stays known until a better document is there.

use alloc::string::String;
use core::time::Duration;

use crate::time::Now;

/// How often to ask, and how long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// From an answer to the next question, a tenth more or less: whoever started together does not ask together for ever.
    pub interval: Duration,
    /// For an answer.
    pub timeout: Duration,
}

/// The state of asking.
#[derive(Clone, Debug)]
pub struct Poll {
    pace: Pace,
    /// When to ask again.
    due: Now,
    /// Until when the question that is under way is waited for.
    waits_until: Option<Now>,
    /// The entity tag of the last document that was taken.
    etag: Option<String>,
    /// In a row.
    failures: u32,
    counts: [u64; PollOutcome::ALL.len()],
}

/// What to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PollRequest<'a> {
    /// For `If-None-Match`: the document that is known.
    pub etag: Option<&'a str>,
    /// How long to wait for the answer.
    pub timeout: Duration,
}

/// What to do with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PollAction {
    /// Read its body, and say with [`Poll::took`] what came of that.
    Take,
    /// Nothing: what is known is right, or is all there is.
    Keep,
}

/// What came of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PollOutcome {
    /// A new table is in force.
    Applied,
    /// There was nothing new.
    Unchanged,
    /// Some of the document does not serve; the rest is in force.
    Refused,
    /// There was no answer, or none that is a document.
    Failed,
}

impl PollOutcome {
    /// All there are.
    pub const ALL: [PollOutcome; 4] =
        [PollOutcome::Applied, PollOutcome::Unchanged, PollOutcome::Refused, PollOutcome::Failed];

    /// The name that metrics use.
    pub fn as_str(self) -> &'static str {
        match self {
            PollOutcome::Applied => "applied",
            PollOutcome::Unchanged => "unchanged",
            PollOutcome::Refused => "refused",
            PollOutcome::Failed => "failed",
        }
    }
}

impl Poll {
    /// Asks as soon as it can.
    pub fn new(pace: Pace, now: Now) -> Poll {
        Poll { pace, due: now, waits_until: None, etag: None, failures: 0, counts: Default::default() }
    }

    /// What to ask now, if anything; it counts as asked. An answer that has not come in good time will not come.
    pub fn tick(&mut self, now: Now, draw: u64) -> Option<PollRequest<'_>> {
        if self.waits_until.is_some_and(|until| until <= now) {
            self.failed(now, draw);
        }
        if self.waits_until.is_some() || now < self.due {
            return None;
        }
        self.waits_until = Some(after(now, self.pace.timeout + GRACE));
        Some(PollRequest { etag: self.etag.as_deref(), timeout: self.pace.timeout })
    }

    /// The head of the answer is there. One that nobody waits for any more is left alone.
    pub fn answered(&mut self, status: u16, now: Now, draw: u64) -> PollAction {
        match status {
            _ if self.waits_until.is_none() => PollAction::Keep,
            200 => PollAction::Take,
            304 if self.etag.is_some() => {
                self.settle(PollOutcome::Unchanged, now, draw);
                PollAction::Keep
            }
            _ => {
                self.failed(now, draw);
                PollAction::Keep
            }
        }
    }

    /// The document in the answer has been read, or could not be ([`PollOutcome::Failed`]). Only of one that could be the `etag` is kept.
    pub fn took(&mut self, outcome: PollOutcome, etag: Option<&str>, now: Now, draw: u64) {
        if self.waits_until.is_none() {
            return;
        }
        if outcome != PollOutcome::Failed {
            self.etag = etag.map(String::from);
        }
        self.settle(outcome, now, draw);
    }

    /// There is no answer, and there will be none.
    pub fn failed(&mut self, now: Now, draw: u64) {
        if self.waits_until.is_some() {
            self.settle(PollOutcome::Failed, now, draw);
        }
    }

    /// How often this came of a question.
    pub fn count(&self, outcome: PollOutcome) -> u64 {
        self.counts[outcome as usize]
    }

    fn settle(&mut self, outcome: PollOutcome, now: Now, draw: u64) {
        self.waits_until = None;
        self.counts[outcome as usize] += 1;
        let pause = match outcome {
            PollOutcome::Applied | PollOutcome::Unchanged | PollOutcome::Refused => {
                self.failures = 0;
                self.pace.interval
            }
            PollOutcome::Failed => {
                let pause = pause(self.failures, self.pace.interval);
                self.failures = self.failures.saturating_add(1);
                pause
            }
        };
        self.due = after(now, spread(pause, draw));
    }
}

/// 1 s (or the interval, if that is less), 2 s, 4 s and so on, then once a minute (or the interval, if that is more): who comes back is found
/// soon, and who does not costs nothing.
fn pause(failures: u32, interval: Duration) -> Duration {
    let first = interval.min(PAUSE_MIN);
    first.saturating_mul(2_u32.pow(failures.min(DOUBLINGS_MAX))).min(interval.max(PAUSE_MAX))
}

/// A tenth more or less.
fn spread(pause: Duration, draw: u64) -> Duration {
    let part = u32::try_from(draw >> 32).unwrap_or(u32::MAX);
    // 720 h / 5 × 2^32 = 2.2 × 10^15 s, inside the 1.8 × 10^19 of a Duration.
    pause - pause / 10 + pause / 5 * part / u32::MAX
}

fn after(now: Now, wait: Duration) -> Now {
    Now(now.0 + wait)
}

const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// 1 s × 2^16 is above any pause, and 720 h × 2^16 below the end of a Duration.
const DOUBLINGS_MAX: u32 = 16;

/// Whoever waits in our stead (Envoy) tells of its timeout a moment after it.
const GRACE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace { interval: Duration::from_secs(5), timeout: Duration::from_secs(2) };

    /// Neither more nor less than the pause itself.
    const EVEN: u64 = u64::MAX / 2;

    fn at(ms: u64) -> Now {
        Now(Duration::from_millis(ms))
    }

    fn is_at(now: Now, ms: u64) -> bool {
        now.0.abs_diff(Duration::from_millis(ms)) < Duration::from_millis(1)
    }

    /// One that has taken a document with this tag, at 0.
    fn taken(etag: Option<&str>) -> Poll {
        let mut poll = Poll::new(PACE, at(0));
        assert!(poll.tick(at(0), EVEN).is_some());
        assert_eq!(poll.answered(200, at(0), EVEN), PollAction::Take);
        poll.took(PollOutcome::Applied, etag, at(0), EVEN);
        poll
    }

    #[test]
    fn it_asks_at_once_and_once_at_a_time() {
        let mut poll = Poll::new(PACE, at(7));
        assert_eq!(poll.tick(at(7), EVEN), Some(PollRequest { etag: None, timeout: PACE.timeout }));
        for ms in [7, 8, 1_000, 2_500] {
            assert_eq!(poll.tick(at(ms), EVEN), None, "{ms}");
        }
    }

    #[test]
    fn an_answer_is_followed_by_the_interval_and_a_question_with_its_tag() {
        let mut poll = taken(Some("\"a\""));
        assert_eq!(poll.tick(at(4_990), EVEN), None);
        assert_eq!(poll.tick(at(5_010), EVEN).and_then(|ask| ask.etag), Some("\"a\""));
        assert_eq!(poll.answered(304, at(5_100), EVEN), PollAction::Keep);
        assert!(is_at(poll.due, 10_100));
        assert_eq!((poll.count(PollOutcome::Applied), poll.count(PollOutcome::Unchanged)), (1, 1));
    }

    #[test]
    fn a_document_replaces_the_tag_even_where_it_has_none() {
        for etag in [Some("\"b\""), None] {
            let mut poll = taken(Some("\"a\""));
            assert!(poll.tick(at(6_000), EVEN).is_some());
            assert_eq!(poll.answered(200, at(6_000), EVEN), PollAction::Take);
            poll.took(PollOutcome::Refused, etag, at(6_000), EVEN);
            assert_eq!(poll.tick(at(20_000), EVEN).map(|ask| ask.etag), Some(etag));
        }
    }

    #[test]
    fn what_cannot_be_read_leaves_the_tag_of_what_could() {
        let mut poll = taken(Some("\"a\""));
        assert!(poll.tick(at(6_000), EVEN).is_some());
        assert_eq!(poll.answered(200, at(6_000), EVEN), PollAction::Take);
        poll.took(PollOutcome::Failed, Some("\"b\""), at(6_000), EVEN);
        assert_eq!(poll.tick(at(20_000), EVEN).and_then(|ask| ask.etag), Some("\"a\""));
        assert_eq!(poll.count(PollOutcome::Failed), 1);
    }

    #[test]
    fn other_answers_are_failures_and_so_is_not_modified_where_nothing_is_known() {
        for status in [0, 100, 204, 206, 301, 403, 404, 500, 503] {
            let mut poll = taken(Some("\"a\""));
            assert!(poll.tick(at(6_000), EVEN).is_some());
            assert_eq!(poll.answered(status, at(6_000), EVEN), PollAction::Keep, "{status}");
            assert_eq!(poll.count(PollOutcome::Failed), 1, "{status}");
        }
        let mut poll = taken(None);
        assert!(poll.tick(at(6_000), EVEN).is_some());
        assert_eq!(poll.answered(304, at(6_000), EVEN), PollAction::Keep);
        assert_eq!(poll.count(PollOutcome::Failed), 1);
    }

    #[test]
    fn who_does_not_answer_is_asked_ever_less_and_as_before_once_there_is_an_answer() {
        let mut poll = taken(Some("\"a\""));
        let mut now_ms = 10_000;
        for pause_s in [1, 2, 4, 8, 16, 32, 60, 60] {
            assert!(poll.tick(at(now_ms), EVEN).is_some());
            poll.failed(at(now_ms), EVEN);
            assert!(is_at(poll.due, now_ms + pause_s * 1_000), "{pause_s}");
            now_ms += pause_s * 1_000 + 10;
        }
        assert_eq!(poll.tick(at(now_ms), EVEN).and_then(|ask| ask.etag), Some("\"a\""));
        assert_eq!(poll.answered(304, at(now_ms), EVEN), PollAction::Keep);
        assert!(is_at(poll.due, now_ms + 5_000));
        assert!(poll.tick(at(now_ms + 6_000), EVEN).is_some());
        poll.failed(at(now_ms + 6_000), EVEN);
        assert!(is_at(poll.due, now_ms + 7_000), "from the beginning again");
    }

    #[test]
    fn the_first_pause_is_no_longer_than_the_interval_and_the_last_no_shorter() {
        let pauses = |interval: u64| {
            let interval = Duration::from_millis(interval);
            (pause(0, interval), pause(u32::MAX, interval))
        };
        assert_eq!(pauses(100), (Duration::from_millis(100), Duration::from_secs(60)));
        assert_eq!(pauses(300_000), (Duration::from_secs(1), Duration::from_secs(300)));
        let longest = crate::duration::DURATION_MAX;
        assert_eq!(pause(u32::MAX, longest), Duration::from_secs(65_536), "2^16 s");
    }

    #[test]
    fn an_answer_that_does_not_come_is_a_failure_and_one_that_comes_then_is_left_alone() {
        let mut poll = taken(Some("\"a\""));
        assert!(poll.tick(at(6_000), EVEN).is_some());
        assert_eq!(poll.tick(at(8_999), EVEN), None, "the timeout, and a moment");
        assert_eq!(poll.count(PollOutcome::Failed), 0);
        assert_eq!(poll.tick(at(9_000), EVEN), None);
        assert_eq!(poll.count(PollOutcome::Failed), 1);
        assert_eq!(poll.answered(200, at(9_100), EVEN), PollAction::Keep);
        poll.took(PollOutcome::Applied, Some("\"b\""), at(9_100), EVEN);
        poll.failed(at(9_100), EVEN);
        assert_eq!((poll.count(PollOutcome::Applied), poll.count(PollOutcome::Failed)), (1, 1));
        assert_eq!(poll.tick(at(10_010), EVEN).and_then(|ask| ask.etag), Some("\"a\""));
    }

    #[test]
    fn those_who_start_together_ask_apart() {
        for (draw, from_ms, to_ms) in [(0, 4_500, 4_500), (EVEN, 4_999, 5_001), (u64::MAX, 5_500, 5_500)] {
            let pause = spread(PACE.interval, draw);
            assert!(
                (Duration::from_millis(from_ms)..=Duration::from_millis(to_ms)).contains(&pause),
                "{pause:?}"
            );
        }
        let longest = spread(crate::duration::DURATION_MAX, u64::MAX);
        assert_eq!(longest, crate::duration::DURATION_MAX / 10 * 11);
    }
}
