//! A balancer, and the members that it has met.

use crate::balance::{Ask, Balancer, Choice, Member};
use crate::service::Policy;
use crate::stats::PortStats;
use crate::time::Now;

/// The state of a balancer among the members of a port, as one worker has it.
#[derive(Debug)]
pub struct BalancerState {
    balancer: Balancer,
    /// The version whose members the balancer has met.
    met: u64,
}

impl BalancerState {
    /// Nobody has had a turn.
    pub fn new(policy: Policy) -> BalancerState {
        BalancerState { balancer: Balancer::new(policy), met: 0 }
    }

    /// Begins anew where the Service has changed its mind.
    pub fn follow(&mut self, policy: Policy) {
        if self.balancer.policy() != policy {
            *self = BalancerState::new(policy);
        }
    }

    /// As [`Balancer::choose`], among the members that the port has in that version, which is never 0: a request that began before an
    /// update goes on among the members that it began with.
    pub fn choose(
        &mut self,
        (version, members): (u64, &[Member]),
        ask: &Ask<'_>,
        port: &PortStats,
        now: Now,
        draw: u64,
    ) -> Option<Choice> {
        if self.met != version {
            self.met = version;
            self.balancer.meet(members);
        }
        self.balancer.choose(members, ask, port, now, draw)
    }
}
