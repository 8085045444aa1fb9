//! The register of interest in Services that the API server is asked about: those that requests wait for, and those in use. The data path
//! writes it and waits; the source `kubernetes` reads it and answers.
//!
//! Its lock is for requests that the table cannot route, and for a look once a second at what is in use.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use svc_core::address::ServiceName;
use svc_core::time::Now;
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

use crate::sync::lock;

/// The register.
#[derive(Debug, Default)]
pub(crate) struct ApiInterest {
    /// Somebody answers.
    attended: AtomicBool,
    lookups: Mutex<Lookups>,
    asked: Notify,
}

#[derive(Debug, Default)]
struct Lookups {
    waiting: BTreeMap<ServiceName, Arc<Notify>>,
    /// Of those, what the source has not been told of.
    new: BTreeSet<ServiceName>,
    /// The API server had nothing to say: until then other sources are asked at once.
    unknown: BTreeMap<ServiceName, Now>,
    in_use: BTreeSet<ServiceName>,
}

impl ApiInterest {
    /// Asks for the endpoints of a Service; the wait is over when the table says more, or never will. `None` where nobody will answer:
    /// there is no such source, it has just said that it does not know, or too much is asked for.
    pub(crate) fn ask(&self, service: &ServiceName, now: Now) -> Option<OwnedNotified> {
        if !self.attended.load(Relaxed) {
            return None;
        }
        let mut lookups = lock(&self.lookups);
        let lookups = &mut *lookups;
        match lookups.unknown.get(service) {
            Some(until) if *until > now => return None,
            Some(_) => lookups.unknown.remove(service),
            None => None,
        };
        if let Some(waiting) = lookups.waiting.get(service) {
            return Some(waiting.clone().notified_owned());
        }
        if lookups.waiting.len() >= LOOKUPS_MAX {
            return None;
        }
        let waiting = Arc::<Notify>::default();
        let notified = waiting.clone().notified_owned(); // under the lock: it cannot be settled unheard
        lookups.waiting.insert(service.clone(), waiting);
        lookups.new.insert(service.clone());
        self.asked.notify_one();
        Some(notified)
    }

    /// These Services have connections.
    pub(crate) fn note_use(&self, services: impl Iterator<Item = ServiceName>) {
        if self.attended.load(Relaxed) {
            let mut lookups = lock(&self.lookups);
            lookups.in_use.extend(services);
            if !lookups.in_use.is_empty() {
                self.asked.notify_one();
            }
        }
    }

    /// From here on questions are answered.
    pub(crate) fn attend(&self) {
        self.attended.store(true, Relaxed);
    }

    /// Waits for a question, or for a note of what is in use.
    pub(crate) async fn asked(&self) {
        self.asked.notified().await;
    }

    /// What was asked for, and what has been in use, since this was called last.
    pub(crate) fn take(&self) -> (BTreeSet<ServiceName>, BTreeSet<ServiceName>) {
        let mut lookups = lock(&self.lookups);
        (std::mem::take(&mut lookups.new), std::mem::take(&mut lookups.in_use))
    }

    /// Whoever waits looks again: the table has the answer, or (`known` is false) the next source is to be asked.
    pub(crate) fn settle(&self, service: &ServiceName, known: bool, now: Now) {
        let mut lookups = lock(&self.lookups);
        if !known {
            if lookups.unknown.len() >= LOOKUPS_MAX {
                lookups.unknown.retain(|_, until| *until > now);
            }
            if lookups.unknown.len() < LOOKUPS_MAX {
                lookups.unknown.insert(service.clone(), Now(now.0 + UNKNOWN));
            }
        }
        lookups.new.remove(service);
        if let Some(waiting) = lookups.waiting.remove(service) {
            waiting.notify_waiters();
        }
    }
}

/// Services that are waited for, and as many that are not known: 1024 × 2 × ~150 bytes = 0.3 MiB.
const LOOKUPS_MAX: usize = 1024;

/// How long what is not known is not asked for again: a moment, for the table forgets a Service that cannot be had, and knows it again
/// by itself.
const UNKNOWN: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    fn web() -> ServiceName {
        ServiceName::new("default", "web")
    }

    fn at(seconds: u64) -> Now {
        Now(Duration::from_secs(seconds))
    }

    #[tokio::test]
    async fn all_who_wait_for_a_service_are_one_question_and_have_one_answer() {
        let interest = ApiInterest::default();
        assert!(interest.ask(&web(), at(0)).is_none(), "nobody answers");
        interest.attend();
        let waits = [interest.ask(&web(), at(0)).unwrap(), interest.ask(&web(), at(0)).unwrap()];
        interest.asked().await;
        assert_eq!(interest.take().0, BTreeSet::from([web()]));
        assert!(interest.take().0.is_empty());
        interest.settle(&web(), true, at(0));
        for wait in waits {
            wait.await;
        }
        assert!(interest.ask(&web(), at(0)).is_some());
    }

    #[test]
    fn what_is_not_known_is_asked_for_again_after_a_while() {
        let interest = ApiInterest::default();
        interest.attend();
        assert!(interest.ask(&web(), at(0)).is_some());
        interest.settle(&web(), false, at(0));
        assert!(interest.ask(&web(), at(4)).is_none());
        assert!(interest.ask(&web(), at(5)).is_some());
    }

    #[test]
    fn questions_have_a_bound() {
        let interest = ApiInterest::default();
        interest.attend();
        let name = |number: usize| ServiceName::new("default", number.to_string().as_str());
        let asked = (0..2 * LOOKUPS_MAX).filter(|number| interest.ask(&name(*number), at(0)).is_some());
        assert_eq!(asked.count(), LOOKUPS_MAX);
    }

    #[test]
    fn what_is_in_use_is_noted_where_somebody_listens() {
        let interest = ApiInterest::default();
        interest.note_use([web()].into_iter());
        assert!(interest.take().1.is_empty());
        interest.attend();
        interest.note_use([web()].into_iter());
        assert_eq!(interest.take().1, BTreeSet::from([web()]));
    }
}
