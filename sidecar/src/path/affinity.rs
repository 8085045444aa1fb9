//! Session affinity (S-10): the pins of a Service port's clients, and what a connection remembers of its client's.

use std::array;
use std::cell::RefCell;
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use svc_core::affinity::{Pin, Pins};
use svc_core::balance::{Ask, Choice, Member};
use svc_core::endpoints::EndpointId;
use svc_core::port;
use svc_core::table::Target;
use svc_core::time::Now;
use svc_core::vitals::PortVitals;

use super::shared::SharedPort;

/// The affinity of a Service port in one snapshot.
pub(crate) struct Affinity {
    pinned: Arc<Pinned>,
    rule: port::Affinity,
}

/// The pins of a Service port's clients, over all workers and snapshots. Locked where a connection first sees a client, not per request.
#[derive(Debug)]
pub(crate) struct Pinned {
    shards: [Mutex<Pins>; SHARDS],
    /// Tells the shard. Clients choose their addresses, and must not choose one shard for all of them.
    hasher: RandomState,
    /// Whose usable endpoints the pins are held to.
    target: Mutex<Arc<Target>>,
}

/// The pin that a connection's last request used: most connections have one client and go to one Service port.
#[derive(Default)]
pub(crate) struct Memory(RefCell<Option<Remembered>>);

struct Remembered {
    client: IpAddr,
    of: Arc<Pinned>,
    pin: Pin,
}

impl Affinity {
    /// `None` where the Service asks for none.
    pub(crate) fn of(target: &Arc<Target>, members: &[Member], port: &SharedPort) -> Option<Affinity> {
        let rule = port::Affinity::of(target, members)?;
        Some(Affinity { pinned: port.pinned(target), rule })
    }

    /// Where the client goes: to the endpoint that it is pinned to as long as that is for it, else where `choose` says.
    pub(crate) fn choose(
        &self,
        members: &[Member],
        port: &PortVitals,
        ask: &Ask<'_>,
        memory: Option<&Memory>,
        choose: impl FnOnce() -> Option<Choice>,
        now: Now,
    ) -> Option<Choice> {
        let client = ask.caller.client;
        if let Some(memory) = memory
            && let Some(pinned) = memory.hold(client, self, now)
            && let Some(choice) = self.rule.stay(pinned, members, ask, port)
        {
            return Some(choice);
        }
        let (choice, pin) =
            self.rule.choose(&mut self.pinned.shard_of(client), members, ask, port, choose, now)?;
        if let Some(memory) = memory {
            memory.note(client, &self.pinned, pin);
        }
        Some(choice)
    }
}

impl Pinned {
    pub(crate) fn new(target: &Arc<Target>) -> Arc<Pinned> {
        let hasher = RandomState::new();
        let seed = hasher.hash_one(SHARDS);
        Arc::new(Pinned {
            shards: array::from_fn(|_| Mutex::new(Pins::new(ENTRIES_MAX, seed))),
            hasher,
            target: Mutex::new(target.clone()),
        })
    }

    /// Unpins the clients of the endpoints that may be used no longer. It is the first worker to hear of a change that does it.
    pub(crate) fn follow(&self, target: &Arc<Target>) {
        let mut known = lock(&self.target);
        if Arc::ptr_eq(&known, target) {
            return;
        }
        let gone = port::gone(&known, target);
        known.clone_from(target);
        if !gone.is_empty() {
            let is_gone = |id| gone.binary_search(&id).is_ok();
            self.shards.iter().for_each(|shard| lock(shard).forget(is_gone));
        }
    }

    /// Unpins all clients.
    pub(crate) fn clear(&self) {
        self.shards.iter().for_each(|shard| lock(shard).forget(|_| true));
    }

    /// Lets go of some of the pins that are over, which nobody may come and ask for any more.
    pub(crate) fn sweep(&self, now: Now) {
        let timeout = lock(&self.target).service.affinity.unwrap_or_default();
        self.shards.iter().for_each(|shard| lock(shard).sweep(SWEPT_AT_ONCE, timeout, now));
    }

    /// How many clients are pinned.
    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).len()).sum()
    }

    fn shard_of(&self, client: IpAddr) -> MutexGuard<'_, Pins> {
        lock(&self.shards[self.hasher.hash_one(client) as usize % SHARDS])
    }
}

impl Memory {
    /// Uses the pin of `client`, if it is remembered and stands. No lock: its time is an atomic that the table looks at too.
    fn hold(&self, client: IpAddr, affinity: &Affinity, now: Now) -> Option<EndpointId> {
        let remembered = self.0.borrow();
        let Remembered { client: whose, of, pin } = remembered.as_ref()?;
        let stands =
            *whose == client && Arc::ptr_eq(of, &affinity.pinned) && pin.hold(affinity.rule.timeout(), now);
        stands.then(|| pin.endpoint())
    }

    fn note(&self, client: IpAddr, of: &Arc<Pinned>, pin: Pin) {
        self.0.replace(Some(Remembered { client, of: of.clone(), pin }));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Two clients that come at the same moment to two workers meet in one of 16.
const SHARDS: usize = 16;

/// The most clients of a shard. 16 × 8192 = 131,072 clients of a Service port × 40 bytes = 5 MiB, beside 256 MiB that the injector
/// requests. A shard whose pins are all given up because their endpoint goes is locked for 8192 × 60 ns = 0.5 ms.
const ENTRIES_MAX: usize = 8192;

/// With one round a second, a full shard is looked through in 16 s, and none is locked for longer than 512 × 60 ns = 30 µs.
const SWEPT_AT_ONCE: usize = 512;
