//! Services in use, Services that requests wait for, and names known to be absent.

use alloc::collections::BTreeMap;
use core::time::Duration;

use super::pauses;
use crate::address::ServiceName;
use crate::time::Now;

/// A Service in use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Interest {
    /// The time of its last use or lookup.
    pub(super) used: Now,
    /// The start of the wait for its endpoints, if a request waits.
    pub(super) asked: Option<Now>,
    /// A wait has timed out: until its endpoints are known, other sources decide.
    pub(super) gave_up: bool,
}

impl Interest {
    /// The end of the wait.
    pub(super) fn deadline(&self) -> Option<Now> {
        self.asked.map(|since| pauses::after(since, WAIT_MAX))
    }

    /// The time at which its watch ends without further use.
    pub(super) fn let_go(&self) -> Now {
        pauses::after(self.used, LET_GO)
    }
}

/// Services that were wanted.
#[derive(Debug, Default)]
pub(super) struct Interests {
    pub(super) map: BTreeMap<ServiceName, Interest>,
}

impl Interests {
    /// Notes the use of a Service. `None` at the limit, because clients choose names.
    pub(super) fn note(&mut self, service: &ServiceName, now: Now) -> Option<&mut Interest> {
        if !self.map.contains_key(service) && self.map.len() >= INTERESTS_MAX {
            return None;
        }
        let interest = Interest { used: now, asked: None, gave_up: false };
        let interest = self.map.entry(service.clone()).or_insert(interest);
        interest.used = interest.used.max(now);
        Some(interest)
    }
}

/// Keys without an answer, each for a while.
#[derive(Debug)]
pub(super) struct Memory<K> {
    until: BTreeMap<K, Now>,
}

impl<K: Ord + Clone> Memory<K> {
    pub(super) fn new() -> Memory<K> {
        Memory { until: BTreeMap::new() }
    }

    pub(super) fn has(&self, key: &K, now: Now) -> bool {
        self.until.get(key).is_some_and(|until| *until > now)
    }

    /// In the place of the one that would be forgotten first, where there are too many.
    pub(super) fn keep(&mut self, key: K, until: Now, now: Now) {
        if self.until.len() >= MEMORY_MAX {
            self.until.retain(|_, until| *until > now);
        }
        if self.until.len() >= MEMORY_MAX {
            let first = self.until.iter().min_by_key(|(_, until)| **until).map(|(key, _)| key.clone());
            first.map(|first| self.until.remove(&first));
        }
        self.until.insert(key, until);
    }
}

/// The longest wait for endpoints.
const WAIT_MAX: Duration = Duration::from_secs(2);

/// The time without use after which a watch ends.
pub(super) const LET_GO: Duration = Duration::from_secs(600);

/// 4,096 × 200 B are 0.8 MB. Those that are no Services are here for a moment only.
const INTERESTS_MAX: usize = 4_096;

/// 1,024 × 100 B.
const MEMORY_MAX: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_memory_forgets_in_time_and_the_oldest_for_want_of_room() {
        let at = |seconds| Now(Duration::from_secs(seconds));
        let mut memory = Memory::new();
        for key in 0..2_000_u64 {
            memory.keep(key, at(10 + key), at(0));
        }
        assert_eq!(memory.until.len(), MEMORY_MAX);
        assert!(!memory.has(&0, at(0)) && memory.has(&1_999, at(0)));
        assert!(!memory.has(&1_999, at(2_009)));
    }
}
