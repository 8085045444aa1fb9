//! When a pin was used last: told by whoever holds it, without a lock.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use core::time::Duration;

use crate::endpoints::EndpointId;
use crate::time::Now;

/// A client's pin, as a connection remembers it: every further request of the connection asks it, and no table.
#[derive(Clone, Debug)]
pub struct Pin {
    endpoint: EndpointId,
    chunk: Arc<Chunk>,
    offset: u32,
    turn: u32,
}

impl Pin {
    pub(super) fn new(endpoint: EndpointId, chunk: &Arc<Chunk>, offset: usize) -> Pin {
        Pin { endpoint, chunk: chunk.clone(), offset: offset as u32, turn: chunk[offset].turn() }
    }

    /// The endpoint that the client is pinned to.
    pub fn endpoint(&self) -> EndpointId {
        self.endpoint
    }

    /// Uses the pin, unless it is over, or stands no longer as it did when it was given: the table has to be asked again then.
    pub fn hold(&self, timeout: Duration, now: Now) -> bool {
        self.chunk[self.offset as usize].hold(self.turn, timeout, now)
    }
}

/// Stamps of neighbouring places. A handle of 8 bytes and counts of 16 among 64 pins.
pub(super) type Chunk = [Stamp; CHUNK];

pub(super) const CHUNK: usize = 64;

pub(super) fn new_chunk() -> Arc<Chunk> {
    Arc::new([const { Stamp(AtomicU64::new(0)) }; CHUNK])
}

/// When the pin in this place was used last, in ms, and how often the place has changed hands, in one word: who uses a pin does not
/// use its successor, whatever happens between two looks.
#[derive(Debug)]
pub(super) struct Stamp(AtomicU64);

/// 24 bits for the turn leave 40 for the time: 34 years. A connection that keeps a pin while its place changes hands 16 million times
/// takes another client's pin for its own; a full table that gives up 10,000 of its pins a second does that once in 7 months to each.
const TURN_BITS: u32 = 24;
const TURN_MASK: u64 = (1 << TURN_BITS) - 1;

impl Stamp {
    /// From now on this is another pin.
    pub(super) fn begin(&self, used: Now) {
        let turn = self.0.load(Relaxed).wrapping_add(1);
        self.0.store(word(ms(used.0), turn), Relaxed);
    }

    /// From now on this is no pin; tells when it was used last.
    pub(super) fn retire(&self) -> u64 {
        let next = |old: u64| Some(word(old >> TURN_BITS, old.wrapping_add(1)));
        self.0.fetch_update(Relaxed, Relaxed, next).map_or_else(used_ms, used_ms)
    }

    /// The same, if it is over: whoever uses it at the same moment either comes first, or finds out.
    pub(super) fn end(&self, timeout: Duration, now: Now) -> bool {
        let next = |old: u64| is_over(old, timeout, now).then(|| word(used_ms(old), old.wrapping_add(1)));
        self.0.fetch_update(Relaxed, Relaxed, next).is_ok()
    }

    pub(super) fn used_ms(&self) -> u64 {
        used_ms(self.0.load(Relaxed))
    }

    fn turn(&self) -> u32 {
        (self.0.load(Relaxed) & TURN_MASK) as u32
    }

    /// Uses the pin of this turn, if it is still there.
    fn hold(&self, turn: u32, timeout: Duration, now: Now) -> bool {
        let turn = u64::from(turn);
        let next = |old: u64| {
            let there = old & TURN_MASK == turn && !is_over(old, timeout, now);
            // Another worker may have looked at the clock later, and used it sooner.
            there.then(|| word(used_ms(old).max(ms(now.0)), turn))
        };
        self.0.fetch_update(Relaxed, Relaxed, next).is_ok()
    }
}

fn is_over(word: u64, timeout: Duration, now: Now) -> bool {
    ms(now.0).saturating_sub(used_ms(word)) >= ms(timeout)
}

fn word(used_ms: u64, turn: u64) -> u64 {
    used_ms << TURN_BITS | turn & TURN_MASK
}

fn used_ms(word: u64) -> u64 {
    word >> TURN_BITS
}

fn ms(time: Duration) -> u64 {
    time.as_secs() * 1000 + u64::from(time.subsec_millis())
}
