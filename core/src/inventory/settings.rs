//! What the operator decides about the inventory.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

use crate::address::ServiceName;
use crate::endpoints::Here;
use crate::hash::HashMap;
use crate::table::Source;

/// Decided once, when the process starts.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The sources, best first: the first that knows a Service decides.
    pub sources: Vec<Source>,
    /// The pod's own namespace, in which short names are looked up.
    pub namespace: Arc<str>,
    /// The domain behind `svc` in full names, without dots at its ends.
    pub cluster_domain: Arc<str>,
    /// Where cluster IPs are allocated, one range for each family (S-28); when empty, `10.96.0.0/12` and `fd00:10:96::/112`.
    pub service_cidrs: Vec<IpNet>,
    /// Whether names may lead to loopback addresses, for trials on one machine.
    pub allow_loopback_endpoints: bool,
    /// Whether `externalIPs` of other namespaces are destinations too. Anybody who may create a Service could then take
    /// over an address (CVE-2020-8554).
    pub external_ips_all: bool,
    /// Whether Services have an address inside the pod.
    pub loopback_vips: LoopbackVips,
    /// Ports that the application uses itself, in order, each once.
    pub app_ports: Vec<u16>,
    /// The first port that this process may listen at; 0 where it may at every one.
    pub ports_from: u16,
    /// Where this pod runs, as far as that is known at the start.
    pub here: Here,
    /// The addresses of nodes, at which node ports are recognised.
    pub node_addresses: Vec<IpAddr>,
}

impl Default for Settings {
    /// No source, the namespace `default`, the domain `cluster.local`, and everything else empty or off.
    fn default() -> Settings {
        Settings {
            sources: Vec::new(),
            namespace: "default".into(),
            cluster_domain: "cluster.local".into(),
            service_cidrs: Vec::new(),
            allow_loopback_endpoints: false,
            external_ips_all: false,
            loopback_vips: LoopbackVips::Off,
            app_ports: Vec::new(),
            ports_from: 0,
            here: Here::default(),
            node_addresses: Vec::new(),
        }
    }
}

/// `--loopback-vips`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LoopbackVips {
    /// None.
    #[default]
    Off,
    /// One of `127.66.0.0/16` for every Service that has a port, found as cluster IPs are (S-28).
    On,
    /// These, which something else (the injector) has given out already, and no others.
    Fixed(HashMap<ServiceName, Ipv4Addr>),
}
