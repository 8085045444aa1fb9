//! One Service's entry in the table.

use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use svc_proto::values::Quoted;

use super::Settings;
use super::addresses::ServiceAddresses;
use super::decision::{Decision, decide};
use super::facts::SourceFacts;
use super::names::{Names, Way};
use super::rejections::Rejections;
use crate::address::{EndpointAddr, ServiceName};
use crate::dns::answer::Record;
use crate::dns::local::{Permit, prohibition};
use crate::dns::names::{full_name, service_of};
use crate::endpoints::{Endpoint, EndpointId, EndpointIds, EndpointSet, Merge};
use crate::hash::HashSet;
use crate::outcome::Failure;
use crate::rewrite::RewriteRules;
use crate::service::{Port, Service, ServiceType};
use crate::table::{Entry, Source, Target, Watched};

/// What an entry is made of, besides the Service itself.
pub(super) struct Builder<'a> {
    pub(super) settings: &'a Settings,
    pub(super) sources: &'a [(Source, SourceFacts)],
    pub(super) addresses: &'a ServiceAddresses,
    pub(super) names: &'a Names,
    pub(super) ids: &'a mut EndpointIds,
    pub(super) rejections: &'a mut Rejections,
}

/// Where the endpoints are.
pub(super) enum Endings<'a> {
    /// There.
    Of(&'a Way),
    /// With another Service, of that name; `None` where that was refused its address.
    Same(&'a ServiceName, Option<&'a Arc<Entry>>),
}

impl Builder<'_> {
    /// The entry, or `None` where the Service was refused its address. Whatever equals its part of `previous` is that part: so
    /// that the two share memory, and that one look tells whether anything changed.
    pub(super) fn build(
        &mut self,
        decision: &Decision<'_>,
        endings: &Endings<'_>,
        previous: Option<&Arc<Entry>>,
    ) -> Option<Arc<Entry>> {
        let cluster_ips = match decision.source {
            Source::Dns => &decision.service.cluster_ips, // nobody gives them out
            Source::Manifests | Source::Kubernetes | Source::Environment | Source::Services => {
                self.addresses.cluster_ips(decision.service)?
            }
        };
        let service = with_cluster_ips(decision.service, cluster_ips);
        let service = reuse(service, previous.map(|entry| &entry.service));
        let skipped_ports = self.skipped_ports(decision);
        let entry = Entry {
            source: decision.source,
            loopback_vip: self.loopback_vip(decision),
            proxy_ports: self.proxy_ports(&service, &skipped_ports),
            skipped_ports,
            targets: match endings {
                Endings::Same(of, original) => self.targets_of_alias(&service, of, *original, previous),
                Endings::Of(Way::Name(name)) => self.targets_of_name(&service, name, previous),
                Endings::Of(Way::Nowhere(failure)) => self.targets_of_nobody(&service, *failure, previous),
                Endings::Of(Way::Own | Way::Alias(_)) => match decision.source {
                    Source::Manifests | Source::Kubernetes | Source::Services => {
                        self.targets_of_slices(&service, decision, previous)
                    }
                    Source::Environment | Source::Dns => self.targets_of_vip(&service, previous),
                },
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
        let watched = (decision.source == Source::Kubernetes).then(|| Watched {
            service: service.name.clone(),
            is_known: decision.facts.is_complete(&service.name),
        });
        let merge = Merge::new(service, decision.facts.slices(&service.name), &refused, &self.settings.here);
        targets(&service.ports, previous, &mut |port, known| {
            let mut port = port.clone();
            port.app_protocol = port.app_protocol.take().or_else(|| merge.app_protocol(&port));
            let endpoints = merge.endpoints(&port, known, self.ids);
            Target { watched: watched.clone(), ..Target::plain(service, port, endpoints) }
        })
    }

    /// Nobody says which pods there are, so the VIP itself is the one endpoint, and whoever is behind it chooses.
    fn targets_of_vip(&mut self, service: &Arc<Service>, previous: Option<&Arc<Entry>>) -> Vec<Arc<Target>> {
        targets(&service.ports, previous, &mut |port, known| {
            let endpoint = |&vip: &IpAddr| {
                let addr = EndpointAddr(SocketAddr::new(vip, port.port));
                plain_endpoint(addr, 1, self.ids.of(addr, known))
            };
            let endpoints = EndpointSet::new(service.cluster_ips.first().map(endpoint));
            Target::plain(service, port.clone(), endpoints)
        })
    }

    /// What DNS says of the name, at each port: an address that a name must not lead to is none.
    fn targets_of_name(
        &mut self,
        service: &Arc<Service>,
        name: &Arc<str>,
        previous: Option<&Arc<Entry>>,
    ) -> Vec<Arc<Target>> {
        let records = self.names.records(name).unwrap_or_default();
        let vip = service.cluster_ips.first();
        let own = records.iter().filter(|record| vip.is_none_or(|&vip| vip == record.address));
        let admitted: Vec<&Record> =
            own.filter(|record| self.admits(service, name, record.address)).collect();
        let failure = (admitted.is_empty() && !records.is_empty()).then_some(Failure::NameProhibited);
        let admitted = foremost(admitted);
        let (external, ports) = (other_name(service, name), self.ports_at(service, name));
        targets(&ports, previous, &mut |port, known| {
            let endpoints = each_once(&admitted, port.port)
                .into_iter()
                .map(|(addr, weight)| plain_endpoint(addr, weight, self.ids.of(addr, known)));
            let endpoints = EndpointSet::new(endpoints);
            let (name, rewrite) = (Some(Arc::clone(name)), RewriteRules::of(service, port, external));
            Target { name, failure, rewrite, ..Target::plain(service, port.clone(), endpoints) }
        })
    }

    /// The ports of a Service that is reached by a name: an ExternalName without any has those that clients have asked DNS for.
    fn ports_at(&self, service: &Service, name: &str) -> Vec<Port> {
        if other_name(service, name).is_none() || !service.ports.is_empty() {
            return service.ports.clone();
        }
        let own = service_of(name, &self.settings.cluster_domain).and_then(|own| decide(self.sources, &own));
        // An alias in DNS is served under itself, though its name is that of a Service.
        let asked = own.or_else(|| decide(self.sources, &ServiceName::new("", name)));
        asked.map(|decision| decision.service.ports.clone()).unwrap_or_default()
    }

    fn admits(&mut self, service: &Service, name: &str, address: IpAddr) -> bool {
        let permit = Permit {
            loopback: self.settings.allow_loopback_endpoints,
            local: service.handling.allow_local_external_name,
        };
        let prohibited = prohibition(address, permit);
        if let Some(what) = prohibited {
            self.rejections
                .add_service(&service.name, format!("name {} leads to {address}, {what}", Quoted(name)));
        }
        prohibited.is_none()
    }

    /// The endpoints of the Service that this one is another name of, under identities of their own.
    fn targets_of_alias(
        &mut self,
        service: &Arc<Service>,
        of: &ServiceName,
        original: Option<&Arc<Entry>>,
        previous: Option<&Arc<Entry>>,
    ) -> Vec<Arc<Target>> {
        let external = full_name(of, &self.settings.cluster_domain);
        let all = original.into_iter().flat_map(|entry| &entry.targets).map(|target| target.port.clone());
        let ports = if service.ports.is_empty() { all.collect() } else { service.ports.clone() };
        targets(&ports, previous, &mut |port, known| {
            let original = original.and_then(|entry| entry.target(port.transport, port.port));
            let endpoints = original.map(|target| target.endpoints.renamed(|addr| self.ids.of(addr, known)));
            let rewrite = RewriteRules::of(service, port, Some(&external));
            let watched = original.and_then(|target| target.watched.clone());
            Target { watched, rewrite, ..Target::plain(service, port.clone(), endpoints.unwrap_or_default()) }
        })
    }

    fn targets_of_nobody(
        &mut self,
        service: &Arc<Service>,
        failure: Failure,
        previous: Option<&Arc<Entry>>,
    ) -> Vec<Arc<Target>> {
        if let Some(name) = &service.external_name {
            self.rejections.add_service(&service.name, format!("external name {}: {failure}", Quoted(name)));
        }
        targets(&service.ports, previous, &mut |port, _| {
            let nobody = Target::plain(service, port.clone(), EndpointSet::default());
            Target { failure: Some(failure), ..nobody }
        })
    }

    /// Addresses of endpoints that are a Service's cluster IP (S-04): traffic would come back to us, or go round in circles.
    fn refused_addresses(&mut self, decision: &Decision<'_>) -> HashSet<IpAddr> {
        let mut refused = HashSet::default();
        for slice in decision.facts.slices(&decision.service.name) {
            for address in slice.endpoints.iter().map(|endpoint| endpoint.address) {
                let Some(holder) = self.addresses.holder(address) else { continue };
                if decision.source == Source::Services && *holder == slice.service {
                    continue; // whoever wrote the document knows no more of it than the address
                }
                refused.insert(address);
                let kind = match decision.source {
                    Source::Services => "Service",
                    Source::Manifests | Source::Kubernetes | Source::Environment | Source::Dns => {
                        if slice.from_endpoints { "Endpoints" } else { "EndpointSlice" }
                    }
                };
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

    /// Only what somebody has written down has an address inside the pod: a listener for each name and port that a client asks DNS
    /// for would use up the process's descriptors.
    fn loopback_vip(&self, decision: &Decision<'_>) -> Option<IpAddr> {
        let vip = self.addresses.loopback_vip(&decision.service.name);
        vip.filter(|_| decision.source != Source::Dns)
    }

    fn skipped_ports(&self, decision: &Decision<'_>) -> Vec<u16> {
        if self.loopback_vip(decision).is_none() {
            return Vec::new();
        }
        let Settings { app_ports, ports_from, .. } = self.settings;
        let is_skipped = |port: &u16| *port < *ports_from || app_ports.contains(port);
        let ports = decision.service.ports.iter().map(|port| port.port);
        let mut skipped: Vec<u16> = ports.filter(is_skipped).collect();
        skipped.sort_unstable();
        skipped.dedup();
        skipped
    }

    /// A port of its own for each that is skipped: the same one as long as the Service's ports are the same, for clients are told of it.
    fn proxy_ports(&self, service: &Service, skipped: &[u16]) -> Vec<u16> {
        let mut chosen: Vec<u16> = Vec::new();
        for port in skipped {
            let is_free = |candidate: &u16| {
                let taken = service.ports.iter().any(|port| port.port == *candidate);
                !taken && !self.settings.app_ports.contains(candidate) && !chosen.contains(candidate)
            };
            let candidates =
                (0..PROXY_PORTS).map(|step| PROXY_PORTS_BEGIN + (port % PROXY_PORTS + step) % PROXY_PORTS);
            chosen.extend(candidates.into_iter().find(is_free));
        }
        chosen
    }
}

/// The name that the endpoints of an ExternalName go by. A host that only DNS knows goes by what its clients call it.
fn other_name<'a>(service: &Service, name: &'a str) -> Option<&'a str> {
    let is_other = service.kind == ServiceType::ExternalName && !service.name.namespace.is_empty();
    is_other.then_some(name)
}

fn with_cluster_ips(service: &Arc<Service>, cluster_ips: &[IpAddr]) -> Arc<Service> {
    match service.cluster_ips == cluster_ips {
        true => Arc::clone(service),
        false => Arc::new(Service { cluster_ips: cluster_ips.to_vec(), ..Service::clone(service) }),
    }
}

/// What `target` makes of each port and of the endpoints that are known there.
fn targets(
    ports: &[Port],
    previous: Option<&Arc<Entry>>,
    target: &mut dyn FnMut(&Port, &EndpointSet) -> Target,
) -> Vec<Arc<Target>> {
    let nobody = EndpointSet::default();
    let target = |port: &Port| {
        let known = known_target(previous, port);
        let target = target(port, known.map_or(&nobody, |known| &known.endpoints));
        reuse(Arc::new(target), known)
    };
    ports.iter().map(target).collect()
}

/// The target that was there for the same port; its endpoints keep their identities even when the port's name changes.
fn known_target<'a>(previous: Option<&'a Arc<Entry>>, port: &Port) -> Option<&'a Arc<Target>> {
    previous.and_then(|entry| entry.target(port.transport, port.port))
}

fn plain_endpoint(addr: EndpointAddr, weight: u16, id: EndpointId) -> Endpoint {
    Endpoint { id, addr, ready: true, serving: true, terminating: false, weight, place: None, hostname: None }
}

/// Those of the lowest priority: the others are a reserve (RFC 2782).
fn foremost(mut records: Vec<&Record>) -> Vec<&Record> {
    let lowest = records.iter().map(|record| record.priority).min();
    records.retain(|record| Some(record.priority) == lowest);
    records
}

/// Where the records lead when a client asks for `port`, each address once.
fn each_once(records: &[&Record], port: u16) -> Vec<(EndpointAddr, u16)> {
    let place = |record: &&Record| {
        let port = record.port.unwrap_or(port);
        (EndpointAddr(SocketAddr::new(record.address, port)), record.weight)
    };
    let mut places: Vec<_> = records.iter().map(place).collect();
    places.sort_unstable();
    places.dedup_by_key(|(addr, _)| *addr);
    places
}

fn reuse<T: PartialEq>(new: Arc<T>, previous: Option<&Arc<T>>) -> Arc<T> {
    match previous {
        Some(previous) if *previous == new => Arc::clone(previous),
        Some(_) | None => new,
    }
}

/// Where skipped ports are served: 80 at 20080. Below the ports of nodes (30000) and those that the kernel gives to clients (32768), above
/// our own (15001 to 15020).
const PROXY_PORTS_BEGIN: u16 = 20_000;
const PROXY_PORTS: u16 = 10_000;
