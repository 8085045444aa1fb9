//! The pins of a Service port's clients (S-10).

use std::array;
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use svc_core::affinity::Pins;
use svc_core::port;
use svc_core::table::Target;
use svc_core::time::Now;

use crate::sync::lock;

/// The pins of a Service port's clients, over all workers and snapshots. Locked where a connection first sees a client, not per request.
#[derive(Debug)]
pub(crate) struct Pinned {
    shards: [Mutex<Pins>; SHARDS],
    /// Tells the shard. Clients choose their addresses, and must not choose one shard for all of them.
    hasher: RandomState,
    /// Whose usable endpoints the pins are held to.
    target: Mutex<Arc<Target>>,
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
            let is_gone = |id| gone.contains(&id);
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

    pub(crate) fn shard_of(&self, client: IpAddr) -> MutexGuard<'_, Pins> {
        lock(&self.shards[self.hasher.hash_one(client) as usize % SHARDS])
    }
}

/// Two clients that come at the same moment to two workers meet in one of 16.
const SHARDS: usize = 16;

/// The most clients of a shard. 16 × 8192 = 131,072 clients of a Service port × 40 bytes = 5 MiB, beside 256 MiB that the injector
/// requests. A shard whose pins are all given up because their endpoint goes is locked for 8192 × 60 ns = 0.5 ms.
const ENTRIES_MAX: usize = 8192;

/// With one round a second, a full shard is looked through in 16 s, and none is locked for longer than 512 × 60 ns = 30 µs.
const SWEPT_AT_ONCE: usize = 512;
