//! The endpoints of one Service port: which there are, and which may be used.

use alloc::boxed::Box;
use core::net::IpAddr;

use crate::address::EndpointAddr;

mod endpoint;
mod merge;
mod topology;

pub use endpoint::{Endpoint, EndpointId};
pub(crate) use merge::Merge;
pub use topology::{Here, Topology};

/// The endpoints of one Service port, each address once, in a stable order: those that may be used first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndpointSet {
    all: Box<[Endpoint]>,
    usable: usize,
}

impl EndpointSet {
    /// Puts the usable endpoints first: the ready ones, or, where there is none, those that serve while they terminate (S-05).
    pub fn new(endpoints: impl IntoIterator<Item = Endpoint>) -> EndpointSet {
        EndpointSet::near(endpoints, Topology::default())
    }

    /// The same, where of the ready ones, or of those that stand in for them, only some are for clients here.
    pub fn near(endpoints: impl IntoIterator<Item = Endpoint>, topology: Topology<'_>) -> EndpointSet {
        EndpointSet::arranged(endpoints.into_iter().collect(), topology)
    }

    fn arranged(mut all: Box<[Endpoint]>, topology: Topology<'_>) -> EndpointSet {
        let choice = topology.choose(&all);
        let place = |endpoint: &Endpoint| (!choice.admits(endpoint), endpoint.addr);
        all.sort_unstable_by_key(place);
        let usable = all.iter().take_while(|endpoint| choice.admits(endpoint)).count();
        EndpointSet { all, usable }
    }

    /// Those that new connections and requests from here may go to.
    pub fn usable(&self) -> &[Endpoint] {
        &self.all[..self.usable]
    }

    /// The one of them at an address.
    pub fn usable_at(&self, addr: EndpointAddr) -> Option<&Endpoint> {
        let usable = self.usable();
        usable.binary_search_by_key(&addr, |endpoint| endpoint.addr).ok().map(|index| &usable[index])
    }

    /// All of them: first the usable ones, then the others, each in the order of their addresses.
    pub fn all(&self) -> &[Endpoint] {
        &self.all
    }

    /// The same endpoints as those of another Service port, under other identities.
    pub(crate) fn renamed(&self, mut id: impl FnMut(EndpointAddr) -> EndpointId) -> EndpointSet {
        let rename = |endpoint: &Endpoint| Endpoint { id: id(endpoint.addr), ..endpoint.clone() };
        EndpointSet { all: self.all.iter().map(rename).collect(), usable: self.usable }
    }

    /// The endpoint at an address.
    pub fn at(&self, addr: EndpointAddr) -> Option<&Endpoint> {
        let (usable, others) = self.all.split_at(self.usable);
        let find = |half: &'_ [Endpoint]| half.binary_search_by_key(&addr, |endpoint| endpoint.addr).ok();
        find(usable).map(|index| &usable[index]).or_else(|| find(others).map(|index| &others[index]))
    }

    /// Whether there is an endpoint at any of `addresses`, which are in order, whatever its port. Two comparisons where all of them lie outside of what the
    /// endpoints span, as cluster IPs and pods do.
    pub(crate) fn has_any(&self, addresses: &[IpAddr]) -> bool {
        let (usable, others) = self.all.split_at(self.usable);
        let ip = |endpoint: &Endpoint| endpoint.addr.0.ip();
        [usable, others].into_iter().any(|half| {
            let (Some(first), Some(last)) = (half.first(), half.last()) else { return false };
            let begin = addresses.partition_point(|&address| address < ip(first));
            let mut near = addresses[begin..].iter().take_while(|&&address| address <= ip(last));
            near.any(|address| half.binary_search_by_key(address, ip).is_ok())
        })
    }
}

/// Gives out identities.
#[derive(Debug, Default)]
pub(crate) struct EndpointIds {
    given: u64,
}

impl EndpointIds {
    /// The identity that `addr` has, or one that nobody ever had.
    pub(crate) fn of(&mut self, addr: EndpointAddr, previous: &EndpointSet) -> EndpointId {
        match previous.at(addr) {
            Some(known) => known.id,
            None => self.fresh(),
        }
    }

    fn fresh(&mut self) -> EndpointId {
        self.given += 1; // 2^64 of them: at a million a second, for half a million years
        EndpointId(self.given)
    }
}

#[cfg(test)]
mod tests;
