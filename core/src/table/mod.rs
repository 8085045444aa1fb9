//! The immutable snapshot that a request sees from its first byte to its last: destination → port, host name → port.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use crate::address::{ServiceName, Transport};
use crate::endpoints::EndpointSet;
use crate::hash::HashMap;
use crate::outcome::Failure;
use crate::rewrite::RewriteRules;
use crate::service::{Port, Service};

mod hosts;
mod services;

pub use hosts::{NotFound, Unasked};
pub(crate) use services::Services;

/// Every Service, found in constant time. Cheap to share (`Arc`), cheap to replace: an update clones the maps and the handles in
/// them, and only the Services that changed are new.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// Where short names are looked up.
    pub(crate) namespace: Arc<str>,
    /// What follows `svc` in a full name.
    pub(crate) cluster_domain: Arc<str>,
    pub(crate) services: Services,
    pub(crate) destinations: HashMap<DestinationKey, Arc<Target>>,
}

/// What a connection can be addressed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct DestinationKey {
    pub(crate) transport: Transport,
    pub(crate) address: IpAddr,
    pub(crate) port: u16,
}

/// One Service as the data path sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What its object, or the environment, says.
    pub service: Arc<Service>,
    /// Who says so.
    pub source: Source,
    /// The loopback address it listens on inside the pod, if any.
    pub loopback_vip: Option<IpAddr>,
    /// Its ports without a listener at the loopback VIP: the application uses them itself, or this process may not listen there.
    pub skipped_ports: Vec<u16>,
    /// The ports at which these are served there instead (S-07), in the same order.
    pub proxy_ports: Vec<u16>,
    /// Its ports, in the object's order.
    pub targets: Vec<Arc<Target>>,
}

/// Where a Service came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// Files.
    Manifests,
    /// The variables that the kubelet injects.
    Environment,
    /// The cluster's name server, which is asked for what somebody wants: it cannot list Services.
    Dns,
    /// A sidecar's document about its Services ([`svc_proto::services`]). A sidecar reads none: it is where they come from.
    Services,
}

impl Source {
    /// All of them, for lists and tables.
    pub const ALL: [Source; 4] = [Source::Manifests, Source::Environment, Source::Dns, Source::Services];

    /// The name that flags, metrics and documents use.
    pub fn as_str(self) -> &'static str {
        match self {
            Source::Manifests => "manifests",
            Source::Environment => "env",
            Source::Dns => "dns",
            Source::Services => "services",
        }
    }
}

/// What a destination or a host name leads to: one port of one Service, with its endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The Service.
    pub service: Arc<Service>,
    /// The port.
    pub port: Port,
    /// Its endpoints.
    pub endpoints: EndpointSet,
    /// The name that its endpoints are asked for by, where DNS says which they are: lower case, without a dot at the end.
    pub name: Option<Arc<str>>,
    /// Why it has no endpoint, where more is known of that than that there is none.
    pub failure: Option<Failure>,
    /// How its endpoints are spoken to, where that is not how clients speak.
    pub rewrite: Option<Arc<RewriteRules>>,
}

impl Target {
    /// Whether there is an endpoint to go to, or nothing to be said about why there is none.
    pub fn is_settled(&self) -> bool {
        let plain = self.name.is_none() && self.failure.is_none();
        plain || !self.endpoints.usable().is_empty()
    }

    /// A port whose endpoints, or their absence, need no explanation, of a Service that is no other name.
    pub(crate) fn plain(service: &Arc<Service>, port: Port, endpoints: EndpointSet) -> Target {
        let rewrite = RewriteRules::of(service, &port, None);
        Target { service: Arc::clone(service), port, endpoints, name: None, failure: None, rewrite }
    }
}

impl Table {
    /// The Service port that answers at `destination`. An IPv4 address in IPv6 clothes is that IPv4 address.
    pub fn by_destination(&self, transport: Transport, destination: SocketAddr) -> Option<&Arc<Target>> {
        let address = destination.ip().to_canonical();
        self.destinations.get(&DestinationKey { transport, address, port: destination.port() })
    }

    /// The Service of that name.
    pub fn by_name(&self, name: &ServiceName) -> Option<&Arc<Entry>> {
        self.services.get(&name.namespace, &name.name)
    }

    /// Every Service, in no order.
    pub fn entries(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.services.iter()
    }
}

impl Entry {
    /// Where clients find `port` at the loopback VIP: nearly always at that port.
    pub fn port_at_vip(&self, port: u16) -> u16 {
        let mut skipped = self.skipped_ports.iter().zip(&self.proxy_ports);
        skipped.find(|(skipped, _)| **skipped == port).map_or(port, |(_, proxy)| *proxy)
    }

    /// The port that clients call `port`.
    pub fn target(&self, transport: Transport, port: u16) -> Option<&Arc<Target>> {
        self.targets.iter().find(|target| target.port.port == port && target.port.transport == transport)
    }
}
