//! Which names are wanted, what is known of them, and what follows for the inventory and for those who wait. Knows no clock and
//! no network.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use svc_core::dns::answer::Record;
use svc_core::dns::lease::Bounds;
use svc_core::dns::names::{SearchPath, candidates};
use svc_core::inventory::Change;
use svc_core::outcome::Failure;
use svc_core::time::Now;

use super::cache_entry::{CacheEntry, NameState};
use super::flights::PATIENCE_MIN;
use super::interests::{NameInterest, NameInterests};
use super::names::NameTable;
use super::question::{Question, Reply, ReplyMeaning, after};
use super::served::{Catalog, Cluster};
use crate::shared::interest::{InUse, LookupOutcome, OnDemandLookup};

/// The state of the source.
#[derive(Debug)]
pub(crate) struct DnsCache {
    search: SearchPath,
    cluster: Cluster,
    bounds: Bounds,
    names: NameTable,
    served: Catalog,
    /// What is not answered, or answered by a reason.
    asks: NameInterests,
    /// What the inventory has been told of each name.
    told: BTreeMap<Arc<str>, Arc<[Record]>>,
}

/// What follows from what happened.
#[derive(Debug, Default)]
pub(super) struct CacheNews {
    /// For the inventory.
    pub(super) changes: Vec<Change>,
    /// For those who wait, once the changes are in force.
    pub(super) settled: Vec<(OnDemandLookup, LookupOutcome)>,
}

impl DnsCache {
    pub(crate) fn new(search: SearchPath, cluster: Cluster, bounds: Bounds) -> DnsCache {
        let (names, served, asks) = (NameTable::new(), Catalog::new(), NameInterests::default());
        DnsCache { search, cluster, bounds, names, served, asks, told: BTreeMap::new() }
    }

    /// From here on names are completed so.
    pub(super) fn search(&mut self, search: SearchPath, now: Now) {
        self.search = search;
        self.asks.rename(|want| names_of(want, &self.search), now);
    }

    /// This client wants this.
    pub(super) fn want(&mut self, want: OnDemandLookup, client: IpAddr, now: Now) {
        let names = names_of(&want, &self.search);
        for name in &names {
            self.names.touch(name, now);
        }
        self.asks.want(want, client, names, now);
    }

    /// Nobody is to be told of this any more.
    pub(super) fn drop_want(&mut self, want: &OnDemandLookup) {
        self.asks.remove(want);
    }

    /// These names have connections, at these ports.
    pub(super) fn note_use(&mut self, in_use: &BTreeSet<InUse>, now: Now) {
        for (name, port) in in_use {
            self.names.touch(name, now);
            self.served.touch(name, *port);
        }
    }

    /// Whom to ask DNS for.
    pub(super) fn names(&mut self) -> &mut NameTable {
        &mut self.names
    }

    /// Takes note of a reply.
    pub(super) fn hear(&mut self, question: &Question, reply: Reply, now: Now) -> ReplyMeaning {
        self.names.hear(question, reply, self.bounds, now)
    }

    /// When to look again, if nothing happens before. Where no more can be asked (`full`), what is due waits for an answer, or until one is
    /// given up for what has never been asked.
    pub(super) fn wake(&self, full: bool, now: Now) -> Option<Now> {
        let names = match full {
            true => self.names.has_fresh().then(|| after(now, PATIENCE_MIN)),
            false => self.names.wake(),
        };
        names.into_iter().chain(self.asks.wake()).min()
    }

    /// What has become of all this since it was asked last.
    pub(super) fn news(&mut self, now: Now) -> CacheNews {
        let (mut changed, mut settled) = (BTreeSet::new(), Vec::new());
        loop {
            let latest = self.names.take_changed();
            let concerned = self.asks.concerned(&latest, now);
            changed.extend(latest);
            if concerned.is_empty() {
                break;
            }
            // A name that comes may be the end of another, and so of who waits for that; who waits for none any more asks for none.
            settled.extend(concerned.into_iter().filter_map(|want| {
                let settled = self.judge(&want, now)?;
                Some((want, settled))
            }));
        }
        CacheNews { changes: self.changes(&changed), settled }
    }

    /// What somebody who wants this is to be told now, if that is news.
    fn judge(&mut self, want: &OnDemandLookup, now: Now) -> Option<LookupOutcome> {
        let ask = self.asks.get(want)?.clone();
        let waits_in_vain = ask.waits_for.is_some_and(|index| self.names.get(&ask.names[index]).is_none());
        if ask.told.is_none() && waits_in_vain {
            self.asks.remove(want);
            return Some(LookupOutcome::Dropped);
        }
        if ask.told.is_some() && (ask.is_forgotten(now) || self.has_forgotten(&ask.names)) {
            self.asks.remove(want);
            return Some(LookupOutcome::Known); // whoever asks again is answered anew
        }
        let failure = match self.standing_of(want, &ask, now) {
            NameState::Found => {
                self.asks.remove(want);
                return Some(LookupOutcome::Known);
            }
            NameState::Denied(failure) | NameState::Failed(failure) => failure,
            NameState::Unknown(_) if ask.told.is_none() && !ask.is_overdue(now) => return None,
            NameState::Unknown(last) => last.unwrap_or(Failure::NameTimeout),
        };
        self.asks.tell(want, failure);
        (ask.told != Some(failure)).then_some(LookupOutcome::Failed(failure))
    }

    /// How what is wanted stands. One candidate after the other, until there is one of which nobody says that it is not there, or not for it to
    /// say: a server that cannot say whether the name is in one domain does not keep it from being found in another.
    fn standing_of(&mut self, want: &OnDemandLookup, ask: &NameInterest, now: Now) -> NameState {
        let begin = if ask.told.is_some() { 0 } else { ask.waits_for.unwrap_or(0) };
        if let Some(name) = ask.names.iter().find(|name| self.serves(want, name)) {
            return self.serve(want, name, ask.client);
        }
        let mut verdict = NameState::Denied(Failure::NameDenied);
        for (index, name) in ask.names.iter().enumerate() {
            let standing = match self.names.get(name) {
                Some(known) => known.standing(),
                None if index < begin => continue, // it was passed over before
                None => {
                    self.names.ask_for(name, ask.client, now);
                    NameState::Unknown(None)
                }
            };
            match standing {
                NameState::Found => return self.serve(want, name, ask.client),
                NameState::Denied(Failure::NameDenied) => {}
                NameState::Failed(failure) => verdict = NameState::Failed(failure),
                NameState::Denied(_) => return standing,
                NameState::Unknown(_) => {
                    self.asks.wait_for(want, index);
                    return standing;
                }
            }
        }
        verdict
    }

    /// Whether the host that is wanted is served by that name already.
    fn serves(&self, want: &OnDemandLookup, name: &Arc<str>) -> bool {
        let OnDemandLookup::Host(host, _) = want else { return false };
        let known = self.names.get(name).filter(|known| known.standing() == NameState::Found);
        known.is_some_and(|known| self.served.serves(&self.cluster.identify(host, name, known), name))
    }

    /// It is found under that name: a host is served from now on, at the port that is wanted.
    fn serve(&mut self, want: &OnDemandLookup, name: &Arc<str>, client: IpAddr) -> NameState {
        if let (OnDemandLookup::Host(host, port), Some(known)) = (want, self.names.get(name)) {
            let service = self.cluster.identify(host, name, known);
            self.served.open(&service, name, *port, client);
        }
        NameState::Found
    }

    /// Whether a name that a verdict stands on is not known any more.
    fn has_forgotten(&self, names: &[Arc<str>]) -> bool {
        let standings = names.iter().map(|name| self.names.get(name).map(CacheEntry::standing));
        let passed = |standing: &Option<NameState>| {
            matches!(standing, Some(NameState::Denied(Failure::NameDenied) | NameState::Failed(_)))
        };
        standings.into_iter().find(|standing| !passed(standing)) == Some(None)
    }

    /// What the inventory does not know yet: of Services that only DNS knows, and of names.
    fn changes(&mut self, changed: &BTreeSet<Arc<str>>) -> Vec<Change> {
        let (names, told) = (&self.names, &mut self.told);
        let mut changes = self.served.changes(changed, &self.cluster, |name| found(names, name));
        for name in changed {
            match found(names, name) {
                None if told.remove(name).is_some() => changes.push(Change::Name(name.clone(), None)),
                Some(records) if told.get(name).is_none_or(|told| **told != *records) => {
                    let records: Arc<[Record]> = records.into();
                    told.insert(name.clone(), records.clone());
                    changes.push(Change::Name(name.clone(), Some(records)));
                }
                None | Some(_) => {}
            }
        }
        changes
    }
}

/// The records of a name that leads somewhere.
fn found(names: &NameTable, name: &str) -> Option<Vec<Record>> {
    names.get(name).filter(|known| known.standing() == NameState::Found).map(CacheEntry::records)
}

/// The names that something wanted depends on.
fn names_of(want: &OnDemandLookup, search: &SearchPath) -> Vec<Arc<str>> {
    match want {
        OnDemandLookup::Name(name) => [name.clone()].into(),
        OnDemandLookup::Host(host, _) => candidates(host, search),
    }
}
