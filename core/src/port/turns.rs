//! Whose turn it is.

use crate::balance::{Ask, Balancer, Choice, Member};
use crate::service::Policy;
use crate::time::Now;
use crate::vitals::PortVitals;

/// Whose turn it is among the members of a port, as one worker sees it.
#[derive(Debug)]
pub struct Turns {
    balancer: Balancer,
    /// The version whose members the balancer has met.
    met: u64,
}

impl Turns {
    /// Nobody has had a turn.
    pub fn new(policy: Policy) -> Turns {
        Turns { balancer: Balancer::new(policy), met: 0 }
    }

    /// Begins anew where the Service has changed its mind.
    pub fn follow(&mut self, policy: Policy) {
        if self.balancer.policy() != policy {
            *self = Turns::new(policy);
        }
    }

    /// As [`Balancer::choose`], among the members that the port has in that version, which is never 0: a request that began before an
    /// update goes on among the members that it began with.
    pub fn choose(
        &mut self,
        (version, members): (u64, &[Member]),
        ask: &Ask<'_>,
        port: &PortVitals,
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
