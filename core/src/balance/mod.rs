//! Which endpoint gets the next connection or request.
//!
//! A [`Balancer`] belongs to one worker and one Service port, so that picking locks nothing. It keeps its place when the
//! endpoints change: what it remembers is where it was, not how many there were.

use alloc::vec::Vec;

use crate::endpoints::EndpointId;
use crate::protocol;
use crate::service::{Policy, Service, Unit};
use crate::time::Now;

mod ask;
mod choose;
mod eligibility;
mod tried;

mod buckets;
mod destination_hash;
mod least_connection;
mod maglev;
mod never_queue;
mod random;
mod round_robin;
mod shortest_delay;
mod source_hash;
mod two_choices;
mod weighted_round_robin;

pub use ask::{Ask, Caller, Member, members};
pub use choose::Choice;
pub use tried::Tried;

use buckets::Buckets;
use eligibility::EligibilityFilter;
use maglev::Maglev;
use round_robin::RoundRobin;
use two_choices::TwoChoices;
use weighted_round_robin::WeightedRoundRobin;

/// Chooses among the endpoints of one Service port.
#[derive(Clone, Debug)]
pub struct Balancer {
    state: State,
    /// Whom a policy that prepares for its members has prepared for, and with what weights.
    prepared_for: Vec<(EndpointId, u16)>,
}

/// What each policy remembers from pick to pick.
#[derive(Clone, Debug)]
enum State {
    DestinationHash(Buckets),
    LeastConnection,
    Maglev(Maglev),
    NeverQueue,
    Random,
    RoundRobin(RoundRobin),
    ShortestDelay,
    SourceHash(Buckets),
    TwoChoices(TwoChoices),
    WeightedRoundRobin(WeightedRoundRobin),
}

impl Balancer {
    /// Starts afresh.
    pub fn new(policy: Policy) -> Balancer {
        let state = match policy {
            Policy::DestinationHash => State::DestinationHash(Buckets::default()),
            Policy::LeastConnection => State::LeastConnection,
            Policy::Maglev => State::Maglev(Maglev::default()),
            Policy::NeverQueue => State::NeverQueue,
            Policy::Random => State::Random,
            Policy::RoundRobin => State::RoundRobin(RoundRobin::default()),
            Policy::ShortestDelay => State::ShortestDelay,
            Policy::SourceHash => State::SourceHash(Buckets::default()),
            Policy::TwoChoices => State::TwoChoices(TwoChoices::default()),
            Policy::WeightedRoundRobin => State::WeightedRoundRobin(WeightedRoundRobin::default()),
        };
        Balancer { state, prepared_for: Vec::new() }
    }

    /// What this one does. A worker that finds another [`Policy::of`] the Service starts a new one.
    pub fn policy(&self) -> Policy {
        match self.state {
            State::DestinationHash(_) => Policy::DestinationHash,
            State::LeastConnection => Policy::LeastConnection,
            State::Maglev(_) => Policy::Maglev,
            State::NeverQueue => Policy::NeverQueue,
            State::Random => Policy::Random,
            State::RoundRobin(_) => Policy::RoundRobin,
            State::ShortestDelay => Policy::ShortestDelay,
            State::SourceHash(_) => Policy::SourceHash,
            State::TwoChoices(_) => Policy::TwoChoices,
            State::WeightedRoundRobin(_) => Policy::WeightedRoundRobin,
        }
    }

    /// Takes note of who the members are from now on: before the first [`Balancer::pick`], and whenever they have changed. Where they
    /// are the same with the same weights, nothing that the policy remembers is touched.
    pub fn meet(&mut self, members: &[Member]) {
        let seen = members.iter().map(|member| (member.id, member.weight));
        match &mut self.state {
            State::LeastConnection
            | State::NeverQueue
            | State::Random
            | State::RoundRobin(_)
            | State::ShortestDelay => return,
            _ if seen.clone().eq(self.prepared_for.iter().copied()) => return,
            State::DestinationHash(buckets) => *buckets = destination_hash::deal(members),
            State::Maglev(table) => *table = Maglev::deal(members),
            State::SourceHash(buckets) => *buckets = source_hash::deal(members),
            State::TwoChoices(choices) => *choices = TwoChoices::prepare(members),
            State::WeightedRoundRobin(rounds) => rounds.meet(members),
        }
        self.prepared_for = seen.collect();
    }

    /// The index of the member to use next, or `None` when there is none left to try, or no attempt ([`Tried::is_full`]).
    ///
    /// `members` are those that the balancer was last told to [`meet`](Balancer::meet), in the order of their addresses, which is the
    /// order of IPVS's list (there it is the order in which they came). Weight 0 gets nothing new, whatever the policy. `draw` is a
    /// number drawn evenly from all of `u64`.
    pub fn pick(&mut self, members: &[Member], ask: &Ask<'_>, _now: Now, draw: u64) -> Option<usize> {
        self.pick_with(None, members, ask, draw)
    }

    fn pick_with(
        &mut self,
        filter: Option<EligibilityFilter>,
        members: &[Member],
        ask: &Ask<'_>,
        draw: u64,
    ) -> Option<usize> {
        if ask.tried.is_full() {
            return None;
        }
        let is_well = |member: &Member| filter.is_none_or(|filter| filter.admits(member));
        let eligible = &|member: &Member| ask.admits(member) && is_well(member);
        match &mut self.state {
            State::DestinationHash(buckets) => destination_hash::pick(buckets, members, ask, eligible),
            State::LeastConnection => least_connection::pick(members, eligible),
            State::Maglev(table) => table.pick(members, ask, eligible),
            State::NeverQueue => never_queue::pick(members, eligible),
            State::Random => random::pick(members, eligible, draw),
            State::RoundRobin(round) => round.pick(members, eligible, draw),
            State::ShortestDelay => shortest_delay::pick(members, eligible),
            State::SourceHash(buckets) => source_hash::pick(buckets, members, ask, eligible),
            State::TwoChoices(choices) => choices.pick(members, eligible, draw),
            State::WeightedRoundRobin(rounds) => rounds.pick(members, eligible),
        }
    }
}

impl Policy {
    /// What the Service asks for, else the default for `unit`.
    pub fn of(service: &Service, unit: Unit) -> Policy {
        service.handling.policy.unwrap_or(Policy::default_for(unit))
    }

    /// The one to show for the whole Service: that of requests, if any of its ports may carry them.
    pub fn shown(service: &Service) -> Policy {
        let may_carry_requests = service.ports.iter().any(protocol::may_be_http);
        Policy::of(service, if may_carry_requests { Unit::Request } else { Unit::Connection })
    }
}

#[cfg(test)]
mod tests;
