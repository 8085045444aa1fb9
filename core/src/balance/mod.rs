//! Which endpoint gets the next connection or request.
//!
//! A [`Balancer`] belongs to one worker and one Service port, so that picking locks nothing. It keeps its place when the
//! endpoints change: what it remembers is where it was, not how many there were.

use crate::service::Service;
use crate::time::Now;

mod ask;
mod policy;
mod random;
mod round_robin;
mod tried;

pub use ask::{Ask, Caller, Member, Unit, members};
pub use policy::Policy;
pub use tried::Tried;

use round_robin::RoundRobin;

/// Chooses among the endpoints of one Service port.
#[derive(Clone, Debug)]
pub struct Balancer {
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    RoundRobin(RoundRobin),
    Random,
}

impl Balancer {
    /// Starts afresh.
    pub fn new(policy: Policy) -> Balancer {
        let state = match policy {
            Policy::RoundRobin => State::RoundRobin(RoundRobin::default()),
            Policy::Random => State::Random,
        };
        Balancer { state }
    }

    /// What this one does. A worker that finds another [`Policy::of`] the Service starts a new one.
    pub fn policy(&self) -> Policy {
        match self.state {
            State::RoundRobin(_) => Policy::RoundRobin,
            State::Random => Policy::Random,
        }
    }

    /// Takes note of who the members are from now on: before the first [`Balancer::pick`], and whenever they have changed.
    pub fn meet(&mut self, _members: &[Member]) {}

    /// The index of the member to use next, or `None` when there is none left to try, or no attempt ([`Tried::is_full`]).
    ///
    /// `members` are those that the balancer was last told to [`meet`](Balancer::meet), in the order of their addresses. Weight 0 gets
    /// nothing new; neither `rr` nor `random` looks at other weights (IPVS has `wrr` beside `rr` for that, S-09). `draw` is a number
    /// drawn evenly from all of `u64`. Takes constant time while nothing has to be skipped, and one walk over the members otherwise.
    pub fn pick(&mut self, members: &[Member], ask: &Ask<'_>, _now: Now, draw: u64) -> Option<usize> {
        if ask.tried.is_full() {
            return None;
        }
        let eligible = |member: &Member| member.weight > 0 && !ask.tried.contains(member.id);
        match &mut self.state {
            State::RoundRobin(round) => round.pick(members, eligible, draw),
            State::Random => random::pick(members, eligible, draw),
        }
    }
}

impl Policy {
    /// What the Service asks for, else the default for `unit`.
    pub fn of(service: &Service, unit: Unit) -> Policy {
        service.handling.policy.unwrap_or(Policy::default_for(unit))
    }
}

/// An index below `below`, and what of the draw the choice did not use up: again evenly drawn, for one more choice.
/// Off an even spread by at most `below` in 2^64.
fn split_draw(draw: u64, below: usize) -> (usize, u64) {
    let wide = u128::from(draw) * below as u128;
    ((wide >> 64) as usize, wide as u64)
}

#[cfg(test)]
mod tests;
