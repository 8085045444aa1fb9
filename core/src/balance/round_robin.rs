//! `rr`: one after the other, in the order of their addresses.

use super::split_draw;
use crate::address::EndpointAddr;
use crate::endpoints::Endpoint;

/// Remembers the address that was last in turn, not its index: an endpoint that comes or goes before it would shift the
/// index, and somebody's turn would be lost.
#[derive(Clone, Debug, Default)]
pub(super) struct RoundRobin {
    last: Option<Turn>,
}

#[derive(Clone, Copy, Debug)]
struct Turn {
    addr: EndpointAddr,
    /// Where it was then: right while the endpoints are the same, a hint otherwise.
    index: usize,
}

impl RoundRobin {
    pub(super) fn pick<'a>(
        &mut self,
        endpoints: &'a [Endpoint],
        eligible: impl Fn(&Endpoint) -> bool,
        draw: u64,
    ) -> Option<&'a Endpoint> {
        let start = match self.last {
            Some(last) => next_after(last, endpoints),
            // Else every worker of every pod would begin with the same endpoint.
            None => split_draw(draw, endpoints.len()).0,
        };
        let (before, from_start) = endpoints.split_at_checked(start)?;
        let index = match from_start.iter().position(&eligible) {
            Some(ahead) => start + ahead,
            None => before.iter().position(&eligible)?,
        };
        self.last = Some(Turn { addr: endpoints[index].addr, index });
        Some(&endpoints[index])
    }
}

/// The index whose turn follows; `endpoints.len()` when that is the first again.
fn next_after(last: Turn, endpoints: &[Endpoint]) -> usize {
    match endpoints.get(last.index) {
        Some(endpoint) if endpoint.addr == last.addr => last.index + 1,
        Some(_) | None => endpoints.partition_point(|endpoint| endpoint.addr <= last.addr),
    }
}
