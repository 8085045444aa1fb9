//! What all workers share: how much there is of everything, and what is known of endpoints.

pub(crate) mod interest;
pub(crate) mod vips;

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use svc_core::address::{ServiceName, Transport};
use svc_core::dns::local::leads_to;
use svc_core::endpoints::EndpointId;
use svc_core::port::{self, PortKey};
use svc_core::stats::Reason;
use svc_core::table::Table;
use svc_core::time::Now;

use crate::certificates::Certificates;
use crate::memory::Ledger;
use crate::net::tls_client::Trust;
use crate::ports::pins::Pinned;
use crate::ports::shared_port::SharedPort;
use crate::sync::lock;

use interest::{ApiInterest, DnsInterest};
use vips::{Vip, VipClaims};

/// What all workers share.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// Every address that this process listens on.
    pub(crate) bound: ArcSwap<Vec<SocketAddr>>,
    /// Open client connections.
    pub(crate) connections: AtomicU64,
    /// What clients make us hold.
    pub(crate) memory: Arc<Ledger>,
    /// Flows of datagrams.
    pub(crate) udp_flows: AtomicU64,
    /// Locked only where a change of the snapshot moves a loopback VIP, or something connects to a loopback address.
    pub(crate) vips: VipClaims,
    /// Loopback VIPs that cannot be listened at, as everybody has been told. Locked only where one is tried.
    unbound: Mutex<BTreeSet<Vip>>,
    /// What requests wait for. Locked only for those that the table cannot route, and once a second.
    pub(crate) wanted: Arc<DnsInterest>,
    /// The same of Services whose endpoints the API server is asked for.
    pub(crate) api_wanted: Arc<ApiInterest>,
    /// What handshakes need of Secrets.
    pub(crate) certificates: Arc<Certificates>,
    /// What handshakes with endpoints need of the system.
    pub(crate) trust: Trust,
    /// Locked only where a worker meets a port for the first time, where a port goes, and once a second.
    ports: Mutex<HashMap<PortKey, Arc<SharedPort>>>,
}

impl Shared {
    pub(crate) fn port(&self, key: &PortKey) -> Arc<SharedPort> {
        lock(&self.ports).entry(key.clone()).or_default().clone()
    }

    /// Notes that a loopback VIP has a listener.
    pub(crate) fn is_listened_at(&self, vip: Vip) {
        lock(&self.unbound).remove(&vip);
    }

    /// Notes that one cannot be listened at; whether that is news.
    pub(crate) fn cannot_be_listened_at(&self, vip: Vip) -> bool {
        lock(&self.unbound).insert(vip)
    }

    /// Whether what is sent to `addr` would come to one of our own listeners, at the addresses that the configuration names or at the
    /// loopback VIPs of `table`: it would go round in a circle. Everything that connects asks this.
    pub(crate) fn is_own(&self, transport: Transport, addr: SocketAddr, table: &Table) -> bool {
        self.is_bound(addr)
            || leads_to(addr.ip()).filter(IpAddr::is_loopback).any(|ip| {
                let at = SocketAddr::new(ip, addr.port());
                table.by_destination(transport, at).is_some()
                    || lock(&self.vips).contains_key(&(transport, at))
            })
    }

    /// Whether that would be one of those that the configuration names.
    pub(crate) fn is_bound(&self, addr: SocketAddr) -> bool {
        let bound = self.bound.load();
        let leads_there = |own: &SocketAddr| {
            let is = |ip: IpAddr| own.ip() == ip || (own.ip().is_unspecified() && is_local(ip));
            own.port() == addr.port() && leads_to(addr.ip()).any(is)
        };
        bound.iter().any(leads_there)
    }

    /// Whether a connection to `addr`, an address of this pod, was opened to one of our own listeners.
    pub(crate) fn is_listener(&self, addr: SocketAddr) -> bool {
        let is = |own: &SocketAddr| {
            own.port() == addr.port() && (own.ip().is_unspecified() || own.ip() == addr.ip())
        };
        self.bound.load().iter().any(is)
    }

    /// Who is out at the moment.
    pub(crate) fn out(&self) -> BTreeSet<EndpointId> {
        let ports = lock(&self.ports);
        ports.values().filter(|port| port.stats.has_out()).flat_map(|port| port.out()).collect()
    }

    /// Calls `each` with the ejections of every port that a worker uses.
    pub(crate) fn each_ejections(&self, mut each: impl FnMut(&ServiceName, [u64; Reason::ALL.len()])) {
        lock(&self.ports).iter().for_each(|(key, port)| each(&key.0, port.stats.ejections()));
    }

    /// How many clients are pinned, to endpoints of all ports.
    pub(crate) fn pinned(&self) -> usize {
        self.all_pinned().iter().map(|pinned| pinned.len()).sum()
    }

    /// Lets go of some of the pins that are over.
    pub(crate) fn sweep_pins(&self, now: Now) {
        self.all_pinned().iter().for_each(|pinned| pinned.sweep(now));
    }

    fn all_pinned(&self) -> Vec<Arc<Pinned>> {
        lock(&self.ports).values().filter_map(|port| port.pins()).collect()
    }

    /// Lets go of what belongs to ports and endpoints that the snapshot no longer has. Who uses it still keeps it.
    pub(crate) fn prune(&self, table: &Table, now: Now) {
        lock(&self.ports).retain(|key, port| {
            let target = port::target(key, table);
            if let Some(target) = target {
                port.follow(target, now);
            }
            target.is_some()
        });
    }
}

fn is_local(ip: IpAddr) -> bool {
    ip.is_loopback() || ip.is_unspecified()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_listeners_are_known_in_any_clothes() {
        let shared = Shared::default();
        let bound = ["127.0.0.1:15001", "[::]:15020", "10.1.0.2:9000"].map(|addr| addr.parse().unwrap());
        shared.bound.store(Arc::new(bound.into()));
        let own = |addr: &str| shared.is_bound(addr.parse().unwrap());
        for addr in [
            "127.0.0.1:15001",
            "[::ffff:127.0.0.1]:15001",
            "[::1]:15020",
            "127.9.9.9:15020",
            "[::ffff:10.1.0.2]:9000",
            "0.0.0.0:15001",
            "[::ffff:0.0.0.0]:15001",
            "[::]:15020",
            "0.0.0.0:15020",
            "[64:ff9b::7f00:1]:15001",
            "[64:ff9b::a01:2]:9000",
            "[64:ff9b:1::a01:2]:9000",
            "[64:ff9b:1:a01:0:200::]:9000",
        ] {
            assert!(own(addr), "{addr}");
        }
        for addr in ["127.0.0.1:15002", "10.1.0.3:9000", "[::ffff:10.1.0.3]:15020"] {
            assert!(!own(addr), "{addr}");
        }
    }
}
