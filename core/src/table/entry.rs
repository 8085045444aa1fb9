//! One Service in the table.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;

use super::source::Source;
use super::target::Target;
use crate::address::Transport;
use crate::service::Service;

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
