//! Which endpoints are for clients where this pod runs: those of its node, those of its zone, or all.
//!
//! The choice is kube-proxy's (`pkg/proxy/topology.go`, 1.33 and later). `internalTrafficPolicy: Local` leaves the endpoints of this node.
//! Otherwise hints decide: those for nodes before those for zones, and either only where every ready endpoint has one and one of them is
//! ours. Only ready endpoints count; where there is none, those that serve while they terminate, of this node with `Local` and of
//! anywhere without.
//!
//! In a cluster the control plane writes the hints that `trafficDistribution` asks for; nobody does into a file. Where no ready endpoint
//! has a hint, they are therefore taken to have those that its EndpointSlice controller would write
//! (`endpointslice/trafficdist/trafficdist.go`): its own zone, and with `PreferSameNode` its own node.

use alloc::sync::Arc;

use super::Endpoint;
use crate::service::{Locality, Service, TopologyHints};

/// Where this pod runs, as far as that is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Here {
    /// `spec.nodeName` of the pod.
    pub node: Option<Arc<str>>,
    /// The label `topology.kubernetes.io/zone` of that node.
    pub zone: Option<Arc<str>>,
}

impl Here {
    /// Takes unknown fields from `learned`; returns whether one was learned.
    pub(crate) fn fill(&mut self, learned: Here) -> bool {
        let mut has_learned = false;
        for (own, learned) in [(&mut self.node, learned.node), (&mut self.zone, learned.zone)] {
            if own.is_none() && learned.is_some() {
                *own = learned;
                has_learned = true;
            }
        }
        has_learned
    }
}

/// How the endpoints of one Service are chosen for clients here. By default only their conditions matter.
#[derive(Clone, Copy, Debug, Default)]
pub struct Topology<'a> {
    node: Option<&'a str>,
    zone: Option<&'a str>,
    local_only: bool,
    preferred: Option<Preferred>,
}

/// `trafficDistribution`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Preferred {
    SameNode,
    SameZone,
}

impl<'a> Topology<'a> {
    /// What the Service asks for. With `internalTrafficPolicy: Local` and no node known, no endpoint is local, as kube-proxy has it.
    pub fn of(service: &Service, here: &'a Here) -> Topology<'a> {
        Topology {
            node: here.node.as_deref(),
            zone: here.zone.as_deref(),
            local_only: service.internal_traffic_local,
            preferred: service.traffic_distribution.as_deref().and_then(Preferred::parse),
        }
    }

    /// Tells which of `endpoints` new connections and requests may go to.
    pub(crate) fn choose(self, endpoints: &[Endpoint]) -> TopologyChoice<'a> {
        let ready = || endpoints.iter().filter(|endpoint| endpoint.ready);
        if self.local_only {
            let reach = self.node.map_or(Reach::Nowhere, |node| Reach::Area(Measure::Node, node));
            return TopologyChoice { reach, leaving: !ready().any(|endpoint| reach.covers(endpoint)) };
        }
        match ready().next() {
            Some(_) => TopologyChoice { reach: self.reach(ready()), leaving: false },
            None => TopologyChoice { reach: Reach::Anywhere, leaving: true },
        }
    }

    /// How far to go for a ready endpoint: the nearer area in which all of them say where they belong, and one belongs to us.
    fn reach<'b>(self, ready: impl Iterator<Item = &'b Endpoint> + Clone) -> Reach<'a> {
        let (node, zone) = self.measures(ready.clone());
        let mut areas = [node.zip(self.node), zone.zip(self.zone)].into_iter().flatten();
        let agreed = areas.find(|&(measure, own)| {
            ready.clone().all(|endpoint| !measure.of(endpoint).is_empty())
                && ready.clone().any(|endpoint| Reach::Area(measure, own).covers(endpoint))
        });
        agreed.map_or(Reach::Anywhere, |(measure, own)| Reach::Area(measure, own))
    }

    /// What tells the nodes and the zones that ready endpoints are for: their hints, else where they run, as far as the Service asks for it.
    fn measures<'b>(
        self,
        mut ready: impl Iterator<Item = &'b Endpoint>,
    ) -> (Option<Measure>, Option<Measure>) {
        let is_hinted = |place: &Locality| place.hints != TopologyHints::default();
        if ready.any(|endpoint| place(endpoint).is_some_and(is_hinted)) {
            return (Some(Measure::NodeHints), Some(Measure::ZoneHints));
        }
        match self.preferred {
            Some(Preferred::SameNode) => (Some(Measure::Node), Some(Measure::Zone)),
            Some(Preferred::SameZone) => (None, Some(Measure::Zone)),
            None => (None, None),
        }
    }
}

impl Preferred {
    /// `PreferClose` is the former name of `PreferSameZone` (KEP-3015).
    fn parse(value: &str) -> Option<Preferred> {
        match value {
            "PreferSameNode" => Some(Preferred::SameNode),
            "PreferSameZone" | "PreferClose" => Some(Preferred::SameZone),
            _ => None,
        }
    }
}

/// Who may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TopologyChoice<'a> {
    reach: Reach<'a>,
    /// Whether those that serve while they terminate stand in for ready ones.
    leaving: bool,
}

impl TopologyChoice<'_> {
    pub(crate) fn admits(self, endpoint: &Endpoint) -> bool {
        let condition = match self.leaving {
            true => endpoint.serving && endpoint.terminating,
            false => endpoint.ready,
        };
        condition && self.reach.covers(endpoint)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach<'a> {
    Anywhere,
    /// This pod's own area of some measure.
    Area(Measure, &'a str),
    Nowhere,
}

impl Reach<'_> {
    fn covers(self, endpoint: &Endpoint) -> bool {
        match self {
            Reach::Anywhere => true,
            Reach::Area(measure, own) => measure.of(endpoint).iter().any(|name| **name == *own),
            Reach::Nowhere => false,
        }
    }
}

/// What endpoints are told apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Measure {
    Node,
    Zone,
    NodeHints,
    ZoneHints,
}

impl Measure {
    /// The areas that an endpoint is in, or for.
    fn of(self, endpoint: &Endpoint) -> &[Arc<str>] {
        let Some(place) = place(endpoint) else { return &[] };
        match self {
            Measure::Node => place.node.as_slice(),
            Measure::Zone => place.zone.as_slice(),
            Measure::NodeHints => &place.hints.nodes,
            Measure::ZoneHints => &place.hints.zones,
        }
    }
}

fn place(endpoint: &Endpoint) -> Option<&Locality> {
    endpoint.place.as_deref()
}

#[cfg(test)]
mod tests;
