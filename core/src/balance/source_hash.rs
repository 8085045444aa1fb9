//! `sh`: by the client's address (`ip_vs_sh.c`).
//!
//! A member gets as many buckets in a row as its weight says. There are 256 of them: where the first weights in the list add up to
//! more, those behind get none, as in IPVS. Small weights spread better.

use super::buckets::Buckets;
use super::{Ask, Member};

pub(super) fn deal(members: &[Member]) -> Buckets {
    Buckets::deal(members, |member| member.weight)
}

pub(super) fn pick(
    buckets: &Buckets,
    members: &[Member],
    ask: &Ask<'_>,
    eligible: &impl Fn(&Member) -> bool,
) -> Option<usize> {
    buckets.find(members, ask.caller.client, eligible)
}
