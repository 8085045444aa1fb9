//! What follows for the members of a Service port from what is known of them together.

use super::endpoint::EndpointStats;
use super::port::PortStats;
use crate::service::Handling;
use crate::time::Now;

impl PortStats {
    /// Takes note of what the Service asks for and of how many members there are to choose from, by `members`: those that get new
    /// traffic. At most half of them stay ejected, and none where nobody is to be ejected.
    pub fn follow<'a, M>(&self, handling: &Handling, members: M, now: Now)
    where
        M: Iterator<Item = &'a EndpointStats> + Clone,
    {
        self.ask_for(handling, members.clone().count());
        while self.has_surplus() {
            let ejected = members.clone().filter(|stats| stats.ejector.is_ejected());
            let Some(soonest) = ejected.min_by_key(|stats| stats.ejector.due_ms()) else { break };
            soonest.ejector.pardon(self, now);
        }
    }

    /// Whether an endpoint has as much to do as it may have.
    pub fn is_full(&self, endpoint: &EndpointStats) -> bool {
        endpoint.load.active() >= self.active_max()
    }
}
