//! One Service's entry in the table.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use super::addresses::Addresses;
use super::{Decision, Rejections, Settings};
use crate::address::EndpointAddr;
use crate::endpoints::{Endpoint, EndpointIds, EndpointSet, Merge};
use crate::service::{Port, Service};
use crate::table::{Entry, Source, Target};

/// What an entry is made of, besides the Service itself.
pub(super) struct Builder<'a> {
    pub(super) settings: &'a Settings,
    pub(super) addresses: &'a Addresses,
    pub(super) ids: &'a mut EndpointIds,
    pub(super) rejections: &'a mut Rejections,
}

impl Builder<'_> {
    /// The entry, or `None` where the Service was refused its address. Whatever equals its part of `previous` is that part: so
    /// that the two share memory, and that one look tells whether anything changed.
    pub(super) fn build(
        &mut self,
        decision: &Decision<'_>,
        previous: Option<&Arc<Entry>>,
    ) -> Option<Arc<Entry>> {
        let name = &decision.service.name;
        let cluster_ips = self.addresses.cluster_ips(decision.service)?;
        let service = with_cluster_ips(decision.service, cluster_ips);
        let service = reuse(service, previous.map(|entry| &entry.service));
        let entry = Entry {
            source: decision.source,
            loopback_vip: self.addresses.loopback_vip(name),
            skipped_ports: self.skipped_ports(&service),
            targets: match decision.source {
                Source::Manifests => self.targets_of_slices(&service, decision, previous),
                Source::Environment => self.targets_of_vip(&service, previous),
            },
            service,
        };
        Some(reuse(Arc::new(entry), previous))
    }

    fn targets_of_slices(
        &mut self,
        service: &Arc<Service>,
        decision: &Decision<'_>,
        previous: Option<&Arc<Entry>>,
    ) -> Vec<Arc<Target>> {
        let refused = self.refused_addresses(decision);
        self.miss_own_node(service);
        let merge = Merge::new(service, decision.facts.slices(&service.name), &refused, &self.settings.here);
        let target = |port: &Port| {
            let known = known_target(previous, port);
            let mut port = port.clone();
            port.app_protocol = port.app_protocol.take().or_else(|| merge.app_protocol(&port));
            let endpoints = match known {
                Some(known) => merge.endpoints(&port, &known.endpoints, self.ids),
                None => merge.endpoints(&port, &EndpointSet::default(), self.ids),
            };
            reuse(Arc::new(Target { service: Arc::clone(service), port, endpoints }), known)
        };
        service.ports.iter().map(target).collect()
    }

    /// Nobody says which pods there are, so the VIP itself is the one endpoint, and whoever is behind it chooses.
    fn targets_of_vip(&mut self, service: &Arc<Service>, previous: Option<&Arc<Entry>>) -> Vec<Arc<Target>> {
        let target = |port: &Port| {
            let known = known_target(previous, port);
            let nobody = EndpointSet::default();
            let endpoint = |&vip: &IpAddr| {
                let addr = EndpointAddr(SocketAddr::new(vip, port.port));
                vip_endpoint(addr, self.ids.of(addr, known.map_or(&nobody, |target| &target.endpoints)))
            };
            let endpoints = EndpointSet::new(service.cluster_ips.first().map(endpoint));
            reuse(Arc::new(Target { service: Arc::clone(service), port: port.clone(), endpoints }), known)
        };
        service.ports.iter().map(target).collect()
    }

    /// Addresses of endpoints that are a Service's cluster IP (S-04): traffic would come back to us, or go round in circles.
    fn refused_addresses(&mut self, decision: &Decision<'_>) -> BTreeSet<IpAddr> {
        let mut refused = BTreeSet::new();
        for slice in decision.facts.slices(&decision.service.name) {
            for address in slice.endpoints.iter().map(|endpoint| endpoint.address) {
                let Some(holder) = self.addresses.holder(address) else { continue };
                refused.insert(address);
                let kind = if slice.from_endpoints { "Endpoints" } else { "EndpointSlice" };
                let object = format!("{kind} \"{}/{}\"", slice.service.namespace, slice.name);
                let reason = format!("endpoint {address} is the cluster IP of Service \"{holder}\"");
                self.rejections.add(&slice.service, object, reason);
            }
        }
        refused
    }

    /// Tells why a Service for this node only has no endpoint, where nobody knows which node that is.
    fn miss_own_node(&mut self, service: &Service) {
        if service.internal_traffic_local && self.settings.here.node.is_none() {
            let reason =
                "`internalTrafficPolicy: Local` leaves no endpoint: the name of this node is not known";
            self.rejections.add_service(&service.name, reason.into());
        }
    }

    fn skipped_ports(&self, service: &Service) -> Vec<u16> {
        let ports = service.ports.iter().map(|port| port.port);
        let skipped: BTreeSet<u16> = ports.filter(|port| self.settings.app_ports.contains(port)).collect();
        match self.addresses.loopback_vip(&service.name) {
            Some(_) => skipped.into_iter().collect(),
            None => Vec::new(),
        }
    }
}

fn with_cluster_ips(service: &Arc<Service>, cluster_ips: &[IpAddr]) -> Arc<Service> {
    match service.cluster_ips == cluster_ips {
        true => Arc::clone(service),
        false => Arc::new(Service { cluster_ips: cluster_ips.to_vec(), ..Service::clone(service) }),
    }
}

/// The target that was there for the same port; its endpoints keep their identities even when the port's name changes.
fn known_target<'a>(previous: Option<&'a Arc<Entry>>, port: &Port) -> Option<&'a Arc<Target>> {
    previous.and_then(|entry| entry.target(port.transport, port.port))
}

fn vip_endpoint(addr: EndpointAddr, id: crate::endpoints::EndpointId) -> Endpoint {
    Endpoint {
        id,
        addr,
        ready: true,
        serving: true,
        terminating: false,
        weight: 1,
        place: None,
        hostname: None,
    }
}

fn reuse<T: PartialEq>(new: Arc<T>, previous: Option<&Arc<T>>) -> Arc<T> {
    match previous {
        Some(previous) if *previous == new => Arc::clone(previous),
        Some(_) | None => new,
    }
}
