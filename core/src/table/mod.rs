//! The immutable snapshot that a request sees from its first byte to its last: destination → port, host name → port.

use alloc::sync::Arc;
use core::net::{IpAddr, SocketAddr};

use crate::address::{ServiceName, Transport};
use crate::hash::HashMap;

mod entry;
mod hosts;
mod services;
mod source;
mod target;

pub use entry::Entry;
pub use hosts::{NotFound, Unasked};
pub(crate) use services::Services;
pub use source::Source;
pub use target::{Target, Watched};

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

impl Table {
    /// The Service port that answers at `destination`. An IPv4-mapped address is that IPv4 address.
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
