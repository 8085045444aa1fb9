//! What is known of one name.

use svc_core::discovery::answer::{Kind, Record};
use svc_core::discovery::lease::{Bounds, Held, Lease, Outcome};
use svc_core::discovery::names::split_srv;
use svc_core::outcome::Failure;
use svc_core::time::Now;

use super::{Heard, Reply};
use crate::metrics::LookedUp;

/// What is known of one absolute name.
#[derive(Debug)]
pub(super) struct Known {
    answers: Vec<Answers>,
    /// When somebody had use for it last.
    used: Now,
    /// When DNS answered last.
    answered: Now,
}

/// What is known of the records of one type.
#[derive(Debug)]
struct Answers {
    kind: Kind,
    lease: Lease,
    /// A question is under way.
    flying: bool,
    records: Vec<Record>,
    aliased: bool,
    /// Its aliases lead nowhere.
    nowhere: Option<Failure>,
    /// What became of the last question, where that was no answer.
    failure: Option<Failure>,
}

/// How a name stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It leads somewhere.
    Found,
    /// It does not, says DNS.
    Denied(Failure),
    /// DNS has not said yet; or has failed to, so far.
    Unknown(Option<Failure>),
}

impl Known {
    pub(super) fn new(name: &str, now: Now) -> Known {
        let kinds: &[Kind] = if split_srv(name).is_some() { &[Kind::Srv] } else { &[Kind::A, Kind::Aaaa] };
        Known {
            answers: kinds.iter().map(|&kind| Answers::new(kind, now)).collect(),
            used: now,
            answered: now,
        }
    }

    pub(super) fn standing(&self) -> Standing {
        let holds = |held| move |answers: &Answers| answers.lease.held() == held;
        if self.answers.iter().any(holds(Held::Records)) {
            Standing::Found
        } else if self.answers.iter().all(holds(Held::Denial)) {
            let nowhere = self.answers.iter().find_map(|answers| answers.nowhere);
            Standing::Denied(nowhere.unwrap_or(Failure::NameDenied))
        } else {
            Standing::Unknown(self.answers.iter().find_map(|answers| answers.failure))
        }
    }

    /// Every record of every type.
    pub(super) fn records(&self) -> Vec<Record> {
        let mut records: Vec<Record> =
            self.answers.iter().flat_map(|answers| &answers.records).copied().collect();
        records.sort_unstable();
        records.dedup();
        records
    }

    /// Whether its records are another name's.
    pub(super) fn is_alias(&self) -> bool {
        self.answers.iter().any(|answers| answers.aliased)
    }

    pub(super) fn touch(&mut self, now: Now) {
        self.used = now;
    }

    /// Takes note of a reply. Where the name does not exist, what is known of its other types is out of date.
    pub(super) fn hear(&mut self, kind: Kind, reply: Reply, bounds: Bounds, now: Now) -> Heard {
        let gone = matches!(reply, Reply::Denied { exists: false, .. });
        if gone {
            self.answers.iter_mut().for_each(|answers| answers.doubt(now));
        }
        let Some(answers) = self.answers.iter_mut().find(|answers| answers.kind == kind) else {
            return Heard::Nothing;
        };
        let heard = answers.hear(reply, bounds, now);
        if heard == Heard::Answer {
            self.answered = now;
        }
        heard
    }

    /// Whether nobody would miss it: a denial that nobody has met again, or anything that nobody has used for long.
    pub(super) fn is_idle(&self, idle: std::time::Duration, now: Now) -> bool {
        let flying = self.answers.iter().any(|answers| answers.flying);
        let met_again = self.used > self.answered;
        let denied = matches!(self.standing(), Standing::Denied(_));
        let over = self.answers.iter().any(|answers| answers.lease.due() <= now);
        !flying && (now.since(self.used) >= idle || denied && over && !met_again)
    }

    /// The types to be asked for now; they count as asked.
    pub(super) fn due(&mut self, now: Now) -> impl Iterator<Item = Kind> {
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
    fn new(kind: Kind, now: Now) -> Answers {
        Answers {
            kind,
            lease: Lease::new(now),
            flying: false,
            records: Vec::new(),
            aliased: false,
            nowhere: None,
            failure: None,
        }
    }

    fn hear(&mut self, reply: Reply, bounds: Bounds, now: Now) -> Heard {
        self.flying = false;
        let outcome = match reply {
            Reply::Found { lifetime, .. } => Outcome::Found(lifetime),
            Reply::Denied { lifetime, .. } => Outcome::Denied(lifetime),
            Reply::Nowhere(_) => Outcome::Denied(None),
            Reply::Failed(_) => Outcome::Failed,
        };
        self.lease.learn(outcome, bounds, now);
        let nowhere = if let Reply::Nowhere(failure) = reply { Some(failure) } else { None };
        (self.records, self.aliased) = match reply {
            Reply::Found { records, aliased, .. } => (records, aliased),
            Reply::Denied { .. } | Reply::Nowhere(_) => (Vec::new(), false),
            Reply::Failed(how) => {
                self.failure = Some(failure_of(how));
                return if self.lease.held() == Held::Records { Heard::ServesOn } else { Heard::Nothing };
            }
        };
        (self.nowhere, self.failure) = (nowhere, None);
        Heard::Answer
    }

    /// What is held may not be true any more: to be asked again at once.
    fn doubt(&mut self, now: Now) {
        if self.lease.held() == Held::Records {
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
