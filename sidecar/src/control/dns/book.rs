//! Which names are wanted, what is known of them, and what follows for the inventory and for those who wait. Knows no clock and
//! no network.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use svc_core::address::ServiceName;
use svc_core::discovery::answer::Record;
use svc_core::discovery::lease::Bounds;
use svc_core::discovery::names::{SearchPath, candidates};
use svc_core::inventory::Change;
use svc_core::outcome::Failure;
use svc_core::time::Now;

use super::known::{Known, Standing};
use super::served::{Cluster, Served};
use super::{Heard, Question, Reply};
use crate::wanted::{PATIENCE, Want};

/// The state of the source.
#[derive(Debug)]
pub(crate) struct Book {
    search: SearchPath,
    cluster: Cluster,
    bounds: Bounds,
    names: BTreeMap<Arc<str>, Known>,
    served: BTreeMap<ServiceName, Served>,
    /// What is not answered, or answered by a reason.
    asks: BTreeMap<Want, Ask>,
    /// What the inventory has been told of each name.
    told: BTreeMap<Arc<str>, Arc<[Record]>>,
    /// The names that may stand otherwise than when it was told.
    changed: BTreeSet<Arc<str>>,
}

/// Somebody wants something.
#[derive(Debug)]
struct Ask {
    /// The names that it depends on, in the order in which they are tried.
    names: Vec<Arc<str>>,
    since: Now,
    used: Now,
    /// What it was told, if it was told anything.
    told: Option<Failure>,
    /// It has not been looked at yet.
    new: bool,
}

/// What follows from what happened.
#[derive(Debug, Default)]
pub(super) struct News {
    /// For the inventory.
    pub(super) changes: Vec<Change>,
    /// For those who wait, once the changes are in force.
    pub(super) settled: Vec<(Want, Result<(), Failure>)>,
}

impl Book {
    pub(crate) fn new(search: SearchPath, cluster: Cluster, bounds: Bounds) -> Book {
        Book {
            search,
            cluster,
            bounds,
            names: BTreeMap::new(),
            served: BTreeMap::new(),
            asks: BTreeMap::new(),
            told: BTreeMap::new(),
            changed: BTreeSet::new(),
        }
    }

    /// From here on names are completed so.
    pub(super) fn search(&mut self, search: SearchPath) {
        self.search = search;
        for (want, ask) in &mut self.asks {
            (ask.names, ask.new) = (names_of(want, &self.search), true);
        }
    }

    /// Somebody wants this.
    pub(super) fn want(&mut self, want: Want, now: Now) {
        let names = names_of(&want, &self.search);
        for name in &names {
            if let Some(known) = self.names.get_mut(name) {
                known.touch(now);
            }
        }
        let ask =
            self.asks.entry(want).or_insert(Ask { names, since: now, used: now, told: None, new: true });
        ask.used = now;
    }

    /// These names have connections.
    pub(super) fn note_use(&mut self, names: &BTreeSet<Arc<str>>, now: Now) {
        for name in names {
            if let Some(known) = self.names.get_mut(name) {
                known.touch(now);
            }
        }
    }

    /// The questions to ask now, at most `room` of them; they count as asked. What nobody would miss is forgotten instead.
    pub(super) fn due(&mut self, room: usize, now: Now) -> Vec<Question> {
        let changed = &mut self.changed;
        self.names.retain(|name, known| {
            let idle = known.is_idle(IDLE, now);
            if idle {
                changed.insert(name.clone());
            }
            !idle
        });
        let mut due = Vec::new();
        for (name, known) in &mut self.names {
            if due.len() >= room {
                break;
            }
            due.extend(known.due(now).map(|kind| Question { name: name.clone(), kind }));
        }
        due
    }

    /// Takes note of a reply.
    pub(super) fn hear(&mut self, question: &Question, reply: Reply, now: Now) -> Heard {
        match self.names.get_mut(&question.name) {
            Some(known) => {
                self.changed.insert(question.name.clone());
                known.hear(question.kind, reply, self.bounds, now)
            }
            None => Heard::Nothing,
        }
    }

    /// When to look again, if nothing happens before.
    pub(super) fn wake(&self) -> Option<Now> {
        let due = self.names.values().filter_map(Known::wake);
        let patience =
            self.asks.values().filter(|ask| ask.told.is_none()).map(|ask| after(ask.since, PATIENCE));
        due.chain(patience).min()
    }

    /// What has become of all this since it was asked last.
    pub(super) fn news(&mut self, now: Now) -> News {
        let concerned: Vec<Want> = self
            .asks
            .iter()
            .filter(|(_, ask)| self.concerns(ask, now))
            .map(|(want, _)| want.clone())
            .collect();
        let settled = concerned.into_iter().filter_map(|want| Some((want.clone(), self.judge(&want, now)?)));
        let settled = settled.collect();
        News { changes: self.changes(), settled }
    }

    /// Whether there may be something to tell.
    fn concerns(&self, ask: &Ask, now: Now) -> bool {
        let over = match ask.told {
            None => now.since(ask.since) >= PATIENCE,
            Some(_) => now.since(ask.used) >= FORGET,
        };
        ask.new || over || ask.names.iter().any(|name| self.changed.contains(name))
    }

    /// What somebody who wants this is to be told now, if that is news.
    fn judge(&mut self, want: &Want, now: Now) -> Option<Result<(), Failure>> {
        let ask = self.asks.get_mut(want)?;
        ask.new = false;
        let (since, told, names) = (ask.since, ask.told, ask.names.clone());
        if told.is_some() && (now.since(ask.used) >= FORGET || self.has_forgotten(&names)) {
            self.asks.remove(want);
            return Some(Ok(())); // whoever asks again is answered anew
        }
        let standing = match want {
            Want::Name(name) => self.standing_of(name, now),
            Want::Host(host, port) => self.standing_of_host(host, *port, &names, now),
        };
        let failure = match standing {
            Standing::Found => {
                self.asks.remove(want);
                return Some(Ok(()));
            }
            Standing::Denied(failure) => failure,
            Standing::Unknown(_) if told.is_none() && now.since(since) < PATIENCE => return None,
            Standing::Unknown(last) => last.unwrap_or(Failure::NameTimeout),
        };
        self.asks.get_mut(want)?.told = Some(failure);
        (told != Some(failure)).then_some(Err(failure))
    }

    /// How a name stands; it is asked for from now on.
    fn standing_of(&mut self, name: &Arc<str>, now: Now) -> Standing {
        if let Some(known) = self.names.get(name) {
            return known.standing();
        }
        if self.names.len() >= NAMES_MAX {
            return Standing::Denied(Failure::NameFailed);
        }
        self.names.insert(name.clone(), Known::new(name, now));
        Standing::Unknown(None)
    }

    /// One candidate after the other, until one is more than denied.
    fn standing_of_host(&mut self, host: &str, port: u16, names: &[Arc<str>], now: Now) -> Standing {
        let known = names.iter().find(|name| self.serves(host, name)).cloned();
        let mut standing = Standing::Denied(Failure::NameDenied);
        for name in known.iter().chain(names) {
            standing = self.standing_of(name, now);
            match standing {
                Standing::Found => return self.serve(host, name, port),
                Standing::Denied(Failure::NameDenied) => {}
                Standing::Denied(_) | Standing::Unknown(_) => break,
            }
        }
        standing
    }

    /// Whether the host is served by that name already.
    fn serves(&self, host: &str, name: &Arc<str>) -> bool {
        let Some(known) = self.names.get(name).filter(|known| known.standing() == Standing::Found) else {
            return false;
        };
        let service = self.cluster.identify(host, name, known);
        self.served.get(&service).is_some_and(|served| served.name == *name)
    }

    fn serve(&mut self, host: &str, name: &Arc<str>, port: u16) -> Standing {
        let Some(known) = self.names.get(name) else { return Standing::Unknown(None) };
        let service = self.cluster.identify(host, name, known);
        let served = self.served.entry(service).or_insert_with(|| Served::new(name.clone()));
        match served.open(port) {
            true => Standing::Found,
            false => Standing::Denied(Failure::NoSuchPort),
        }
    }

    /// Whether a name that a verdict stands on is not known any more.
    fn has_forgotten(&self, names: &[Arc<str>]) -> bool {
        let standings = names.iter().map(|name| self.names.get(name).map(Known::standing));
        let mut decisive =
            standings.skip_while(|standing| *standing == Some(Standing::Denied(Failure::NameDenied)));
        decisive.next() == Some(None)
    }

    /// What the inventory does not know yet: of Services that only DNS knows, and of names.
    fn changes(&mut self) -> Vec<Change> {
        let changed = std::mem::take(&mut self.changed);
        let mut changes = Vec::new();
        self.served.retain(|service, served| {
            if served.told.is_some() && !served.grown && !changed.contains(&served.name) {
                return true;
            }
            let Some(records) = found(&self.names, &served.name) else {
                changes.push(Change::Service(service.clone(), None));
                return false;
            };
            let described = served.describe(service, &records, &self.cluster);
            if served.tell(&described) {
                changes.push(Change::Service(service.clone(), Some(Arc::new(described))));
            }
            true
        });
        for name in changed {
            match found(&self.names, &name) {
                None if self.told.remove(&name).is_some() => changes.push(Change::Name(name, None)),
                Some(records) if self.told.get(&name).is_none_or(|told| **told != *records) => {
                    let records: Arc<[Record]> = records.into();
                    self.told.insert(name.clone(), records.clone());
                    changes.push(Change::Name(name, Some(records)));
                }
                None | Some(_) => {}
            }
        }
        changes
    }
}

/// The records of a name that leads somewhere.
fn found(names: &BTreeMap<Arc<str>, Known>, name: &str) -> Option<Vec<Record>> {
    let known = names.get(name).filter(|known| known.standing() == Standing::Found)?;
    Some(known.records())
}

/// The names that something wanted depends on.
fn names_of(want: &Want, search: &SearchPath) -> Vec<Arc<str>> {
    match want {
        Want::Name(name) => [name.clone()].into(),
        Want::Host(host, _) => candidates(host, search),
    }
}

fn after(now: Now, wait: Duration) -> Now {
    Now(now.0 + wait)
}

/// A name without a connection for so long is asked for no more. Idle connections to its endpoints count: they last 50 s.
pub(super) const IDLE: Duration = Duration::from_secs(300);

/// How long a failure that nobody asks about stays in the register.
const FORGET: Duration = Duration::from_secs(30);

/// Names known at once: clients choose them. 1024 × (253 bytes of name + a few records of 24 bytes + ~200 of state) = 0.5 MiB, and at
/// the shortest lifetime 2 × 1024 / 5 s = 410 questions a second.
const NAMES_MAX: usize = 1024;
