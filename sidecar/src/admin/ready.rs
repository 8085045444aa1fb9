//! Whether the pod may get traffic: the listeners are bound, each source has given its first answer, and no
//! end is near.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard};

use svc_core::table::Source;

use crate::sync::lock;

/// What `/readyz` waits for.
#[derive(Debug)]
pub struct Ready(Mutex<Readiness>);

#[derive(Debug)]
struct Readiness {
    listeners_bound: bool,
    silent: BTreeSet<Source>,
    draining: bool,
    /// What a ready pod is told of all the same.
    notes: Vec<String>,
}

impl Ready {
    /// Waits for the listeners and for these sources.
    pub fn new(sources: impl IntoIterator<Item = Source>) -> Ready {
        Ready(Mutex::new(Readiness {
            listeners_bound: false,
            silent: sources.into_iter().collect(),
            draining: false,
            notes: Vec::new(),
        }))
    }

    /// Every listener is bound.
    pub fn listeners_bound(&self) {
        self.state().listeners_bound = true;
    }

    /// A source has synced once, or failed once: it may be out of order, and the pod starts nevertheless.
    pub fn source_answered(&self, source: Source) {
        self.state().silent.remove(&source);
    }

    /// What does not keep the pod from its traffic, and is not as one would expect.
    pub fn note(&self, notes: Vec<String>) {
        self.state().notes = notes;
    }

    /// These notes, a line each.
    pub(super) fn notes(&self) -> Vec<String> {
        self.state().notes.clone()
    }

    /// The sidecar is about to end.
    pub fn drain(&self) {
        self.state().draining = true;
    }

    /// The sources have had time enough.
    pub(super) fn give_up_on_sources(&self) {
        self.state().silent.clear();
    }

    /// What is missing, a line each; nothing when ready.
    pub(super) fn missing(&self) -> Vec<String> {
        let state = self.state();
        let unbound = (!state.listeners_bound).then(|| "listeners: not bound yet".to_owned());
        let silent = state.silent.iter().map(|source| format!("source {}: no answer yet", source.as_str()));
        let draining = state.draining.then(|| "draining: the sidecar ends".to_owned());
        unbound.into_iter().chain(silent).chain(draining).collect()
    }

    fn state(&self) -> MutexGuard<'_, Readiness> {
        lock(&self.0)
    }
}
