//! `rr`: one after the other, in the order of their addresses.

use super::Member;
use crate::address::EndpointAddr;
use crate::draws::split_draw;

/// Remembers the address that was last in turn, not its index: an endpoint that comes or goes before it would shift the
/// index, and somebody's turn would be lost.
#[derive(Clone, Debug, Default)]
pub(super) struct RoundRobin {
    last: Option<LastPick>,
}

#[derive(Clone, Copy, Debug)]
struct LastPick {
    addr: EndpointAddr,
    /// Where it was then: right while the members are the same, a hint otherwise.
    index: usize,
}

impl RoundRobin {
    pub(super) fn pick(
        &mut self,
        members: &[Member],
        eligible: &impl Fn(&Member) -> bool,
        draw: u64,
    ) -> Option<usize> {
        let start = match self.last {
            Some(last) => next_after(last, members),
            // Else every worker of every pod would begin with the same endpoint.
            None => split_draw(draw, members.len()).0,
        };
        let (before, from_start) = members.split_at_checked(start)?;
        let index = match from_start.iter().position(eligible) {
            Some(ahead) => start + ahead,
            None => before.iter().position(eligible)?,
        };
        self.last = Some(LastPick { addr: members[index].addr, index });
        Some(index)
    }
}

/// The index whose turn follows; `members.len()` when that is the first again.
fn next_after(last: LastPick, members: &[Member]) -> usize {
    match members.get(last.index) {
        Some(member) if member.addr == last.addr => last.index + 1,
        Some(_) | None => members.partition_point(|member| member.addr <= last.addr),
    }
}
