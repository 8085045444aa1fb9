//! The stats of one Service port: what all workers know of its endpoints together.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use core::time::Duration;

use super::reason::Reason;
use crate::service::{EjectPolicy, Handling};
use crate::time::{Now, millis};

/// How many are ejected and how many may be, and what the Service asks for: for as long as the port is there.
#[derive(Debug, Default)]
pub struct PortStats {
    /// Upper half: how many may be ejected at a time. Lower half: how many are. One word, so that no two workers take the last place.
    room: AtomicU64,
    /// Lower half: how many are out, ejected or by a check, and one bit for whether there is an `active_max`. Upper half: until which
    /// second somebody has less than its share. Where it is 0, no pick needs a second look.
    restrictions: AtomicU64,
    /// How many connections and requests an endpoint has at once; 0 where there is no limit.
    active_max: AtomicU32,
    /// Before this time (ms) nobody is due for a probe that was not due already.
    look_ms: AtomicU64,
    /// [`EjectPolicy`] in pieces; `consecutive` 0 ejects nobody.
    consecutive: AtomicU32,
    base_ms: AtomicU32,
    max_ms: AtomicU32,
    slow_start_ms: AtomicU32,
    ejections: [AtomicU64; Reason::ALL.len()],
}

impl PortStats {
    /// Takes note of what the Service asks for; of `members`, half may be ejected at a time.
    pub(super) fn ask_for(&self, handling: &Handling, members: usize) {
        let policy = handling.eject;
        self.slow_start_ms.store(millis_u32(handling.slow_start), Ordering::Relaxed);
        self.base_ms.store(policy.map_or(0, |policy| millis_u32(policy.base)), Ordering::Relaxed);
        self.max_ms.store(policy.map_or(0, |policy| millis_u32(policy.max)), Ordering::Relaxed);
        self.consecutive.store(policy.map_or(0, |policy| policy.consecutive.max(1)), Ordering::Relaxed);
        self.limit_active(handling.max_connections.unwrap_or(0));
        let limit = policy.map_or(0, |_| members as u64 / 2);
        let limited = |room| Some(limit << ROOM_SHIFT | room & EJECTED);
        let _ = self.room.fetch_update(Ordering::AcqRel, Ordering::Acquire, limited);
    }

    /// Whether more are ejected than may be.
    pub(super) fn has_surplus(&self) -> bool {
        let room = self.room.load(Ordering::Acquire);
        room & EJECTED > room >> ROOM_SHIFT
    }

    fn limit_active(&self, active_max: u32) {
        self.active_max.store(active_max, Ordering::Relaxed);
        match active_max {
            0 => self.restrictions.fetch_and(!LIMITED, Ordering::AcqRel),
            _ => self.restrictions.fetch_or(LIMITED, Ordering::AcqRel),
        };
    }

    /// How many connections and requests an endpoint may have at once.
    pub(crate) fn active_max(&self) -> u32 {
        match self.active_max.load(Ordering::Relaxed) {
            0 => u32::MAX,
            active_max => active_max,
        }
    }

    /// What the Service asks for; `None` ejects nobody.
    pub(super) fn policy(&self) -> Option<EjectPolicy> {
        let consecutive = self.consecutive.load(Ordering::Relaxed);
        let duration = |ms: &AtomicU32| Duration::from_millis(ms.load(Ordering::Relaxed).into());
        (consecutive > 0).then(|| EjectPolicy {
            consecutive,
            base: duration(&self.base_ms),
            max: duration(&self.max_ms),
        })
    }

    /// Whether anybody is to be ejected.
    pub(super) fn ejects(&self) -> bool {
        self.consecutive.load(Ordering::Relaxed) > 0
    }

    /// How long a new endpoint takes to its full share.
    pub(super) fn slow_start(&self) -> Duration {
        Duration::from_millis(self.slow_start_ms.load(Ordering::Relaxed).into())
    }

    /// Whether all members may be used as the policy likes.
    pub(crate) fn is_quiet(&self) -> bool {
        self.restrictions.load(Ordering::Relaxed) == 0
    }

    /// Whether anybody is out.
    pub fn has_out(&self) -> bool {
        self.restrictions.load(Ordering::Acquire) & OUT & !LIMITED > 0
    }

    /// Somebody has less than its share, until then.
    pub(super) fn dims(&self, until_ms: u64) {
        let until = until_ms / 1_000 + 1;
        let later = |restrictions: u64| {
            ((restrictions >> UNTIL_SHIFT) < until).then_some((until << UNTIL_SHIFT) | (restrictions & OUT))
        };
        let _ = self.restrictions.fetch_update(Ordering::AcqRel, Ordering::Acquire, later);
    }

    /// Takes note that all have their whole share again, when that is so.
    pub(crate) fn settle(&self, now: Now) {
        let over = |restrictions: u64| {
            (restrictions > OUT && restrictions >> UNTIL_SHIFT <= now.0.as_secs())
                .then_some(restrictions & OUT)
        };
        let _ = self.restrictions.fetch_update(Ordering::AcqRel, Ordering::Acquire, over);
    }

    /// How many are ejected, or about to be.
    pub fn ejected(&self) -> usize {
        (self.room.load(Ordering::Acquire) & EJECTED) as usize
    }

    /// How often that has happened, for each [`Reason::ALL`].
    pub fn ejections(&self) -> [u64; Reason::ALL.len()] {
        core::array::from_fn(|index| self.ejections[index].load(Ordering::Relaxed))
    }

    pub(super) fn count(&self, reason: Reason) {
        self.ejections[reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Takes one of the places of the ejected; false when half of the members have one. Who took it gives it back, once.
    pub(super) fn take_place(&self) -> bool {
        let taken = |room: u64| (room & EJECTED < room >> ROOM_SHIFT).then_some(room + 1);
        let took = self.room.fetch_update(Ordering::AcqRel, Ordering::Acquire, taken).is_ok();
        if took {
            self.goes_out();
        }
        took
    }

    pub(super) fn give_place_back(&self) {
        self.comes_in();
        self.room.fetch_sub(1, Ordering::AcqRel);
    }

    pub(super) fn goes_out(&self) {
        self.restrictions.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn comes_in(&self) {
        self.restrictions.fetch_sub(1, Ordering::AcqRel);
    }

    /// Whether somebody may be due for a probe.
    pub(crate) fn is_time_to_look(&self, now: Now) -> bool {
        self.look_ms.load(Ordering::Relaxed) <= millis(now.0)
    }

    /// Nobody is due before `due_ms`, as far as one look at them can tell: an ejection at the same moment may have been missed, so the
    /// next look comes soon whatever it found.
    pub(crate) fn looked(&self, due_ms: u64, now: Now) {
        self.look_ms.store(due_ms.min(millis(now.0) + LOOK_AGAIN_MS), Ordering::Relaxed);
    }

    /// Somebody is due at that time.
    pub(super) fn look_at(&self, due_ms: u64) {
        self.look_ms.fetch_min(due_ms, Ordering::Relaxed);
    }
}

/// While somebody is out, one pick in this time looks at all members: of 1,000 members, 10 µs in each 100 ms.
const LOOK_AGAIN_MS: u64 = 100;

/// 2^32 seconds are 136 years.
const UNTIL_SHIFT: u32 = 32;
const OUT: u64 = (1 << UNTIL_SHIFT) - 1;
const LIMITED: u64 = 1 << 31;

const ROOM_SHIFT: u32 = 32;
const EJECTED: u64 = (1 << ROOM_SHIFT) - 1;

/// 2^32 ms are 49 days.
fn millis_u32(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}
