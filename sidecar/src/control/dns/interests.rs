//! What somebody wants that is not answered, or answered by a reason: by the names that it depends on, and by when to look at it again.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use svc_core::outcome::Failure;
use svc_core::time::Now;

use super::question::after;
use crate::shared::interest::{OnDemandLookup, PATIENCE};

/// All of them. Each change costs what it concerns.
#[derive(Debug, Default)]
pub(super) struct NameInterests {
    known: BTreeMap<OnDemandLookup, NameInterest>,
    of_name: BTreeMap<Arc<str>, BTreeSet<OnDemandLookup>>,
    /// When to look at each again: once in it.
    timers: BTreeSet<(Now, OnDemandLookup)>,
    /// Those that have not been looked at yet.
    fresh: BTreeSet<OnDemandLookup>,
}

/// Somebody wants something.
#[derive(Clone, Debug)]
pub(super) struct NameInterest {
    /// The names that it depends on, in the order in which they are tried.
    pub(super) names: Vec<Arc<str>>,
    /// Who has asked first.
    pub(super) client: IpAddr,
    /// What it was told, if it was told anything.
    pub(super) told: Option<Failure>,
    /// Which name it waits for; nothing where it has not been looked at yet.
    pub(super) waits_for: Option<usize>,
    since: Now,
    used: Now,
    timer: Now,
}

impl NameInterest {
    /// Whether a first answer has been waited for long enough.
    pub(super) fn is_overdue(&self, now: Now) -> bool {
        now.since(self.since) >= PATIENCE
    }

    /// Whether nobody asks any more about what it was told.
    pub(super) fn is_forgotten(&self, now: Now) -> bool {
        self.told.is_some() && now.since(self.used) >= FORGET
    }

    fn next_look(&self) -> Now {
        match self.told {
            None => after(self.since, PATIENCE),
            Some(_) => after(self.used, FORGET),
        }
    }
}

impl NameInterests {
    /// Somebody wants this, which depends on these names.
    pub(super) fn want(&mut self, want: OnDemandLookup, client: IpAddr, names: Vec<Arc<str>>, now: Now) {
        if let Some(ask) = self.known.get_mut(&want) {
            ask.used = now;
            return;
        }
        for name in &names {
            self.of_name.entry(name.clone()).or_default().insert(want.clone());
        }
        let mut ask =
            NameInterest { names, client, told: None, waits_for: None, since: now, used: now, timer: now };
        ask.timer = ask.next_look();
        self.timers.insert((ask.timer, want.clone()));
        self.fresh.insert(want.clone());
        self.known.insert(want, ask);
    }

    pub(super) fn get(&self, want: &OnDemandLookup) -> Option<&NameInterest> {
        self.known.get(want)
    }

    /// It has been told this.
    pub(super) fn tell(&mut self, want: &OnDemandLookup, failure: Failure) {
        if let Some(ask) = self.known.get_mut(want) {
            ask.told = Some(failure);
            self.rearm(want);
        }
    }

    /// It waits for this one of its names.
    pub(super) fn wait_for(&mut self, want: &OnDemandLookup, index: usize) {
        if let Some(ask) = self.known.get_mut(want) {
            ask.waits_for = Some(index);
        }
    }

    pub(super) fn remove(&mut self, want: &OnDemandLookup) {
        let Some(ask) = self.known.remove(want) else { return };
        self.timers.remove(&(ask.timer, want.clone()));
        self.fresh.remove(want);
        for name in &ask.names {
            if let Some(wants) = self.of_name.get_mut(name) {
                wants.remove(want);
                if wants.is_empty() {
                    self.of_name.remove(name);
                }
            }
        }
    }

    /// Names are completed otherwise from now on.
    pub(super) fn rename(&mut self, names_of: impl Fn(&OnDemandLookup) -> Vec<Arc<str>>, now: Now) {
        for (want, ask) in std::mem::take(self).known {
            let names = names_of(&want);
            self.want(want.clone(), ask.client, names, now);
            if let Some(told) = ask.told {
                self.tell(&want, told);
            }
        }
    }

    /// Those of which there may be something to tell: what is new, what depends on these names, and what is due.
    pub(super) fn concerned(&mut self, changed: &BTreeSet<Arc<str>>, now: Now) -> BTreeSet<OnDemandLookup> {
        let mut concerned = std::mem::take(&mut self.fresh);
        let of_names = changed.iter().filter_map(|name| self.of_name.get(name)).flatten();
        concerned.extend(of_names.cloned());
        while let Some((at, want)) = self.timers.pop_first() {
            if at > now {
                self.timers.insert((at, want));
                break;
            }
            if let Some(ask) = self.known.get_mut(&want) {
                ask.timer = ask.next_look().max(after(now, TICK)); // later, where it was asked for meanwhile
                self.timers.insert((ask.timer, want.clone()));
                concerned.insert(want);
            }
        }
        concerned
    }

    /// When to look again, if nothing happens before.
    pub(super) fn wake(&self) -> Option<Now> {
        self.timers.first().map(|(at, _)| *at)
    }

    fn rearm(&mut self, want: &OnDemandLookup) {
        let Some(ask) = self.known.get_mut(want) else { return };
        self.timers.remove(&(ask.timer, want.clone()));
        ask.timer = ask.next_look();
        self.timers.insert((ask.timer, want.clone()));
    }
}

/// How long a failure that nobody asks about stays in the register.
const FORGET: Duration = Duration::from_secs(30);

/// What is due and stays is not looked at in a circle.
const TICK: Duration = Duration::from_millis(100);
