//! The flows of datagrams that are carried (S-29): which there are, which of them are over, and who gives way when there are too many.
//!
//! UDP has no connections. A *flow* is what one client sends from one port to one destination, and what comes back, for as long as
//! either goes on.

use alloc::vec::Vec;
use core::hash::BuildHasher as _;
use core::time::Duration;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use crate::address::{ClientAddr, OriginalDst};
use crate::balance::Member;
use crate::time::Now;

mod order;

use order::{Order, OrderLink};

/// What tells one flow from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FlowKey {
    /// Who sends.
    pub client: ClientAddr,
    /// Where to. Answers come from there.
    pub destination: OriginalDst,
}

/// Names a flow for as long as it lives, and nobody after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FlowId {
    place: u32,
    turn: u32,
}

impl FlowId {
    /// As one word, for the kernel to keep.
    pub fn to_word(self) -> u64 {
        u64::from(self.turn) << 32 | u64::from(self.place)
    }

    /// Back from [`FlowId::to_word`].
    pub fn from_word(word: u64) -> FlowId {
        FlowId { place: word as u32, turn: (word >> 32) as u32 }
    }
}

/// The flows of one worker, each with what is kept of it. Finding, moving, beginning and ending one are O(1).
#[derive(Debug)]
pub struct Flows<V> {
    slots: Vec<FlowSlot<V>>,
    /// Places that are free.
    free: Vec<u32>,
    /// Key → place.
    index: HashTable<u32>,
    hasher: FixedState,
    /// The one that has been idle the longest first.
    order: Order,
    flows_max: usize,
}

#[derive(Debug)]
struct FlowSlot<V> {
    key: FlowKey,
    value: Option<V>,
    moved: Now,
    link: OrderLink,
    /// How many flows have had this place.
    turn: u32,
}

/// There are as many flows as there may be, and each of them has moved a moment ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl<V> Flows<V> {
    /// None yet, and never more than `flows_max` (at least one). `seed` keeps clients from choosing ports that all fall into one bucket.
    pub fn new(flows_max: usize, seed: u64) -> Flows<V> {
        Flows {
            slots: Vec::new(),
            free: Vec::new(),
            index: HashTable::new(),
            hasher: FixedState::with_seed(seed),
            order: Order::default(),
            flows_max: flows_max.max(1),
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// The flow of that key.
    pub fn find(&self, key: &FlowKey) -> Option<FlowId> {
        let found =
            self.index.find(self.hasher.hash_one(key), |&place| self.slots[place as usize].key == *key);
        found.map(|&place| FlowId { place, turn: self.slots[place as usize].turn })
    }

    /// What is kept of a flow; `None` once it has ended.
    pub fn get_mut(&mut self, id: FlowId) -> Option<&mut V> {
        let slot = self.slots.get_mut(id.place as usize).filter(|slot| slot.turn == id.turn)?;
        slot.value.as_mut()
    }

    /// A datagram went one way or the other.
    pub fn moved(&mut self, id: FlowId, now: Now) {
        if self.get_mut(id).is_some() {
            self.slots[id.place as usize].moved = now;
            self.order.move_to_end(&mut self.slots, id.place);
        }
    }

    /// Sees to it that there is room for one more, which may end the flow that has been idle the longest.
    ///
    /// # Errors
    /// That one may still be waiting for an answer. Who floods us with new flows must not take away those that work, nor have us do
    /// nothing but open and close sockets: with 1 s, a table is used up once a second at most.
    pub fn make_room(&mut self, now: Now) -> Result<Option<V>, Full> {
        match self.len() < self.flows_max {
            true => Ok(None),
            false => self.give_way(now).map(Some),
        }
    }

    /// Ends the flow that has been idle the longest, whether or not there is room: something else than room is short.
    ///
    /// # Errors
    /// As [`Flows::make_room`]; or there is none.
    pub fn give_way(&mut self, now: Now) -> Result<V, Full> {
        let place = self.order.first().ok_or(Full)?;
        let slot = &self.slots[place as usize];
        if now.since(slot.moved) < GIVES_WAY_AFTER {
            return Err(Full);
        }
        self.remove(FlowId { place, turn: slot.turn }).ok_or(Full)
    }

    /// Begins a flow that is not there, after [`Flows::make_room`] has found room for it.
    pub fn insert(&mut self, key: FlowKey, now: Now, value: impl FnOnce(FlowId) -> V) -> FlowId {
        debug_assert!(
            self.find(&key).is_none() && self.len() < self.flows_max,
            "room was made for a new one"
        );
        let place = self.free.pop().unwrap_or(self.slots.len() as u32); // far fewer than 2^32 descriptors
        let turn = self.slots.get(place as usize).map_or(0, |slot| slot.turn);
        let id = FlowId { place, turn };
        let slot = FlowSlot { key, value: Some(value(id)), moved: now, link: OrderLink::default(), turn };
        match self.slots.get_mut(place as usize) {
            Some(free) => *free = slot,
            None => self.slots.push(slot),
        }
        let Flows { slots, index, hasher, .. } = self;
        let hash = |place: &u32| hasher.hash_one(slots[*place as usize].key);
        index.insert_unique(hash(&place), place, hash);
        self.order.push(&mut self.slots, place);
        id
    }

    /// Ends a flow.
    pub fn remove(&mut self, id: FlowId) -> Option<V> {
        let slot = self.slots.get_mut(id.place as usize).filter(|slot| slot.turn == id.turn)?;
        let value = slot.value.take()?;
        slot.turn = slot.turn.wrapping_add(1); // the kernel keeps no id over 2^32 turns of its place
        let hash = self.hasher.hash_one(slot.key);
        if let Ok(entry) = self.index.find_entry(hash, |&place| place == id.place) {
            entry.remove();
        }
        self.order.take(&mut self.slots, id.place);
        self.free.push(id.place);
        Some(value)
    }

    /// Ends those that have been idle for as long as `idle` says of each; `None` is for ever. Looks at all: some 5 ns each.
    pub fn expire(&mut self, now: Now, idle: impl Fn(&V) -> Option<Duration>, ended: impl FnMut(V)) {
        let is_over =
            |slot: &FlowSlot<V>, value: &V| idle(value).is_some_and(|idle| now.since(slot.moved) >= idle);
        self.end_those(is_over, ended);
    }

    /// Ends those that are to be ended.
    pub fn end_where(&mut self, is_over: impl Fn(&V) -> bool, ended: impl FnMut(V)) {
        self.end_those(|_, value| is_over(value), ended);
    }

    fn end_those(&mut self, is_over: impl Fn(&FlowSlot<V>, &V) -> bool, mut ended: impl FnMut(V)) {
        for place in 0..self.slots.len() {
            let slot = &self.slots[place];
            if slot.value.as_ref().is_some_and(|value| is_over(slot, value)) {
                let id = FlowId { place: place as u32, turn: slot.turn };
                self.remove(id).map(&mut ended);
            }
        }
    }
}

/// Whether a flow goes to another endpoint with its next datagram: its own (`at` among the members) has left the Service, or is out while
/// another is in. One that gets nothing new keeps the flows that it has.
pub fn must_move(members: &[Member], at: Option<usize>) -> bool {
    let is_in = |member: &Member| member.weight > 0 && !member.stats.is_out();
    match at {
        None => true,
        Some(at) => members[at].stats.is_out() && members.iter().any(is_in),
    }
}

/// Longer than nearly all answers take, shorter than the second try of a resolver (5 s by default, resolv.conf(5)).
const GIVES_WAY_AFTER: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
