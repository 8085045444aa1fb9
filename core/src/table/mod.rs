//! The immutable snapshot that a request sees from its first byte to its last: destination → port, host name → port.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, SocketAddr};

use hashbrown::HashMap;

use crate::address::{ServiceName, Transport};
use crate::authority::{Authority, Host};
use crate::endpoints::EndpointSet;
use crate::service::{Port, Service};

mod services;

pub(crate) use services::Services;

type Map<K, V> = HashMap<K, V, foldhash::fast::FixedState>;

/// Every Service, found in constant time. Cheap to share (`Arc`), cheap to replace: an update clones the maps and the handles in
/// them, and only the Services that changed are new.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// Where short names are looked up.
    pub(crate) namespace: Arc<str>,
    /// What follows `svc` in a full name.
    pub(crate) cluster_domain: Arc<str>,
    pub(crate) services: Services,
    pub(crate) destinations: Map<Destination, Arc<Target>>,
}

/// What a connection can be addressed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Destination {
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
    /// The Service port that answers at `destination`. An IPv4 address in IPv6 clothes is that IPv4 address.
    pub fn by_destination(&self, transport: Transport, destination: SocketAddr) -> Option<&Arc<Target>> {
        let address = destination.ip().to_canonical();
        self.destinations.get(&Destination { transport, address, port: destination.port() })
    }

    /// The TCP Service port that an HTTP request for `authority` is for; port 80 when it names none (a caller that speaks
    /// another scheme puts its default there).
    ///
    /// # Errors
    /// There is no such Service, or no such port of it.
    pub fn by_authority(&self, authority: &Authority<'_>) -> Result<&Arc<Target>, NotFound> {
        let port = authority.port.unwrap_or(HTTP_PORT);
        match authority.host {
            Host::Address(address) => {
                self.by_destination(Transport::Tcp, SocketAddr::new(address, port)).ok_or(NotFound::Service)
            }
            Host::Name(host) => {
                let entry = self.by_host(host).ok_or(NotFound::Service)?;
                entry.target(Transport::Tcp, port).ok_or(NotFound::Port)
            }
        }
    }

    /// The Service that DNS knows as `host`, in any case, without a dot at its end: `name`, `name.namespace`,
    /// `name.namespace.svc` or `name.namespace.svc.DOMAIN` (S-13).
    pub fn by_host(&self, host: &str) -> Option<&Arc<Entry>> {
        let mut labels = host.splitn(4, '.');
        let name = labels.next()?;
        let namespace = labels.next().unwrap_or(&self.namespace);
        let svc = labels.next().is_none_or(|label| label.eq_ignore_ascii_case("svc"));
        let domain = labels.next().is_none_or(|rest| rest.eq_ignore_ascii_case(&self.cluster_domain));
        if svc && domain { self.services.get(namespace, name) } else { None }
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
    /// The port that clients call `port`.
    pub fn target(&self, transport: Transport, port: u16) -> Option<&Arc<Target>> {
        self.targets.iter().find(|target| target.port.port == port && target.port.transport == transport)
    }
}

/// What an authority does not lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotFound {
    /// No Service is called that. Of an address only this is known, whatever the port.
    Service,
    /// The Service has no such port.
    Port,
}

impl fmt::Display for NotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NotFound::Service => "no such Service",
            NotFound::Port => "the Service has no such port",
        })
    }
}

impl core::error::Error for NotFound {}

const HTTP_PORT: u16 = 80; // RFC 9110 §4.2.1
