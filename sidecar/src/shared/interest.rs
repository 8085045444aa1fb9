//! Registers of interest: lookups that requests wait for, and names and Services in use. The data path writes them and waits; the sources
//! `dns` and `kubernetes` read one each and answer.
//!
//! Its locks are for requests that the table cannot route, and for a look once a second at what is in use. One that it can route never
//! comes here.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use svc_core::address::ServiceName;
use svc_core::discovery::kubernetes::Want;
use svc_core::outcome::Failure;
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

use crate::shares::Shares;
use crate::sync::lock;

/// What a request needs to know before it can be routed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum OnDemandLookup {
    /// The addresses of a name: the endpoints of a Service that the table has. Lower case, no dot at the end.
    Name(Arc<str>),
    /// Which Service a host is, at a port of it. Lower case; absolute where a dot ends it.
    Host(Arc<str>, u16),
}

/// A name that has connections, and the port that clients asked for.
pub(crate) type InUse = (Arc<str>, u16);

/// Lookups of names in DNS.
pub(crate) type DnsInterest = Interest<OnDemandLookup, InUse>;

/// Lookups at the API server, of Services' endpoints and of addresses, and Services with connections.
pub(crate) type ApiInterest = Interest<Want, ServiceName>;

/// A key of a register.
pub(crate) trait Lookup: Clone + Ord {
    /// The failure of a lookup that no source answers.
    fn unattended(&self) -> Failure;
}

impl Lookup for OnDemandLookup {
    fn unattended(&self) -> Failure {
        match self {
            OnDemandLookup::Name(_) => Failure::NoEndpoints,
            OnDemandLookup::Host(..) => Failure::UnknownDestination,
        }
    }
}

impl Lookup for Want {
    fn unattended(&self) -> Failure {
        match self {
            Want::Service(_) => Failure::NoEndpoints,
            Want::Address(_) => Failure::UnknownDestination,
        }
    }
}

/// A register of lookups `W`, and of what is in use, `U`.
#[derive(Debug)]
pub(crate) struct Interest<W, U> {
    /// Somebody answers.
    attended: AtomicBool,
    asks: Mutex<LookupTable<W>>,
    in_use: Mutex<BTreeSet<U>>,
    asked: Notify,
}

/// Wants that wait or have failed.
#[derive(Debug)]
struct LookupTable<W> {
    known: BTreeMap<W, LookupEntry>,
    shares: Shares<W>,
    /// Those that somebody has wanted since the source looked last.
    again: BTreeSet<W>,
    /// Those that the source knows of, and that had to go for others.
    dropped: Vec<W>,
}

/// What has become of a want.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LookupOutcome {
    /// The table has the answer, or whoever asks again is answered anew.
    Known,
    /// This is the reason that it has none.
    Failed(Failure),
    /// It had to go for others.
    Dropped,
}

/// One want that the table does not answer.
#[derive(Debug, Default)]
struct LookupEntry {
    waiting: Arc<LookupWaiters>,
    /// What keeps it from being answered.
    failure: Option<Failure>,
    /// The source knows of it.
    noted: bool,
}

#[derive(Debug, Default)]
struct LookupWaiters {
    /// Told once it is settled, and each time it is settled otherwise.
    notify: Arc<Notify>,
    /// It had to go for others: nobody will answer it.
    dropped: AtomicBool,
}

/// What was asked for is on its way.
#[derive(Debug)]
pub(crate) struct PendingLookup {
    notified: OwnedNotified,
    waiting: Arc<LookupWaiters>,
}

impl PendingLookup {
    /// Waits for it: then the table knows more.
    ///
    /// # Errors
    /// Too much else is asked for, most of it by this client.
    pub(crate) async fn wait(self) -> Result<(), Failure> {
        self.notified.await;
        if self.waiting.dropped.load(Relaxed) { Err(Failure::NameFailed) } else { Ok(()) }
    }
}

impl<W: Lookup, U: Ord> Interest<W, U> {
    /// Asks for what the table does not have, for a client. The answer comes by way of the table: look there again when the wait is over.
    ///
    /// # Errors
    /// What is known already to be the reason that there is no answer.
    pub(crate) fn ask(&self, want: W, client: IpAddr) -> Result<PendingLookup, Failure> {
        if !self.attended.load(Relaxed) {
            return Err(want.unattended());
        }
        let mut asks = lock(&self.asks);
        let ask = asks.admit(want, client);
        if let Some(failure) = ask.failure {
            return Err(failure);
        }
        let waiting = ask.waiting.clone();
        let notified = waiting.notify.clone().notified_owned(); // under the lock: it cannot be settled unheard
        if !ask.noted {
            self.asked.notify_one();
        }
        Ok(PendingLookup { notified, waiting })
    }

    /// These names have connections.
    pub(crate) fn note_use(&self, names: impl Iterator<Item = U>) {
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

    /// Every want of which somebody has asked since this was called last, with the client that asked first; and those that nobody is
    /// to answer any more.
    pub(crate) fn take_asked(&self) -> (Vec<(W, IpAddr)>, Vec<W>) {
        let mut asks = lock(&self.asks);
        let asks = &mut *asks;
        let mut asked = Vec::with_capacity(asks.again.len());
        for want in std::mem::take(&mut asks.again) {
            if let (Some(ask), Some(client)) = (asks.known.get_mut(&want), asks.shares.holder(&want)) {
                ask.noted = true;
                asked.push((want, client));
            }
        }
        (asked, std::mem::take(&mut asks.dropped))
    }

    /// The names that have had connections since this was called last.
    pub(crate) fn take_used(&self) -> BTreeSet<U> {
        std::mem::take(&mut lock(&self.in_use))
    }

    /// Who waits looks again.
    pub(crate) fn settle(&self, want: &W, outcome: LookupOutcome) {
        let mut asks = lock(&self.asks);
        match outcome {
            LookupOutcome::Known => {
                if let Some(ask) = asks.remove(want) {
                    ask.waiting.notify.notify_waiters();
                }
            }
            LookupOutcome::Failed(failure) => {
                if let Some(ask) = asks.known.get_mut(want) {
                    ask.failure = Some(failure);
                    ask.waiting.notify.notify_waiters();
                }
            }
            LookupOutcome::Dropped => {
                if let Some(ask) = asks.remove(want) {
                    ask.waiting.drop_all();
                }
            }
        }
    }
}

impl LookupWaiters {
    fn drop_all(&self) {
        self.dropped.store(true, Relaxed);
        self.notify.notify_waiters();
    }
}

impl<W: Lookup, U> Default for Interest<W, U> {
    fn default() -> Interest<W, U> {
        let (asks, in_use) = (Mutex::default(), Mutex::default());
        Interest { attended: AtomicBool::default(), asks, in_use, asked: Notify::default() }
    }
}

impl<W: Lookup> Default for LookupTable<W> {
    fn default() -> LookupTable<W> {
        let shares = Shares::new(ASKS_MAX);
        LookupTable { known: BTreeMap::new(), shares, again: BTreeSet::new(), dropped: Vec::new() }
    }
}

impl<W: Lookup> LookupTable<W> {
    /// A new one, in the place of another where there are too many; or the one that is there.
    fn admit(&mut self, want: W, client: IpAddr) -> &LookupEntry {
        if let Some(gone) = self.shares.admit(want.clone(), client)
            && let Some(ask) = self.known.remove(&gone)
        {
            self.again.remove(&gone);
            ask.waiting.drop_all();
            if ask.noted {
                self.dropped.push(gone);
            }
        }
        self.again.insert(want.clone());
        self.known.entry(want).or_default()
    }

    fn remove(&mut self, want: &W) -> Option<LookupEntry> {
        self.shares.remove(want);
        self.again.remove(want);
        self.known.remove(want)
    }
}

/// How long a first answer is waited for: a server that answers after 5 s, and loses one question, is no failure. DNS is then asked on
/// for as long as somebody wants the name, but nobody waits for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Wants that wait or have failed: clients choose them. 1024 × (253 bytes of name + ~300 of state, in the register and with the source)
/// = 0.6 MiB. A further one goes in the place of the oldest of whoever has the most.
const ASKS_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::lock;

    const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn want(name: &str) -> OnDemandLookup {
        OnDemandLookup::Name(name.into())
    }

    fn attended() -> DnsInterest {
        let wanted = DnsInterest::default();
        wanted.attend();
        wanted
    }

    fn asked(wanted: &DnsInterest) -> Vec<OnDemandLookup> {
        wanted.take_asked().0.into_iter().map(|(want, _)| want).collect()
    }

    #[tokio::test]
    async fn who_waits_is_told_however_soon_it_is_settled() {
        let wanted = attended();
        let ask = || wanted.ask(want("a"), CLIENT).unwrap();
        let (first, second) = (ask(), ask());
        wanted.asked().await;
        assert_eq!(asked(&wanted), [want("a")]);
        wanted.settle(&want("a"), LookupOutcome::Known);
        assert_eq!((first.wait().await, second.wait().await), (Ok(()), Ok(())));
    }

    #[tokio::test]
    async fn a_failure_is_known_at_once_until_it_is_over() {
        let wanted = attended();
        let waiting = wanted.ask(want("a"), CLIENT).unwrap();
        asked(&wanted);
        wanted.settle(&want("a"), LookupOutcome::Failed(Failure::NameDenied));
        assert_eq!(waiting.wait().await, Ok(()));
        assert_eq!(wanted.ask(want("a"), CLIENT).err(), Some(Failure::NameDenied));
        assert_eq!(asked(&wanted), [want("a")], "it is still wanted");
        assert!(asked(&wanted).is_empty());
        wanted.settle(&want("a"), LookupOutcome::Known);
        assert!(wanted.ask(want("a"), CLIENT).is_ok());
    }

    #[test]
    fn without_anybody_to_answer_nobody_waits() {
        let wanted = DnsInterest::default();
        assert_eq!(wanted.ask(want("a"), CLIENT).err(), Some(Failure::NoEndpoints));
        assert_eq!(
            wanted.ask(OnDemandLookup::Host("a".into(), 80), CLIENT).err(),
            Some(Failure::UnknownDestination)
        );
    }

    #[tokio::test]
    async fn a_new_want_goes_in_the_place_of_the_oldest_of_whoever_has_the_most() {
        let wanted = attended();
        let other = IpAddr::from([127, 0, 0, 2]);
        let waiting = wanted.ask(want("other"), other).unwrap();
        let mut first = None;
        for number in 0..3 * ASKS_MAX {
            let answer = wanted.ask(want(&number.to_string()), CLIENT).unwrap();
            first.get_or_insert(answer);
            if number % 100 == 0 {
                wanted.take_asked();
            }
        }
        assert_eq!(first.unwrap().wait().await, Err(Failure::NameFailed), "whoever waits for it is told");
        wanted.settle(&want("other"), LookupOutcome::Known);
        assert_eq!(waiting.wait().await, Ok(()), "it has stayed");
        assert!(wanted.ask(want("one more"), other).is_ok());
        let (_, dropped) = wanted.take_asked();
        assert!(dropped.len() <= ASKS_MAX && dropped.iter().all(|gone| *gone != want("other")));
        assert_eq!(lock(&wanted.asks).known.len(), ASKS_MAX);
    }
}
