//! The register of interest: names that requests wait for, and names that are in use. The data path writes it and waits; the source
//! `dns` reads it and answers.
//!
//! Its lock is for requests that the table cannot route: one that it can never comes here.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use svc_core::outcome::Failure;
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

/// What a request needs to know before it can be routed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Want {
    /// The addresses of a name: the endpoints of a Service that the table has. Lower case, no dot at the end.
    Name(Arc<str>),
    /// Which Service a host is, at a port of it. Lower case; absolute where a dot ends it.
    Host(Arc<str>, u16),
}

/// The register.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    /// Somebody answers.
    attended: AtomicBool,
    asks: Mutex<HashMap<Want, Ask>>,
    in_use: Mutex<BTreeSet<Arc<str>>>,
    asked: Notify,
}

/// One want that the table does not answer.
#[derive(Debug, Default)]
struct Ask {
    /// Told once it is settled, and each time it is settled otherwise.
    settled: Arc<Notify>,
    /// What keeps it from being answered.
    failure: Option<Failure>,
    /// The source knows of it.
    noted: bool,
    /// Somebody has wanted it since the source looked last.
    again: bool,
}

impl Wanted {
    /// Asks for what the table does not have. The answer comes by way of the table: look there again when the wait is over.
    ///
    /// # Errors
    /// What is known already to be the reason that there is no answer.
    pub(crate) fn ask(&self, want: Want) -> Result<OwnedNotified, Failure> {
        if !self.attended.load(Relaxed) {
            return Err(unattended(&want));
        }
        let mut asks = lock(&self.asks);
        if asks.len() >= ASKS_MAX && !asks.contains_key(&want) {
            return Err(Failure::NameFailed);
        }
        let ask = asks.entry(want).or_default();
        ask.again = true;
        if let Some(failure) = ask.failure {
            return Err(failure);
        }
        let settled = ask.settled.clone().notified_owned(); // under the lock: it cannot be settled unheard
        if !ask.noted {
            self.asked.notify_one();
        }
        Ok(settled)
    }

    /// These names have connections.
    pub(crate) fn note_use(&self, names: impl Iterator<Item = Arc<str>>) {
        if self.attended.load(Relaxed) {
            lock(&self.in_use).extend(names);
        }
    }

    /// From here on wants are answered.
    pub(crate) fn attend(&self) {
        self.attended.store(true, Relaxed);
    }

    /// Waits for a want that has not been noted.
    pub(crate) async fn asked(&self) {
        self.asked.notified().await;
    }

    /// Every want of which somebody has asked since this was called last.
    pub(crate) fn take_asked(&self) -> Vec<Want> {
        let mut asks = lock(&self.asks);
        let asked = asks.iter_mut().filter(|(_, ask)| ask.again);
        asked
            .map(|(want, ask)| {
                (ask.again, ask.noted) = (false, true);
                want.clone()
            })
            .collect()
    }

    /// The names that have had connections since this was called last.
    pub(crate) fn take_used(&self) -> BTreeSet<Arc<str>> {
        std::mem::take(&mut lock(&self.in_use))
    }

    /// The table has the answer, or there is a reason that it has none: who waits looks again.
    pub(crate) fn settle(&self, want: &Want, outcome: Result<(), Failure>) {
        let mut asks = lock(&self.asks);
        match outcome {
            Ok(()) => {
                if let Some(ask) = asks.remove(want) {
                    ask.settled.notify_waiters();
                }
            }
            Err(failure) => {
                if let Some(ask) = asks.get_mut(want) {
                    ask.failure = Some(failure);
                    ask.settled.notify_waiters();
                }
            }
        }
    }
}

/// What a want comes to where DNS is no source.
fn unattended(want: &Want) -> Failure {
    match want {
        Want::Name(_) => Failure::NoEndpoints,
        Want::Host(..) => Failure::UnknownDestination,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner) // no change under it can stop half-way
}

/// How long a first answer is waited for: a server that answers after 5 s, and loses one question, is no failure. DNS is then asked on
/// for as long as somebody wants the name, but nobody waits for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Wants that wait or have failed: clients choose them. 1024 × (253 bytes of name + ~150 of state) = 0.4 MiB. What is beyond fails at once.
const ASKS_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn want(name: &str) -> Want {
        Want::Name(name.into())
    }

    fn attended() -> Wanted {
        let wanted = Wanted::default();
        wanted.attend();
        wanted
    }

    #[tokio::test]
    async fn who_waits_is_told_however_soon_it_is_settled() {
        let wanted = attended();
        let (first, second) = (wanted.ask(want("a")).unwrap(), wanted.ask(want("a")).unwrap());
        wanted.asked().await;
        assert_eq!(wanted.take_asked(), [want("a")]);
        wanted.settle(&want("a"), Ok(()));
        first.await;
        second.await;
    }

    #[tokio::test]
    async fn a_failure_is_known_at_once_until_it_is_over() {
        let wanted = attended();
        let waiting = wanted.ask(want("a")).unwrap();
        wanted.take_asked();
        wanted.settle(&want("a"), Err(Failure::NameDenied));
        waiting.await;
        assert_eq!(wanted.ask(want("a")).err(), Some(Failure::NameDenied));
        assert_eq!(wanted.take_asked(), [want("a")], "it is still wanted");
        assert!(wanted.take_asked().is_empty());
        wanted.settle(&want("a"), Ok(()));
        assert!(wanted.ask(want("a")).is_ok());
    }

    #[test]
    fn without_anybody_to_answer_nobody_waits() {
        let wanted = Wanted::default();
        assert_eq!(wanted.ask(want("a")).err(), Some(Failure::NoEndpoints));
        assert_eq!(wanted.ask(Want::Host("a".into(), 80)).err(), Some(Failure::UnknownDestination));
    }

    #[test]
    fn there_are_no_more_wants_than_agreed() {
        let wanted = attended();
        for number in 0..ASKS_MAX {
            assert!(wanted.ask(want(&number.to_string())).is_ok());
        }
        assert_eq!(wanted.ask(want("one more")).err(), Some(Failure::NameFailed));
        assert!(wanted.ask(want("0")).is_ok());
    }
}
