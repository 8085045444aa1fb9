//! `nq`: nobody waits while another has nothing to do (`ip_vs_nq.c`).

use super::{Member, shortest_delay};

/// The first one with no active connection, however light it is; where all are busy, as `sed`.
pub(super) fn pick(members: &[Member], eligible: &impl Fn(&Member) -> bool) -> Option<usize> {
    let idle = |member: &Member| member.stats.load.active() == 0 && eligible(member);
    members.iter().position(idle).or_else(|| shortest_delay::pick(members, eligible))
}
