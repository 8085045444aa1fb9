//! Which endpoint gets the next connection or request.
//!
//! A [`Balancer`] belongs to one worker and one Service port, so that picking locks nothing. It keeps its place when the
//! endpoints change: what it remembers is where it was, not how many there were.

use crate::endpoints::Endpoint;
use crate::service::Service;

mod policy;
mod random;
mod round_robin;
mod tried;

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

    /// The endpoint to use next, or `None` when there is none left to try, or no attempt ([`Tried::is_full`]).
    ///
    /// `endpoints` are those that may be used, in the order of their addresses, as
    /// [`EndpointSet::usable`](crate::endpoints::EndpointSet::usable) gives them. Weight 0 gets nothing new; neither policy looks
    /// at other weights (IPVS has `wrr` beside `rr` for that, S-09). `draw` is a number drawn evenly from all of `u64`.
    /// Takes constant time while nothing has to be skipped, and one walk over the endpoints otherwise.
    pub fn pick<'a>(&mut self, endpoints: &'a [Endpoint], tried: &Tried, draw: u64) -> Option<&'a Endpoint> {
        if tried.is_full() {
            return None;
        }
        let eligible = |endpoint: &Endpoint| endpoint.weight > 0 && !tried.contains(endpoint.id);
        match &mut self.state {
            State::RoundRobin(round) => round.pick(endpoints, eligible, draw),
            State::Random => random::pick(endpoints, eligible, draw),
        }
    }
}

impl Policy {
    /// What the Service asks for, else [`Policy::default`]. An annotation that names no policy never gets here: validation
    /// refuses it, and where there is no validation (the environment) there are no annotations.
    pub fn of(service: &Service) -> Policy {
        let annotation = service.annotations.get(svc_proto::names::annotation::LOAD_BALANCER);
        annotation.and_then(|value| Policy::parse(value)).unwrap_or_default()
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
