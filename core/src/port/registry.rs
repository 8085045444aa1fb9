//! The registry of the endpoints of a port, with the stats of each.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::balance::{Member, members};
use crate::endpoints::{Endpoint, EndpointId};
use crate::hash::{HashMap, HashSet};
use crate::stats::{EndpointStats, PortStats};
use crate::table::Target;
use crate::time::Now;

/// The endpoints of a port with the stats of each, for as long as the snapshot has them, usable or not.
#[derive(Debug, Default)]
pub struct EndpointRegistry {
    /// What `stats` follow.
    target: Option<Arc<Target>>,
    stats: HashMap<EndpointId, Arc<EndpointStats>>,
}

impl EndpointRegistry {
    /// The members that the usable endpoints of `target` are, once they are taken note of.
    pub fn members(&mut self, target: &Arc<Target>, port: &PortStats, now: Now) -> Box<[Member]> {
        self.follow(target, port, now);
        members(target.endpoints.usable(), |id| self.stats.entry(id).or_default().clone())
    }

    /// Takes note of who the endpoints are. A worker that is behind may bring an older target once more; it has the newer one soon.
    pub fn follow(&mut self, target: &Arc<Target>, port: &PortStats, now: Now) {
        if self.target.as_ref().is_some_and(|known| Arc::ptr_eq(known, target)) {
            return;
        }
        self.let_go(target, port);
        let usable = target.endpoints.usable();
        let handling = &target.service.handling;
        for newcomer in self.welcome(usable) {
            newcomer.share.start_slowly(handling.slow_start, port, now);
        }
        let choosable = usable.iter().filter(|endpoint| endpoint.weight > 0);
        let choosable = choosable.filter_map(|endpoint| self.stats.get(&endpoint.id).map(|stats| &**stats));
        port.follow(handling, choosable, now);
        self.target = Some(target.clone());
    }

    /// Those that are out.
    pub fn out(&self) -> impl Iterator<Item = EndpointId> {
        self.stats.iter().filter(|(_, stats)| stats.is_out()).map(|(id, _)| *id)
    }

    /// How many there are, usable or not.
    pub fn len(&self) -> usize {
        self.stats.len()
    }

    /// Whether there is nobody.
    pub fn is_empty(&self) -> bool {
        self.stats.is_empty()
    }

    /// The new ones of `usable`; none where there was nobody before, for then each gets as much as the others.
    fn welcome(&mut self, usable: &[Endpoint]) -> Vec<Arc<EndpointStats>> {
        let serves = self.target.as_ref().is_some_and(|target| !target.endpoints.usable().is_empty());
        let mut newcomers = Vec::new();
        for endpoint in usable {
            let is_known = self.stats.contains_key(&endpoint.id);
            let stats = self.stats.entry(endpoint.id).or_default();
            if (stats.arrive() || !is_known) && serves {
                newcomers.push(stats.clone());
            }
        }
        newcomers
    }

    /// Lets go of those that get nothing new any more: an endpoint that is only not ready keeps its counts.
    fn let_go(&mut self, target: &Target, port: &PortStats) {
        let ids = |endpoints: &[Endpoint]| -> HashSet<EndpointId> {
            endpoints.iter().map(|endpoint| endpoint.id).collect()
        };
        let (usable, all) = (ids(target.endpoints.usable()), ids(target.endpoints.all()));
        let left = self.stats.iter().filter(|(id, _)| !usable.contains(*id));
        left.for_each(|(_, stats)| stats.leave(port));
        self.stats.retain(|id, _| all.contains(id));
    }
}
