//! `dh`: by the address that the client went to (`ip_vs_dh.c`).
//!
//! It was made for caches in front of many servers. A Service has one address, or one of each family and a few external ones: all
//! that goes to one of them goes to one endpoint, as in IPVS. See [`Caller::destination`](super::Caller::destination).

use super::buckets::Buckets;
use super::{Ask, Member};

/// Each member gets one bucket at a time: weights other than 0 do not matter.
pub(super) fn deal(members: &[Member]) -> Buckets {
    Buckets::deal(members, |_| 1)
}

pub(super) fn pick(
    buckets: &Buckets,
    members: &[Member],
    ask: &Ask<'_>,
    eligible: &impl Fn(&Member) -> bool,
) -> Option<usize> {
    buckets.find(members, ask.caller.destination, eligible)
}
