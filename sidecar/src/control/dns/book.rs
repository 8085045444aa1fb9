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
}

/// Somebody wants something.
#[derive(Debug)]
struct Ask {
    since: Now,
    used: Now,
    told: Option<Failure>,
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
        }
    }

    /// From here on names are completed so.
    pub(super) fn search(&mut self, search: SearchPath) {
        self.search = search;
    }

    /// Somebody wants this.
    pub(super) fn want(&mut self, want: Want, now: Now) {
        let ask = self.asks.entry(want.clone()).or_insert(Ask { since: now, used: now, told: None });
        ask.used = now;
        for name in self.names_of(&want) {
            if let Some(known) = self.names.get_mut(&name) {
                known.touch(now);
            }
        }
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
        self.names.retain(|_, known| !known.is_idle(IDLE, now));
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
            Some(known) => known.hear(question.kind, reply, self.bounds, now),
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
        let mut settled = Vec::new();
        let wants: Vec<Want> = self.asks.keys().cloned().collect();
        for want in wants {
            self.judge(want, &mut settled, now);
        }
        News { changes: self.changes(), settled }
    }

    fn judge(&mut self, want: Want, settled: &mut Vec<(Want, Result<(), Failure>)>, now: Now) {
        let Some(ask) = self.asks.get(&want) else { return };
        let (since, told) = (ask.since, ask.told);
        if told.is_some() && (now.since(ask.used) >= FORGET || self.has_forgotten(&want)) {
            self.asks.remove(&want);
            settled.push((want, Ok(()))); // whoever asks again is answered anew
            return;
        }
        let verdict = match self.standing(&want, now) {
            Standing::Found => Ok(()),
            Standing::Denied(failure) => Err(failure),
            Standing::Unknown(_) if told.is_none() && now.since(since) < PATIENCE => return,
            Standing::Unknown(last) => Err(last.unwrap_or(Failure::NameTimeout)),
        };
        if verdict.err() == told && told.is_some() {
            return;
        }
        match verdict {
            Ok(()) => drop(self.asks.remove(&want)),
            Err(failure) => {
                if let Some(ask) = self.asks.get_mut(&want) {
                    ask.told = Some(failure);
                }
            }
        }
        settled.push((want, verdict));
    }

    /// How what somebody wants stands; asks for what that takes.
    fn standing(&mut self, want: &Want, now: Now) -> Standing {
        match want {
            Want::Name(name) => self.standing_of(name, now),
            Want::Host(host, port) => self.standing_of_host(host, *port, now),
        }
    }

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
    fn standing_of_host(&mut self, host: &str, port: u16, now: Now) -> Standing {
        let names = candidates(host, &self.search);
        let known = names.iter().find(|name| self.serves(host, name)).cloned();
        let mut standing = Standing::Denied(Failure::NameDenied);
        for name in known.iter().chain(&names) {
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

    /// The names that something wanted depends on.
    fn names_of(&self, want: &Want) -> Vec<Arc<str>> {
        match want {
            Want::Name(name) => [name.clone()].into(),
            Want::Host(host, _) => candidates(host, &self.search),
        }
    }

    /// Whether a name that a verdict stands on is not known any more.
    fn has_forgotten(&self, want: &Want) -> bool {
        let names = self.names_of(want);
        let first = names
            .iter()
            .map(|name| self.names.get(name).map(Known::standing))
            .find(|standing| *standing != Some(Standing::Denied(Failure::NameDenied)));
        first == Some(None)
    }

    /// What the inventory does not know yet: names first forgotten, then told, and Services that lead to them.
    fn changes(&mut self) -> Vec<Change> {
        let mut changes = Vec::new();
        let found = |name: &Arc<str>| {
            let known = self.names.get(name)?;
            (known.standing() == Standing::Found).then(|| known.records())
        };
        self.served.retain(|service, served| match found(&served.name) {
            None => {
                changes.push(Change::Service(service.clone(), None));
                false
            }
            Some(records) => {
                let described = served.describe(service, &records, &self.cluster);
                if served.told.as_deref() != Some(&described) {
                    let described = Arc::new(described);
                    served.told = Some(described.clone());
                    changes.push(Change::Service(service.clone(), Some(described)));
                }
                true
            }
        });
        self.told.retain(|name, _| {
            let stays = found(name).is_some();
            if !stays {
                changes.push(Change::Name(name.clone(), None));
            }
            stays
        });
        for (name, known) in &self.names {
            let records = known.records();
            let told = self.told.get(name).is_some_and(|told| **told == *records);
            if known.standing() == Standing::Found && !told {
                let records: Arc<[Record]> = records.into();
                self.told.insert(name.clone(), records.clone());
                changes.push(Change::Name(name.clone(), Some(records)));
            }
        }
        changes
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
