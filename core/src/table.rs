//! The immutable snapshot that a request sees from its first byte to its last: destination → port, host name → port.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::SocketAddr;

use hashbrown::HashMap;

use crate::address::{ServiceName, Transport};
use crate::endpoints::EndpointSet;
use crate::service::{Port, Service};

type Map<K, V> = HashMap<K, V, foldhash::fast::FixedState>;

/// Every Service, found in constant time. Cheap to share (`Arc`), cheap to replace: an update clones the maps and the handles in
/// them, and only the Services that changed are new.
#[derive(Clone, Debug, Default)]
pub struct Table {
    pub(crate) services: Map<ServiceName, Arc<Entry>>,
    pub(crate) destinations: Map<(Transport, SocketAddr), Arc<Target>>,
}

/// One Service as the data path sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What its object, or the environment, says.
    pub service: Arc<Service>,
    /// Who says so.
    pub source: Source,
    /// The loopback address it listens on inside the pod, if any.
    pub loopback_vip: Option<core::net::IpAddr>,
    /// Ports that the application uses itself, so that there is no listener for them at the loopback VIP.
    pub skipped_ports: Vec<u16>,
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
}

impl Source {
    /// The name that flags, metrics and documents use.
    pub fn as_str(self) -> &'static str {
        match self {
            Source::Manifests => "manifests",
            Source::Environment => "env",
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
}

impl Table {
    /// The Service port that answers at `destination`.
    pub fn by_destination(&self, transport: Transport, destination: SocketAddr) -> Option<&Arc<Target>> {
        self.destinations.get(&(transport, destination))
    }

    /// The Service of that name.
    pub fn by_name(&self, name: &ServiceName) -> Option<&Arc<Entry>> {
        self.services.get(name)
    }

    /// Every Service, in no order.
    pub fn entries(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.services.values()
    }
}
