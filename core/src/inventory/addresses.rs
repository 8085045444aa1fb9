//! Which addresses each Service has: its own, or given by us.

use alloc::format;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::rejections::Rejections;
use super::{LoopbackVips, Settings};
use crate::address::ServiceName;
use crate::allocate::Allocator;
use crate::hash::HashMap;
use crate::service::{Service, ServiceType};

#[derive(Debug)]
pub(super) struct ServiceAddresses {
    cluster: Allocator,
    loopback: Loopback,
}

#[derive(Debug)]
enum Loopback {
    Allocated(Allocator),
    Fixed(HashMap<ServiceName, Ipv4Addr>),
}

impl ServiceAddresses {
    pub(super) fn new(settings: &Settings) -> ServiceAddresses {
        let cluster = match settings.service_cidrs.is_empty() {
            true => Allocator::new(DEFAULT_RANGES),
            false => Allocator::new(settings.service_cidrs.iter().copied()),
        };
        let loopback = match &settings.loopback_vips {
            LoopbackVips::Off => Loopback::Fixed(HashMap::default()),
            LoopbackVips::On => Loopback::Allocated(Allocator::new([LOOPBACK_RANGE])),
            LoopbackVips::Fixed(vips) => Loopback::Fixed(vips.clone()),
        };
        ServiceAddresses { cluster, loopback }
    }

    /// Brings the addresses of these Services (`None`: gone) up to date: what they no longer want is free, then who asks for an
    /// address is served, then who needs one, each in the order given. Returns the cluster IPs that nobody had before,
    /// in order.
    pub(super) fn assign(
        &mut self,
        services: &[(&ServiceName, Option<&Arc<Service>>)],
        rejections: &mut Rejections,
    ) -> Vec<IpAddr> {
        for (name, service) in services {
            if !service.is_some_and(|service| self.keeps(service)) {
                self.cluster.release(name);
            }
            if !service.is_some_and(|service| has_listeners(service)) {
                self.loopback.release(name);
            }
        }
        let mut new = Vec::new();
        let known = || services.iter().filter_map(|(_, service)| *service);
        let wanting = || known().filter(|service| has_cluster_ip(service));
        for service in wanting().filter(|service| !service.cluster_ips.is_empty()) {
            self.assign_cluster_ips(service, &mut new, rejections);
        }
        for service in wanting().filter(|service| service.cluster_ips.is_empty()) {
            self.assign_cluster_ips(service, &mut new, rejections);
        }
        for service in known().filter(|service| has_listeners(service)) {
            self.loopback.assign(service, rejections);
        }
        new.sort_unstable();
        new
    }

    /// The cluster IPs of a Service: none where it has no use for one; `None` where it was refused.
    pub(super) fn cluster_ips(&self, service: &Service) -> Option<&[IpAddr]> {
        let held = self.cluster.held(&service.name);
        (!held.is_empty() || !has_cluster_ip(service)).then_some(held)
    }

    pub(super) fn loopback_vip(&self, name: &ServiceName) -> Option<IpAddr> {
        match &self.loopback {
            Loopback::Allocated(allocator) => allocator.held(name).first().copied(),
            Loopback::Fixed(vips) => vips.get(name).copied().map(IpAddr::V4),
        }
    }

    /// Takes its cluster IPs from a Service.
    pub(super) fn release(&mut self, name: &ServiceName) {
        self.cluster.release(name);
    }

    /// The Service whose cluster IP this is.
    pub(super) fn holder(&self, address: IpAddr) -> Option<&ServiceName> {
        self.cluster.holder(address)
    }

    /// Whether what the Service holds is still what it wants.
    fn keeps(&self, service: &Service) -> bool {
        let explicit = &service.cluster_ips;
        has_cluster_ip(service) && (explicit.is_empty() || explicit == self.cluster.held(&service.name))
    }

    fn assign_cluster_ips(&mut self, service: &Service, new: &mut Vec<IpAddr>, rejections: &mut Rejections) {
        let name = &service.name;
        let before = self.cluster.held(name).len(); // all or nothing: see `keeps`
        let assigned = match service.cluster_ips.as_slice() {
            [] => self.cluster.allocate(name).map(|_| ()),
            wanted => self.cluster.claim(name, wanted),
        };
        match assigned {
            Ok(()) if before == 0 => new.extend(self.cluster.held(name)),
            Ok(()) => {}
            Err(refused) => rejections.add_service(name, refused.to_string()),
        }
    }
}

impl Loopback {
    fn release(&mut self, name: &ServiceName) {
        match self {
            Loopback::Allocated(allocator) => {
                allocator.release(name);
            }
            Loopback::Fixed(_) => {}
        }
    }

    /// A Service that gets none serves all the same.
    fn assign(&mut self, service: &Service, rejections: &mut Rejections) {
        match self {
            Loopback::Allocated(allocator) => {
                if let Err(refused) = allocator.allocate(&service.name) {
                    rejections.add_service(&service.name, format!("no loopback VIP: {refused}"));
                }
            }
            Loopback::Fixed(_) => {}
        }
    }
}

fn has_cluster_ip(service: &Service) -> bool {
    service.kind != ServiceType::ExternalName && !service.headless
}

fn has_listeners(service: &Service) -> bool {
    !service.ports.is_empty()
}

/// What kubeadm gives a cluster's Services, and a range of the same kind of our own for IPv6.
const DEFAULT_RANGES: [IpNet; 2] = [
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(10, 96, 0, 0), 12)),
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(0xfd00, 0x10, 0x96, 0, 0, 0, 0, 0), 112)),
];

const LOOPBACK_RANGE: IpNet = IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(127, 66, 0, 0), 16));
