//! `lc`: who has the fewest connections, as IPVS counts them (`ip_vs_lc.c`, `ip_vs.h`).

use super::Member;
use crate::stats::Load;

/// Weights other than 0 do not matter; among equals the first one stays.
pub(super) fn pick(members: &[Member], eligible: &impl Fn(&Member) -> bool) -> Option<usize> {
    let candidates = members.iter().enumerate().filter(|(_, member)| eligible(member));
    candidates.min_by_key(|(_, member)| overhead(&member.stats.load)).map(|(index, _)| index)
}

/// IPVS takes a half-closed connection for 1/256 of an open one.
fn overhead(load: &Load) -> u64 {
    u64::from(load.active()) * 256 + u64::from(load.inactive())
}
