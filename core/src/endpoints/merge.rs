//! All slices of a Service → the endpoints of each of its ports (S-05).

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use svc_proto::names::annotation;

use super::{Endpoint, EndpointIds, EndpointSet, Here, Topology};
use crate::address::EndpointAddr;
use crate::hash::HashSet;
use crate::service::{Port, Service, Slice, SliceEndpoint, Weights};

/// The slices of a Service that count.
pub(crate) struct Merge<'a> {
    service: &'a Service,
    weights: Weights<'a>,
    slices: Vec<(&'a Slice, Weights<'a>)>,
    topology: Topology<'a>,
    refused: &'a HashSet<IpAddr>,
}

impl<'a> Merge<'a> {
    /// `slices` in a stable order, which decides between equals. `refused` are addresses that must not be endpoints (S-04). `here` is where
    /// the clients are.
    pub(crate) fn new(
        service: &'a Service,
        slices: impl Iterator<Item = &'a Slice> + Clone,
        refused: &'a HashSet<IpAddr>,
        here: &'a Here,
    ) -> Merge<'a> {
        // The control plane mirrors Endpoints into slices: whoever has slices has said everything in them.
        let mirrored = slices.clone().any(|slice| !slice.from_endpoints);
        let slices = slices
            .filter(|slice| !(mirrored && slice.from_endpoints))
            .map(|slice| (slice, weights(slice.weights.as_deref())))
            .collect();
        let weights = weights(service.annotations.get(annotation::WEIGHTS).map(|text| &**text));
        Merge { service, weights, slices, topology: Topology::of(service, here), refused }
    }

    /// The endpoints of one port. Those that `previous` knows keep their identity.
    pub(crate) fn endpoints(
        &self,
        port: &Port,
        previous: &EndpointSet,
        ids: &mut EndpointIds,
    ) -> EndpointSet {
        let mut claims: Vec<AddressClaim<'_>> = self.claims(port).collect();
        let place = |claim: &AddressClaim<'_>| (claim.addr, claim.rank());
        claims.sort_by_key(place); // stable: between equals the first slice wins
        claims.dedup_by_key(|claim| claim.addr);
        EndpointSet::near(claims.into_iter().map(|claim| claim.endpoint(previous, ids)), self.topology)
    }

    /// What the slices say about the protocol on a port.
    pub(crate) fn app_protocol(&self, port: &Port) -> Option<Arc<str>> {
        let ports = self.slices.iter().flat_map(|(slice, _)| &slice.ports);
        ports
            .filter(|found| found.name == port.name && found.transport == port.transport)
            .find_map(|found| found.app_protocol.clone())
    }

    /// Every claim to be an endpoint of `port`. Matched by name and transport: the number, also that of a named target port, is
    /// the slice's own.
    fn claims(&self, port: &Port) -> impl Iterator<Item = AddressClaim<'_>> {
        self.slices.iter().flat_map(move |(slice, weights)| {
            let matching = slice
                .ports
                .iter()
                .filter(move |found| found.name == port.name && found.transport == port.transport);
            matching.flat_map(move |found| {
                let admitted = slice.endpoints.iter().filter(|endpoint| self.admits(endpoint.address));
                admitted.map(move |endpoint| self.claim(endpoint, found.port, weights))
            })
        })
    }

    /// A Service with addresses takes endpoints of their families only: a client of one cannot speak to the other.
    fn admits(&self, address: IpAddr) -> bool {
        let families = &self.service.cluster_ips;
        let wanted = families.is_empty() || families.iter().any(|ip| ip.is_ipv4() == address.is_ipv4());
        wanted && !self.refused.contains(&address)
    }

    fn claim<'b>(&self, endpoint: &'b SliceEndpoint, port: u16, weights: &Weights<'_>) -> AddressClaim<'b> {
        let pod = endpoint.pod.as_deref();
        let annotated =
            || weights.of(endpoint.address, pod).or_else(|| self.weights.of(endpoint.address, pod));
        let weight = endpoint.weight.or_else(annotated);
        AddressClaim {
            addr: EndpointAddr(SocketAddr::new(endpoint.address, port)),
            ready: endpoint.ready || self.service.publish_not_ready,
            weight: weight.unwrap_or(1),
            endpoint,
        }
    }
}

/// One slice's word on one address. Two of them are one pod on its way between slices, or two pods that had the address one
/// after the other: either way the better one is the truth.
struct AddressClaim<'a> {
    addr: EndpointAddr,
    ready: bool,
    weight: u16,
    endpoint: &'a SliceEndpoint,
}

impl AddressClaim<'_> {
    /// Smaller is better.
    fn rank(&self) -> (bool, bool, bool) {
        (!self.ready, !self.endpoint.serving, self.endpoint.terminating)
    }

    fn endpoint(&self, previous: &EndpointSet, ids: &mut EndpointIds) -> Endpoint {
        let SliceEndpoint { serving, terminating, hostname, place, .. } = self.endpoint;
        Endpoint {
            id: ids.of(self.addr, previous),
            addr: self.addr,
            ready: self.ready,
            serving: *serving,
            terminating: *terminating,
            weight: self.weight,
            place: place.clone(),
            hostname: hostname.clone(),
        }
    }
}

/// Nothing where the annotation is wrong: the object would have been refused.
fn weights(annotation: Option<&str>) -> Weights<'_> {
    annotation.and_then(|text| Weights::parse(text).ok()).unwrap_or_default()
}
