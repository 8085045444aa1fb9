//! Session affinity (S-10) in one snapshot: where the endpoints are that clients are pinned to.

use core::time::Duration;

use crate::affinity::{Pin, Pins};
use crate::balance::{Ask, Choice, Member};
use crate::endpoints::EndpointId;
use crate::hash::{HashMap, HashSet};
use crate::stats::PortStats;
use crate::table::Target;
use crate::time::Now;

/// The affinity of a Service port in one snapshot.
#[derive(Debug)]
pub struct Affinity {
    timeout: Duration,
    /// Where among the members each endpoint is.
    places: HashMap<EndpointId, usize>,
}

impl Affinity {
    /// `None` where the Service asks for none.
    pub fn of(target: &Target, members: &[Member]) -> Option<Affinity> {
        let timeout = target.service.affinity?;
        let places = members.iter().enumerate().map(|(index, member)| (member.id, index)).collect();
        Some(Affinity { timeout, places })
    }

    /// How long a client may stay away.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Once more the endpoint that the client is pinned to, as long as that is for it.
    pub fn stay(
        &self,
        pinned: EndpointId,
        members: &[Member],
        ask: &Ask<'_>,
        port: &PortStats,
    ) -> Option<Choice> {
        ask.stay(members, *self.places.get(&pinned)?, port)
    }

    /// Where the client goes: to the endpoint that it is pinned to as long as that is for it, else where `choose` says, where it is
    /// pinned from now on.
    pub fn choose(
        &self,
        pins: &mut Pins,
        members: &[Member],
        ask: &Ask<'_>,
        port: &PortStats,
        choose: impl FnOnce() -> Option<Choice>,
        now: Now,
    ) -> Option<(Choice, Pin)> {
        let usable = |id| self.stay(id, members, ask, port);
        let choose = || {
            let choice = choose()?;
            let endpoint = members[choice.index].id;
            Some((choice, endpoint))
        };
        pins.pick(ask.caller.client, self.timeout, usable, choose, now)
    }
}

/// The endpoints that new connections and requests could go to in the snapshot `before` and cannot in `after`: their clients are
/// unpinned ([`Pins::forget`]).
pub fn gone(before: &Target, after: &Target) -> HashSet<EndpointId> {
    let stays: HashSet<EndpointId> = choosable(after).collect();
    choosable(before).filter(|id| !stays.contains(id)).collect()
}

fn choosable(target: &Target) -> impl Iterator<Item = EndpointId> {
    let endpoints = target.endpoints.usable().iter();
    endpoints.filter(|endpoint| endpoint.weight > 0).map(|endpoint| endpoint.id)
}
