//! `sed`: who will be done soonest (`ip_vs_sed.c`): the least (active + 1) / weight, the new connection counted in.

use core::cmp::Ordering;

use super::Member;

/// Half-closed connections do not matter; among equals the first one stays.
pub(super) fn pick(members: &[Member], eligible: &impl Fn(&Member) -> bool) -> Option<usize> {
    let candidates = members.iter().enumerate().filter(|(_, member)| eligible(member));
    let delays = candidates.map(|(index, member)| (index, Delay::of(member)));
    delays.min_by(|(_, one), (_, other)| one.compare(*other)).map(|(index, _)| index)
}

/// A fraction, with a weight that is not 0.
#[derive(Clone, Copy)]
struct Delay {
    overhead: u64,
    weight: u64,
}

impl Delay {
    fn of(member: &Member) -> Delay {
        Delay { overhead: u64::from(member.stats.load.active()) + 1, weight: u64::from(member.weight) }
    }

    /// Exact, and 33 bits by 16 cannot overflow.
    fn compare(self, other: Delay) -> Ordering {
        (self.overhead * other.weight).cmp(&(other.overhead * self.weight))
    }
}
