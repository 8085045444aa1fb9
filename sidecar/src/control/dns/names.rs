//! The names that DNS is asked for: what is known of each, and which is to be asked next.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use svc_core::dns::answer::QueryType;
use svc_core::dns::lease::Bounds;
use svc_core::time::Now;

use super::cache_entry::CacheEntry;
use super::question::{Question, Reply, ReplyMeaning, after};
use crate::shares::Shares;

/// All of them.
#[derive(Debug)]
pub(super) struct NameTable {
    known: BTreeMap<Arc<str>, NameEntry>,
    shares: Shares<Arc<str>>,
    /// When to look at each again: once in it, but for those that have never been asked.
    schedule: BTreeSet<(Now, Arc<str>)>,
    /// Those that have never been asked, by who wants them, the newest last.
    fresh: BTreeMap<IpAddr, BTreeMap<u64, Arc<str>>>,
    count: u64,
    /// Those that may stand otherwise than they did.
    changed: BTreeSet<Arc<str>>,
}

#[derive(Debug)]
struct NameEntry {
    known: CacheEntry,
    place: QueuePlace,
}

/// Where a name waits for its turn.
#[derive(Clone, Copy, Debug)]
enum QueuePlace {
    /// With those that have never been asked.
    Fresh(IpAddr, u64),
    /// In the schedule.
    At(Now),
    /// It is being asked.
    Nowhere,
}

impl NameTable {
    pub(super) fn new() -> NameTable {
        NameTable {
            known: BTreeMap::new(),
            shares: Shares::new(NAMES_MAX),
            schedule: BTreeSet::new(),
            fresh: BTreeMap::new(),
            count: 0,
            changed: BTreeSet::new(),
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&CacheEntry> {
        self.known.get(name).map(|entry| &entry.known)
    }

    /// From now on it is asked for, because this client wants it. Where there are too many, another is forgotten for it.
    pub(super) fn ask_for(&mut self, name: &Arc<str>, client: IpAddr, now: Now) {
        if let Some(gone) = self.shares.admit(name.clone(), client) {
            self.forget(&gone);
        }
        if !self.known.contains_key(name) {
            self.count += 1;
            self.fresh.entry(client).or_default().insert(self.count, name.clone());
            let place = QueuePlace::Fresh(client, self.count);
            self.known.insert(name.clone(), NameEntry { known: CacheEntry::new(name, now), place });
        }
    }

    /// Somebody has use for it.
    pub(super) fn touch(&mut self, name: &Arc<str>, now: Now) {
        if let Some(entry) = self.known.get_mut(name) {
            entry.known.touch(now);
            self.shares.touch(name);
        }
    }

    /// Takes note of a reply.
    pub(super) fn hear(
        &mut self,
        question: &Question,
        reply: Reply,
        bounds: Bounds,
        now: Now,
    ) -> ReplyMeaning {
        let Some(entry) = self.known.get_mut(&question.name) else { return ReplyMeaning::Nothing };
        self.changed.insert(question.name.clone());
        let heard = entry.known.hear(question.kind, reply, bounds, now);
        self.reschedule(&question.name);
        heard
    }

    /// Whether there are names that have never been asked for.
    pub(super) fn has_fresh(&self) -> bool {
        !self.fresh.is_empty()
    }

    /// Who wants a name that has never been asked for, and has the fewest questions under way.
    pub(super) fn next_client(&self, under_way: impl Fn(IpAddr) -> usize) -> Option<IpAddr> {
        self.fresh.keys().copied().min_by_key(|client| under_way(*client))
    }

    /// The questions for the newest name of a client that has never been asked for; they count as asked. Where more are wanted than can be
    /// asked, what was wanted last is what somebody still waits for.
    pub(super) fn take_fresh(&mut self, client: IpAddr, now: Now) -> Vec<Question> {
        let newest = self.fresh.get(&client).and_then(|names| names.last_key_value());
        let newest = newest.map(|(_, name)| name.clone());
        newest.map(|name| self.ask_now(&name, now)).unwrap_or_default()
    }

    /// The questions for a name that is to be asked for again now, and who wanted it first; they count as asked. What nobody would miss is
    /// forgotten instead.
    pub(super) fn take_due(&mut self, now: Now) -> Option<(IpAddr, Vec<Question>)> {
        loop {
            let (at, name) = self.schedule.first()?;
            if *at > now {
                return None;
            }
            let name = name.clone();
            let idle = self.get(&name).is_some_and(|known| known.is_idle(IDLE, now));
            if idle {
                self.shares.remove(&name);
                self.forget(&name);
                continue;
            }
            let questions = self.ask_now(&name, now);
            if let (Some(client), false) = (self.shares.holder(&name), questions.is_empty()) {
                return Some((client, questions));
            }
        }
    }

    /// When a name is to be looked at again, if nothing happens before.
    pub(super) fn wake(&self) -> Option<Now> {
        self.schedule.first().map(|(at, _)| *at)
    }

    /// Whether there are names that may stand otherwise.
    pub(super) fn has_changed(&self) -> bool {
        !self.changed.is_empty()
    }

    /// The names that may stand otherwise than when this was called last.
    pub(super) fn take_changed(&mut self) -> BTreeSet<Arc<str>> {
        std::mem::take(&mut self.changed)
    }

    fn ask_now(&mut self, name: &Arc<str>, now: Now) -> Vec<Question> {
        let Some(entry) = self.known.get_mut(name) else { return Vec::new() };
        let kinds: Vec<QueryType> = entry.known.due(now).collect();
        self.reschedule(name);
        kinds.into_iter().map(|kind| Question { name: name.clone(), kind }).collect()
    }

    /// Puts it where it waits for its next turn: until it is due, or nobody has had use for it for long.
    fn reschedule(&mut self, name: &Arc<str>) {
        self.leave_place(name);
        let Some(NameEntry { known, place }) = self.known.get_mut(name) else { return };
        let Some(due) = known.wake() else { return };
        let at = if known.is_flying() { due } else { due.min(after(known.used(), IDLE)) };
        *place = QueuePlace::At(at);
        self.schedule.insert((at, name.clone()));
    }

    fn leave_place(&mut self, name: &Arc<str>) {
        let Some(entry) = self.known.get_mut(name) else { return };
        match std::mem::replace(&mut entry.place, QueuePlace::Nowhere) {
            QueuePlace::Nowhere => {}
            QueuePlace::At(at) => {
                self.schedule.remove(&(at, name.clone()));
            }
            QueuePlace::Fresh(client, number) => {
                if let Some(names) = self.fresh.get_mut(&client) {
                    names.remove(&number);
                    if names.is_empty() {
                        self.fresh.remove(&client);
                    }
                }
            }
        }
    }

    fn forget(&mut self, name: &Arc<str>) {
        self.leave_place(name);
        if self.known.remove(name).is_some() {
            self.changed.insert(name.clone());
        }
    }
}

/// A name without a connection for so long is asked for no more. Idle connections to its endpoints count: they last 50 s.
const IDLE: Duration = Duration::from_secs(300);

/// Names known at once: clients choose them. 1024 × (253 bytes of name + a few records of 28 bytes + ~400 of state) = 0.7 MiB, and at
/// the shortest lifetime 2 × 1024 / 5 s = 410 questions a second. A further one goes in the place of whatever whoever has the most has used least
/// recently.
const NAMES_MAX: usize = 1024;
