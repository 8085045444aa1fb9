//! The document at `/services`, version 1: what a sidecar knows and serves. The Wasm filter and `kubectl svc` live on it, so no
//! field leaves it or changes its meaning within a version; a field that has nothing to say is `null` or empty, never absent.

use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::IpAddr;

use serde::{Deserialize, Serialize};

/// The version of the document that these types are.
pub const VERSION: u32 = 1;

/// The whole document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document<'a> {
    /// [`VERSION`].
    pub version: u32,
    /// In the order of namespace and name.
    pub services: Vec<Service<'a>>,
    /// Objects, or parts of objects, that do not serve.
    pub rejected: Vec<Rejected<'a>>,
}

/// One Service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Service<'a> {
    /// Its namespace.
    pub namespace: Cow<'a, str>,
    /// Its name.
    pub name: Cow<'a, str>,
    /// `ClusterIP`, `NodePort`, `LoadBalancer` or `ExternalName`.
    #[serde(rename = "type")]
    pub kind: Cow<'a, str>,
    /// Who told the sidecar, as `--discovery` names it.
    pub source: Cow<'a, str>,
    /// Its cluster IPs, allocated ones included.
    #[serde(rename = "clusterIPs")]
    pub cluster_ips: Vec<IpAddr>,
    /// `spec.externalIPs`, recognised or not.
    #[serde(rename = "externalIPs")]
    pub external_ips: Vec<IpAddr>,
    /// `status.loadBalancer.ingress`.
    pub ingress: Vec<Ingress<'a>>,
    /// Its address inside the pod.
    pub loopback_vip: Option<IpAddr>,
    /// Its ports that are not served at that address, because the application uses them itself.
    pub skipped_ports: Vec<u16>,
    /// `spec.externalName`.
    pub external_name: Option<Cow<'a, str>>,
    /// The load-balancing policy in force.
    pub policy: Cow<'a, str>,
    /// Whether clients stay with their endpoint.
    pub session_affinity: SessionAffinity<'a>,
    /// `Cluster` or `Local`.
    pub internal_traffic_policy: Cow<'a, str>,
    /// `spec.trafficDistribution`.
    pub traffic_distribution: Option<Cow<'a, str>>,
    /// Those that the sidecar honours.
    pub annotations: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
    /// `spec.ports`, in its order.
    pub ports: Vec<Port<'a>>,
    /// The endpoints of all its ports, used from here or not, in no order to rely on.
    pub endpoints: Vec<Endpoint<'a>>,
}

/// One entry of `status.loadBalancer.ingress`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ingress<'a> {
    /// The balancer's address.
    pub ip: Option<IpAddr>,
    /// The balancer's name.
    pub hostname: Option<Cow<'a, str>>,
    /// `VIP` or `Proxy`.
    pub ip_mode: Cow<'a, str>,
}

/// `spec.sessionAffinity`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionAffinity<'a> {
    /// `None` or `ClientIP`.
    #[serde(rename = "type")]
    pub kind: Cow<'a, str>,
    /// For how long, with `ClientIP`.
    pub timeout_seconds: Option<u64>,
}

/// One port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Port<'a> {
    /// Empty for a single, unnamed one.
    pub name: Cow<'a, str>,
    /// The port clients use.
    pub port: u16,
    /// The port on every node.
    pub node_port: Option<u16>,
    /// `TCP`, `UDP` or `SCTP`.
    pub protocol: Cow<'a, str>,
    /// `appProtocol` of the Service, else of its slices.
    pub app_protocol: Option<Cow<'a, str>>,
}

/// One endpoint of one port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint<'a> {
    /// Its address.
    pub address: IpAddr,
    /// The port it listens on.
    pub port: u16,
    /// The name of the Service's port.
    pub port_name: Cow<'a, str>,
    /// `conditions.ready`, or true where the Service publishes endpoints that are not ready.
    pub ready: bool,
    /// `conditions.serving`.
    pub serving: bool,
    /// `conditions.terminating`.
    pub terminating: bool,
    /// Whether it failed so often that it gets nothing for a while.
    pub ejected: bool,
    /// Its share beside the others.
    pub weight: u16,
    /// Its node.
    pub node: Option<Cow<'a, str>>,
    /// Its zone.
    pub zone: Option<Cow<'a, str>>,
    /// Topology hints.
    pub hints: Option<Hints<'a>>,
    /// Its host name in DNS.
    pub hostname: Option<Cow<'a, str>>,
}

/// `hints` of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hints<'a> {
    /// The zones whose clients it is for.
    pub zones: Vec<Cow<'a, str>>,
    /// The nodes whose clients it is for.
    pub nodes: Vec<Cow<'a, str>>,
}

/// Something that does not serve.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejected<'a> {
    /// The object as messages name it.
    pub object: Cow<'a, str>,
    /// Where it was read; empty when that is not known.
    pub file: Cow<'a, str>,
    /// What is wrong with it.
    pub reason: Cow<'a, str>,
}
