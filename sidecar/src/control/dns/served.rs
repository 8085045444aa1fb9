//! Services that only DNS knows: which one a host is, and what is said of it.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use svc_core::address::ServiceName;
use svc_core::discovery::answer::Record;
use svc_core::discovery::names::{service_of, split_service};
use svc_core::service::{Kind, Port, Service};

use super::known::Known;
use crate::config::Config;

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
    pub(super) fn identify(&self, host: &str, name: &str, known: &Known) -> ServiceName {
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

/// A Service that DNS has told of.
#[derive(Debug)]
pub(super) struct Served {
    /// Where its records are.
    pub(super) name: Arc<str>,
    /// The ports that somebody wants: DNS does not tell which there are.
    pub(super) ports: BTreeSet<u16>,
    /// What the inventory has been told.
    pub(super) told: Option<Service>,
    /// It has ports that the inventory has not been told of.
    pub(super) grown: bool,
}

impl Served {
    pub(super) fn new(name: Arc<str>) -> Served {
        Served { name, ports: BTreeSet::new(), told: None, grown: false }
    }

    /// Adds a port; whether there was room for it.
    pub(super) fn open(&mut self, port: u16) -> bool {
        if self.ports.contains(&port) {
            return true;
        }
        self.grown = self.ports.len() < PORTS_MAX && self.ports.insert(port);
        self.grown
    }

    /// Notes what the inventory is about to be told; whether that is news.
    pub(super) fn tell(&mut self, described: &Service) -> bool {
        self.grown = false;
        let news = self.told.as_ref() != Some(described);
        if news {
            self.told = Some(described.clone());
        }
        news
    }

    /// What there is to say of it.
    pub(super) fn describe(&self, service: &ServiceName, records: &[Record], cluster: &Cluster) -> Service {
        let elsewhere = service.namespace.is_empty();
        let cluster_ips = if elsewhere { Vec::new() } else { cluster.virtual_ips(records) };
        let ports = self.ports.iter().map(|&port| Port::unnamed(port)).collect();
        Service {
            kind: if elsewhere { Kind::ExternalName } else { Kind::ClusterIp },
            headless: !elsewhere && cluster_ips.is_empty(),
            cluster_ips,
            external_name: elsewhere.then(|| self.name.clone()),
            ..Service::plain(service.clone(), ports)
        }
    }
}

/// Ports of one Service: clients choose them, so that somebody who tries all 65,535 must not fill the table. More than twice what the
/// largest Services in the field have.
const PORTS_MAX: usize = 128;
