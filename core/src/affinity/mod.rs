//! Which endpoint a client goes back to: `sessionAffinity: ClientIP` (S-10), asked before any balancer.
//!
//! A client is pinned to the endpoint that it was given until it has been away for the Service's timeout, or until that endpoint is
//! not for it any more: it has left the Service or is not ready, gets nothing new, or has just failed this very connection (S-07).
//! As in kube-proxy the pins are a Service *port's*, each use moves the timeout on, and a pin used exactly the timeout ago is over: its
//! userspace mode compares whole seconds with `<`, which for a timeout of whole seconds says the same of the exact time.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::hash::BuildHasher as _;
use core::net::{IpAddr, Ipv6Addr};
use core::time::Duration;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use hashbrown::hash_table::OccupiedEntry;

use crate::endpoints::EndpointId;
use crate::time::Now;

mod stamp;

pub use stamp::Pin;

use stamp::{CHUNK, Chunk, Stamp, new_chunk};

/// The pins of some clients of one Service port: of all of them, or of those whose lock this is behind.
///
/// The places are dense: when one is given up, the last pin moves there. Whoever remembers that pin finds out and asks again.
#[derive(Debug)]
pub struct Pins {
    slots: Vec<PinSlot>,
    /// Beside each slot when it was used, where [`Pin`]s can tell without a lock.
    stamps: Vec<Arc<Chunk>>,
    /// Client → place in `slots`.
    index: HashTable<u32>,
    hasher: FixedState,
    /// Where the next look for pins that are over begins.
    hand: usize,
    entries_max: usize,
}

/// 24 bytes, as there is no tag: an IPv4 client is kept as an IPv4-mapped address.
#[derive(Clone, Copy, Debug)]
struct PinSlot {
    client: Ipv6Addr,
    endpoint: EndpointId,
}

impl Pins {
    /// None yet, and never more than `entries_max` (at least one). `seed` keeps clients from choosing addresses that all fall into one bucket.
    pub fn new(entries_max: usize, seed: u64) -> Pins {
        Pins {
            slots: Vec::new(),
            stamps: Vec::new(),
            index: HashTable::new(),
            hasher: FixedState::with_seed(seed),
            hand: 0,
            entries_max: entries_max.max(1),
        }
    }

    /// Where `client` goes: to the endpoint that it is pinned to, else to the one that `choose` names, to which it is pinned from now on.
    /// `None` when `choose` finds none.
    ///
    /// `usable` finds an endpoint, unless it is not for this client now. What either says of the endpoint is handed through.
    /// When the table is full, a pin that was not used for long goes.
    pub fn pick<T>(
        &mut self,
        client: IpAddr,
        timeout: Duration,
        usable: impl Fn(EndpointId) -> Option<T>,
        choose: impl FnOnce() -> Option<(T, EndpointId)>,
        now: Now,
    ) -> Option<(T, Pin)> {
        let client = in_ipv6_clothes(client);
        let known = self.place_of(client);
        if let Some(place) = known {
            let pin = self.pin(place);
            if let Some(found) = usable(pin.endpoint())
                && pin.hold(timeout, now)
            {
                return Some((found, pin));
            }
        }
        let (chosen, endpoint) = choose()?;
        let place = known.unwrap_or_else(|| self.add(client, timeout, now));
        self.slots[place].endpoint = endpoint;
        self.stamp(place).begin(now);
        Some((chosen, self.pin(place)))
    }

    /// Unpins the clients of the endpoints that are `gone`: should one of these come back, it does not get them back.
    pub fn forget(&mut self, gone: impl Fn(EndpointId) -> bool) {
        // From the end, so that what moves has been looked at.
        for place in (0..self.slots.len()).rev() {
            if gone(self.slots[place].endpoint) {
                self.remove(place);
            }
        }
    }

    /// Looks at the next `steps` pins, and lets go of those that are over.
    pub fn sweep(&mut self, steps: usize, timeout: Duration, now: Now) {
        for _ in 0..steps.min(self.slots.len()) {
            if self.hand >= self.slots.len() {
                self.hand = 0;
            }
            match self.stamp(self.hand).end(timeout, now) {
                true => self.remove(self.hand),
                false => self.hand += 1,
            }
        }
    }

    /// How many clients are pinned; some of them may not come back in time.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether nobody is pinned.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// A new place at the end, whose endpoint is yet to be said.
    fn add(&mut self, client: Ipv6Addr, timeout: Duration, now: Now) -> usize {
        self.sweep(SWEPT_PER_ENTRY, timeout, now);
        if self.slots.len() >= self.entries_max {
            self.evict();
        }
        self.grow();
        let place = self.slots.len();
        self.slots.push(PinSlot { client, endpoint: EndpointId(0) });
        let Pins { slots, index, hasher, .. } = self;
        let hash = |client: Ipv6Addr| hasher.hash_one(client.to_bits());
        index.insert_unique(hash(client), place as u32, |&place| hash(slots[place as usize].client));
        place
    }

    /// Gives up the pin that was not used for longest among a few that lie far from each other: clients that came together lie together.
    fn evict(&mut self) {
        let len = self.slots.len();
        let candidates =
            (0..EVICTION_CANDIDATES).map(|nth| (self.hand + nth * len / EVICTION_CANDIDATES) % len);
        if let Some(oldest) = candidates.min_by_key(|&place| self.stamp(place).used_ms()) {
            self.remove(oldest);
        }
        self.hand += 1;
    }

    fn remove(&mut self, place: usize) {
        let last = self.slots.len() - 1;
        self.indexed(place).remove();
        self.stamp(place).retire();
        if place != last {
            *self.indexed(last).get_mut() = place as u32;
            let used_ms = self.stamp(last).retire();
            self.stamp(place).begin(Now(Duration::from_millis(used_ms)));
        }
        self.slots.swap_remove(place);
        self.shrink();
    }

    /// Where the index says of the client at `place` that it is there.
    fn indexed(&mut self, place: usize) -> OccupiedEntry<'_, u32> {
        let hash = self.hash(self.slots[place].client);
        let found = self.index.find_entry(hash, |&other| other as usize == place);
        found.expect("who has a place is in the index")
    }

    fn place_of(&self, client: Ipv6Addr) -> Option<usize> {
        let is_there = |&place: &u32| self.slots[place as usize].client == client;
        self.index.find(self.hash(client), is_there).map(|&place| place as usize)
    }

    fn pin(&self, place: usize) -> Pin {
        Pin::new(self.slots[place].endpoint, &self.stamps[place / CHUNK], place % CHUNK)
    }

    fn stamp(&self, place: usize) -> &Stamp {
        &self.stamps[place / CHUNK][place % CHUNK]
    }

    fn hash(&self, client: Ipv6Addr) -> u64 {
        self.hasher.hash_one(client.to_bits())
    }

    /// Makes room for one more: by a quarter, where `Vec` alone would take as much again as there is.
    fn grow(&mut self) {
        let len = self.slots.len();
        if len == self.slots.capacity() {
            self.slots.reserve_exact(len / 4 + CHUNK);
        }
        if len == self.stamps.len() * CHUNK {
            self.stamps.push(new_chunk());
        }
    }

    /// Gives back what a crowd has taken that has gone.
    fn shrink(&mut self) {
        let len = self.slots.len();
        if len * 4 + CHUNK * 4 <= self.slots.capacity() {
            let Pins { slots, stamps, index, hasher, .. } = self;
            slots.shrink_to(len * 2);
            stamps.truncate(len.div_ceil(CHUNK));
            stamps.shrink_to_fit();
            index.shrink_to(len * 2, |&place| hasher.hash_one(slots[place as usize].client.to_bits()));
        }
    }
}

fn in_ipv6_clothes(client: IpAddr) -> Ipv6Addr {
    match client {
        IpAddr::V4(client) => client.to_ipv6_mapped(),
        IpAddr::V6(client) => client,
    }
}

/// With two looks for each new entry, a full table has been looked through after half as many new clients as it has entries: pins that
/// are over never fill it.
const SWEPT_PER_ENTRY: usize = 2;

/// With 8, the one that goes is among the least recently used quarter in 90 of 100 cases (1 − 0.75^8), at 8 loads.
const EVICTION_CANDIDATES: usize = 8;

#[cfg(test)]
mod tests;
