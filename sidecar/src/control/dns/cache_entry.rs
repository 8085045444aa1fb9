//! What is known of one name.

use svc_core::dns::answer::{QueryType, Record};
use svc_core::dns::lease::{Bounds, DnsOutcome, HeldAnswer, Lease};
use svc_core::dns::names::split_srv;
use svc_core::outcome::Failure;
use svc_core::time::Now;

use super::question::{Reply, ReplyMeaning};
use crate::metrics::LookedUp;

/// What is known of one absolute name.
#[derive(Debug)]
pub(super) struct CacheEntry {
    answers: Vec<Answers>,
    /// When somebody had use for it last.
    used: Now,
    /// When DNS answered last.
    answered: Now,
}

/// What is known of the records of one type.
#[derive(Debug)]
struct Answers {
    kind: QueryType,
    lease: Lease,
    /// A question is under way.
    flying: bool,
    said: LastAnswer,
    /// SERVFAIL in a row; the most of that where there is nobody to say anything.
    refusals: u32,
    /// What became of the last question, where that was no answer.
    failure: Option<Failure>,
}

/// The last answer.
#[derive(Debug, Default)]
struct LastAnswer {
    records: Vec<Record>,
    aliased: bool,
    /// Its aliases lead nowhere.
    nowhere: Option<Failure>,
    /// There is no such name, so that there are no records of any type.
    absent: bool,
}

/// How a name stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NameState {
    /// It leads somewhere.
    Found,
    /// It does not, says DNS.
    Denied(Failure),
    /// DNS says that it cannot say, and has said so often enough.
    Failed(Failure),
    /// DNS has not said yet; or has failed to, so far.
    Unknown(Option<Failure>),
}

impl CacheEntry {
    pub(super) fn new(name: &str, now: Now) -> CacheEntry {
        let kinds: &[QueryType] =
            if split_srv(name).is_some() { &[QueryType::Srv] } else { &[QueryType::A, QueryType::Aaaa] };
        CacheEntry {
            answers: kinds.iter().map(|&kind| Answers::new(kind, now)).collect(),
            used: now,
            answered: now,
        }
    }

    pub(super) fn standing(&self) -> NameState {
        let holds = |held| move |answers: &&Answers| answers.lease.held() == held;
        if self.answers.iter().any(|answers| holds(HeldAnswer::Records)(&answers)) {
            return NameState::Found;
        }
        let mut open = self.answers.iter().filter(|answers| !holds(HeldAnswer::Denial)(answers)).peekable();
        if open.peek().is_none() || self.is_absent() {
            let nowhere = self.answers.iter().find_map(|answers| answers.said.nowhere);
            return NameState::Denied(nowhere.unwrap_or(Failure::NameDenied));
        }
        let failure = open.clone().find_map(|answers| answers.failure);
        match open.all(Answers::has_given_up) {
            true => NameState::Failed(failure.unwrap_or(Failure::NameFailed)),
            false => NameState::Unknown(failure),
        }
    }

    /// Some servers say that there is no such name to whoever asks for IPv6, where there is (RFC 4074 §4.2): the other answer is waited for.
    fn is_absent(&self) -> bool {
        self.answers.iter().any(|answers| answers.said.absent && answers.kind != QueryType::Aaaa)
    }

    /// Every record of every type.
    pub(super) fn records(&self) -> Vec<Record> {
        let mut records: Vec<Record> =
            self.answers.iter().flat_map(|answers| &answers.said.records).copied().collect();
        records.sort_unstable();
        records.dedup();
        records
    }

    /// Whether its records are another name's.
    pub(super) fn is_alias(&self) -> bool {
        self.answers.iter().any(|answers| answers.said.aliased)
    }

    pub(super) fn touch(&mut self, now: Now) {
        self.used = now;
    }

    /// Takes note of a reply. Where the name does not exist, what is known of its other types is out of date.
    pub(super) fn hear(&mut self, kind: QueryType, reply: Reply, bounds: Bounds, now: Now) -> ReplyMeaning {
        let gone = matches!(reply, Reply::Denied { exists: false, .. });
        if gone {
            self.answers.iter_mut().for_each(|answers| answers.doubt(now));
        }
        let Some(answers) = self.answers.iter_mut().find(|answers| answers.kind == kind) else {
            return ReplyMeaning::Nothing;
        };
        let heard = answers.hear(reply, bounds, now);
        if heard == ReplyMeaning::Answer {
            self.answered = now;
        }
        heard
    }

    pub(super) fn used(&self) -> Now {
        self.used
    }

    /// Whether a question is under way.
    pub(super) fn is_flying(&self) -> bool {
        self.answers.iter().any(|answers| answers.flying)
    }

    /// Whether nobody would miss it: a denial that nobody has met again, or anything that nobody has used for long.
    pub(super) fn is_idle(&self, idle: std::time::Duration, now: Now) -> bool {
        let met_again = self.used > self.answered;
        let denied = matches!(self.standing(), NameState::Denied(_));
        let over = self.answers.iter().any(|answers| answers.lease.due() <= now);
        !self.is_flying() && (now.since(self.used) >= idle || denied && over && !met_again)
    }

    /// The types to be asked for now; they count as asked.
    pub(super) fn due(&mut self, now: Now) -> impl Iterator<Item = QueryType> {
        let due =
            self.answers.iter_mut().filter(move |answers| !answers.flying && answers.lease.due() <= now);
        due.map(|answers| {
            answers.flying = true;
            answers.kind
        })
    }

    /// When something is due next.
    pub(super) fn wake(&self) -> Option<Now> {
        let waiting = self.answers.iter().filter(|answers| !answers.flying);
        waiting.map(|answers| answers.lease.due()).min()
    }
}

impl Answers {
    fn new(kind: QueryType, now: Now) -> Answers {
        Answers {
            kind,
            lease: Lease::new(now),
            flying: false,
            said: LastAnswer::default(),
            refusals: 0,
            failure: None,
        }
    }

    fn hear(&mut self, reply: Reply, bounds: Bounds, now: Now) -> ReplyMeaning {
        self.flying = false;
        let (outcome, said) = match reply {
            Reply::Found { records, lifetime, aliased } => {
                (DnsOutcome::Found(lifetime), LastAnswer { records, aliased, ..LastAnswer::default() })
            }
            Reply::Denied { lifetime, exists } => {
                (DnsOutcome::Denied(lifetime), LastAnswer { absent: !exists, ..LastAnswer::default() })
            }
            Reply::Nowhere(failure) => {
                (DnsOutcome::Denied(None), LastAnswer { nowhere: Some(failure), ..LastAnswer::default() })
            }
            Reply::Refused => return self.fail(LookedUp::Error, REFUSALS_MAX, bounds, now),
            Reply::Failed(LookedUp::ServFail) => {
                return self.fail(LookedUp::ServFail, self.refusals.saturating_add(1), bounds, now);
            }
            Reply::Failed(how) => return self.fail(how, 0, bounds, now),
        };
        self.lease.learn(outcome, bounds, now);
        (self.said, self.failure, self.refusals) = (said, None, 0);
        ReplyMeaning::Answer
    }

    fn fail(&mut self, how: LookedUp, refusals: u32, bounds: Bounds, now: Now) -> ReplyMeaning {
        self.lease.learn(DnsOutcome::Failed, bounds, now);
        (self.failure, self.refusals) = (Some(failure_of(how)), refusals);
        if self.lease.held() == HeldAnswer::Records { ReplyMeaning::ServesOn } else { ReplyMeaning::Nothing }
    }

    /// Whether there is no point in waiting for an answer: it is asked for all the same.
    fn has_given_up(&self) -> bool {
        self.refusals >= REFUSALS_MAX
    }

    /// What is held may not be true any more: to be asked again at once.
    fn doubt(&mut self, now: Now) {
        if self.lease.held() == HeldAnswer::Records {
            self.lease.expire(now);
        }
    }
}

fn failure_of(how: LookedUp) -> Failure {
    match how {
        LookedUp::Timeout => Failure::NameTimeout,
        LookedUp::Ok | LookedUp::NxDomain | LookedUp::NoData | LookedUp::ServFail | LookedUp::Error => {
            Failure::NameFailed
        }
    }
}

/// SERVFAIL may pass: it is tried again after 250 ms, 500 ms and 1 s before anybody is told.
const REFUSALS_MAX: u32 = 4;
