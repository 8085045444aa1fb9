//! Services that only DNS knows: which one a host is, and what is said of it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use svc_core::address::ServiceName;
use svc_core::dns::answer::Record;
use svc_core::dns::names::{service_of, split_service};
use svc_core::inventory::Change;
use svc_core::service::{Port, Service, ServiceType};

use super::cache_entry::CacheEntry;
use crate::config::Config;
use crate::shares::Shares;

/// What tells a Service's name from another.
#[derive(Clone, Debug)]
pub(crate) struct Cluster {
    pub(crate) namespace: Arc<str>,
    pub(crate) domain: Arc<str>,
    /// Where cluster IPs lie, if the operator has said.
    pub(crate) service_cidrs: Vec<IpNet>,
}

impl Cluster {
    pub(crate) fn of(config: &Config) -> Cluster {
        Cluster {
            namespace: config.discovery.namespace.clone(),
            domain: config.discovery.cluster_domain.clone(),
            service_cidrs: config.discovery.service_cidrs.clone(),
        }
    }

    /// The Service that `host` is, given that DNS knows it as `name`: one of the cluster where the host is a form of its name and the
    /// records are its own, else one of no namespace that goes by the host.
    pub(super) fn identify(&self, host: &str, name: &str, known: &CacheEntry) -> ServiceName {
        let host = host.strip_suffix('.').unwrap_or(host);
        let called = split_service(host, &self.namespace, &self.domain);
        let service = service_of(name, &self.domain)
            .filter(|service| !known.is_alias() && called == Some((&*service.namespace, &*service.name)));
        service.unwrap_or_else(|| ServiceName::new("", host))
    }

    /// The one address of each family that a Service with a virtual IP has; nothing where the records are those of pods (S-14).
    fn virtual_ips(&self, records: &[Record]) -> Vec<IpAddr> {
        let family = |v4: bool| records.iter().filter(move |record| record.address.is_ipv4() == v4);
        let may_be = |record: &Record| {
            self.service_cidrs.is_empty()
                || self.service_cidrs.iter().any(|cidr| cidr.contains(&record.address))
        };
        match family(true).count() <= 1 && family(false).count() <= 1 && records.iter().all(may_be) {
            true => records.iter().map(|record| record.address).collect(),
            false => Vec::new(),
        }
    }
}

/// Services that DNS has told of, at the ports that somebody wants: DNS does not tell which there are.
#[derive(Debug)]
pub(super) struct Catalog {
    known: BTreeMap<ServiceName, Served>,
    of_name: BTreeMap<Arc<str>, BTreeSet<ServiceName>>,
    ports: Shares<(ServiceName, u16)>,
    /// Those that the inventory has not been told of as they are.
    changed: BTreeSet<ServiceName>,
}

#[derive(Debug)]
struct Served {
    /// Where its records are.
    name: Arc<str>,
    ports: BTreeSet<u16>,
    /// What the inventory has been told.
    told: Option<Arc<Service>>,
}

impl Catalog {
    pub(super) fn new() -> Catalog {
        Catalog {
            known: BTreeMap::new(),
            of_name: BTreeMap::new(),
            ports: Shares::new(PORTS_MAX),
            changed: BTreeSet::new(),
        }
    }

    /// Whether the Service is served by this name.
    pub(super) fn serves(&self, service: &ServiceName, name: &Arc<str>) -> bool {
        self.known.get(service).is_some_and(|served| served.name == *name)
    }

    /// Serves it by this name, if by none yet, at a port that this client wants. Where there are too many ports, another goes for it.
    pub(super) fn open(&mut self, service: &ServiceName, name: &Arc<str>, port: u16, client: IpAddr) {
        if let Some((service, port)) = self.ports.admit((service.clone(), port), client) {
            self.close(&service, port);
        }
        let new = || Served { name: name.clone(), ports: BTreeSet::new(), told: None };
        let served = self.known.entry(service.clone()).or_insert_with(new);
        self.of_name.entry(served.name.clone()).or_default().insert(service.clone());
        if !served.ports.insert(port) {
            return;
        }
        self.changed.insert(service.clone());
        if served.ports.len() > PORTS_OF_ONE_MAX {
            let ports = served.ports.iter().filter(|other| **other != port);
            let oldest = ports.min_by_key(|port| self.ports.used(&(service.clone(), **port))).copied();
            if let Some(oldest) = oldest {
                self.ports.remove(&(service.clone(), oldest));
                self.close(service, oldest);
            }
        }
    }

    /// This port has connections to what the name leads to.
    pub(super) fn touch(&mut self, name: &Arc<str>, port: u16) {
        for service in self.of_name.get(name).into_iter().flatten() {
            self.ports.touch(&(service.clone(), port));
        }
    }

    /// What the inventory is to be told, given the names that have changed and what is found under each.
    pub(super) fn changes(
        &mut self,
        names: &BTreeSet<Arc<str>>,
        cluster: &Cluster,
        found: impl Fn(&str) -> Option<Vec<Record>>,
    ) -> Vec<Change> {
        let mut services = std::mem::take(&mut self.changed);
        let of_names = names.iter().filter_map(|name| self.of_name.get(name)).flatten();
        services.extend(of_names.cloned());
        let mut changes = Vec::new();
        for service in services {
            let Some(served) = self.known.get_mut(&service) else {
                changes.push(Change::Service(service, None)); // its last port has gone
                continue;
            };
            match found(&served.name) {
                None => {
                    self.forget(&service);
                    changes.push(Change::Service(service, None));
                }
                Some(records) => {
                    let described = served.describe(&service, &records, cluster);
                    if served.told.as_deref() != Some(&described) {
                        let described = Arc::new(described);
                        served.told = Some(described.clone());
                        changes.push(Change::Service(service, Some(described)));
                    }
                }
            }
        }
        changes
    }

    fn close(&mut self, service: &ServiceName, port: u16) {
        let Some(served) = self.known.get_mut(service) else { return };
        served.ports.remove(&port);
        self.changed.insert(service.clone());
        if served.ports.is_empty() {
            self.forget(service);
        }
    }

    fn forget(&mut self, service: &ServiceName) {
        let Some(served) = self.known.remove(service) else { return };
        for port in served.ports {
            self.ports.remove(&(service.clone(), port));
        }
        if let Some(services) = self.of_name.get_mut(&served.name) {
            services.remove(service);
            if services.is_empty() {
                self.of_name.remove(&served.name);
            }
        }
    }
}

impl Served {
    /// What there is to say of it.
    fn describe(&self, service: &ServiceName, records: &[Record], cluster: &Cluster) -> Service {
        let elsewhere = service.namespace.is_empty();
        let cluster_ips = if elsewhere { Vec::new() } else { cluster.virtual_ips(records) };
        let ports = self.ports.iter().map(|&port| Port::unnamed(port)).collect();
        Service {
            kind: if elsewhere { ServiceType::ExternalName } else { ServiceType::ClusterIp },
            headless: !elsewhere && cluster_ips.is_empty(),
            cluster_ips,
            external_name: elsewhere.then(|| self.name.clone()),
            ..Service::plain(service.clone(), ports)
        }
    }
}

/// Ports of all that only DNS knows: clients choose them. Each is a target of the table, with what a worker keeps of it:
/// 1024 × 3.5 KiB = 3.5 MiB. A further one goes in the place of the one that whoever has the most has used least recently.
const PORTS_MAX: usize = 1024;

/// Ports of one Service, all of whose targets are made anew where it gets another: so many times as many as a client asks for, whatever it
/// asks for. More than twice what the largest Services in the field have.
const PORTS_OF_ONE_MAX: usize = 128;
