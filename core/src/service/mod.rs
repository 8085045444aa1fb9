//! Facts: what one Service, Endpoints or EndpointSlice object says, validated and free of the API's spelling.
//!
//! Every discovery source ends here: [`Service`] and [`Slice`] are the only things that [`crate::inventory`] knows.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use ipnet::IpNet;

use crate::address::{ServiceName, Transport};

pub mod object;

mod slice;
mod subsets;
mod validate;

mod balancer;
mod balancing;
mod cluster_ips;
mod ejection;
mod handling;
mod health_check;
mod metadata;
mod paths;
mod ports;
mod status;
mod weights;

mod addresses;
mod decode;
mod grammar;
mod intern;
mod invalid;
mod labels;

#[cfg(test)]
mod admission;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

pub use balancing::{Policy, Unit};
pub use ejection::EjectPolicy;
pub(crate) use grammar::special_ip;
pub use handling::{Handling, Scope, Tls};
pub use health_check::{HealthCheck, HealthProbe};
pub use intern::Interner;
pub use invalid::{FieldError, Invalid, Warning};
pub use metadata::check_metadata;
pub use slice::read_endpoint_slice;
pub use subsets::read_endpoints;
pub use validate::read_service;
pub(crate) use validate::read_service_in;
pub(crate) use weights::Weights;

/// What an operator decides about objects.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Where chosen cluster IPs must lie, one range for each family or more; empty: anywhere (S-11).
    pub service_cidrs: Vec<IpNet>,
    /// Admits endpoints in 127.0.0.0/8 and at ::1, for local trials (S-04).
    pub allow_loopback_endpoints: bool,
    /// Where objects live that do not say.
    pub default_namespace: Arc<str>,
}

impl Default for Rules {
    /// No ranges, no loopback, the namespace `default`.
    fn default() -> Rules {
        Rules {
            service_cidrs: Vec::new(),
            allow_loopback_endpoints: false,
            default_namespace: "default".into(),
        }
    }
}

/// What an object says, and what its author should know although it is admitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Valid<T> {
    /// The facts.
    pub fact: T,
    /// In the order of the checks.
    pub warnings: Vec<Warning>,
}

/// One Service (S-01).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its namespace and name.
    pub name: ServiceName,
    /// `spec.type`.
    pub kind: ServiceType,
    /// `spec.clusterIPs`; empty when headless, or when one is still to be allocated (see `headless`).
    pub cluster_ips: Vec<IpAddr>,
    /// `clusterIP: None` (S-14).
    pub headless: bool,
    /// `spec.externalIPs` (S-27).
    pub external_ips: Vec<IpAddr>,
    /// `status.loadBalancer.ingress`.
    pub ingress: Vec<IngressPoint>,
    /// `spec.externalName`, lower case, without a trailing dot (S-26).
    pub external_name: Option<Arc<str>>,
    /// The timeout of `sessionAffinity: ClientIP`; `None` when there is no affinity (S-10).
    pub affinity: Option<Duration>,
    /// `internalTrafficPolicy: Local`.
    pub internal_traffic_local: bool,
    /// `spec.trafficDistribution` as written.
    pub traffic_distribution: Option<Arc<str>>,
    /// `spec.publishNotReadyAddresses`: readiness is ignored.
    pub publish_not_ready: bool,
    /// The annotations that a data plane honours, as written; unknown ones are dropped when the object is read.
    pub annotations: BTreeMap<Arc<str>, Arc<str>>,
    /// What the annotations ask for.
    pub handling: Handling,
    /// `spec.ports`, in the object's order.
    pub ports: Vec<Port>,
}

impl Service {
    /// A ClusterIP Service of which nothing but its ports is known.
    pub fn plain(name: ServiceName, ports: Vec<Port>) -> Service {
        Service {
            name,
            kind: ServiceType::ClusterIp,
            cluster_ips: Vec::new(),
            headless: false,
            external_ips: Vec::new(),
            ingress: Vec::new(),
            external_name: None,
            affinity: None,
            internal_traffic_local: false,
            traffic_distribution: None,
            publish_not_ready: false,
            annotations: BTreeMap::new(),
            handling: Handling::default(),
            ports,
        }
    }
}

/// `spec.type` (S-15).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ServiceType {
    /// The default.
    #[default]
    ClusterIp,
    /// Reached on a port of every node too.
    NodePort,
    /// Reached through a load balancer too.
    LoadBalancer,
    /// A name elsewhere.
    ExternalName,
}

impl ServiceType {
    /// The name the API uses.
    pub fn as_str(self) -> &'static str {
        match self {
            ServiceType::ClusterIp => "ClusterIP",
            ServiceType::NodePort => "NodePort",
            ServiceType::LoadBalancer => "LoadBalancer",
            ServiceType::ExternalName => "ExternalName",
        }
    }
}

/// One entry of `spec.ports`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Empty when the Service has a single, unnamed port (S-03).
    pub name: Arc<str>,
    /// The port clients use.
    pub port: u16,
    /// TCP, UDP or SCTP.
    pub transport: Transport,
    /// `targetPort`, `port` when the object does not say.
    pub target: TargetPort,
    /// `nodePort`, where there is one.
    pub node_port: Option<u16>,
    /// `appProtocol` (S-06), as written.
    pub app_protocol: Option<Arc<str>>,
}

impl Port {
    /// A TCP port of which nothing but its number is known.
    pub fn unnamed(port: u16) -> Port {
        Port {
            name: Arc::default(),
            port,
            transport: Transport::Tcp,
            target: TargetPort::Number(port),
            node_port: None,
            app_protocol: None,
        }
    }
}

/// `targetPort`: a number, or the name of a container port that each slice resolves (S-01).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetPort {
    /// The same number on every pod.
    Number(u16),
    /// Each pod's own number under this name.
    Name(Arc<str>),
}

/// One entry of `status.loadBalancer.ingress`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngressPoint {
    /// The address, if the balancer has one.
    pub ip: Option<IpAddr>,
    /// The name, if it has one.
    pub hostname: Option<Arc<str>>,
    /// `ipMode: Proxy`: the balancer must be passed through, so the address is not recognised as the Service's own.
    pub proxied: bool,
}

/// One EndpointSlice, or one subset of an Endpoints object (S-04, S-05).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice {
    /// The object's own name; for an Endpoints subset the Service's name.
    pub name: Arc<str>,
    /// The Service it belongs to: the label `kubernetes.io/service-name`, or the name of the Endpoints object.
    pub service: ServiceName,
    /// Whether it came from an Endpoints object; slices win over these.
    pub from_endpoints: bool,
    /// `svcmesh.dev/weights` of this object, as written.
    pub weights: Option<Arc<str>>,
    /// Its ports.
    pub ports: Vec<SlicePort>,
    /// Its endpoints; addresses of one family only.
    pub endpoints: Vec<SliceEndpoint>,
}

/// One port of a slice. Ports without a number (`port: null`, or 0) are dropped when the object is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlicePort {
    /// The Service port's name this belongs to; empty for the unnamed one.
    pub name: Arc<str>,
    /// The number on the pods.
    pub port: u16,
    /// TCP, UDP or SCTP.
    pub transport: Transport,
    /// `appProtocol`, as written.
    pub app_protocol: Option<Arc<str>>,
}

/// One endpoint of a slice. Nil conditions have been read as the API defines them: ready and serving true, terminating
/// false.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SliceEndpoint {
    /// Its address: the first of `addresses`, which are fungible.
    pub address: IpAddr,
    /// `conditions.ready`.
    pub ready: bool,
    /// `conditions.serving`.
    pub serving: bool,
    /// `conditions.terminating`.
    pub terminating: bool,
    /// Its share beside the others, where the source tells each endpoint's; objects have annotations for that.
    pub weight: Option<u16>,
    /// `hostname`.
    pub hostname: Option<Arc<str>>,
    /// Where it runs; `None` when the object does not say.
    pub place: Option<Arc<Locality>>,
    /// The pod's name (`targetRef`), by which an annotation may give it a weight, and by which one pod that moves between
    /// slices is told from two pods with one address. Nobody shares it.
    pub pod: Option<Box<str>>,
}

/// Where an endpoint runs, and whom it is meant for. One handle to all of it: a million endpoints are in a few hundred places, and
/// three handles each, in the facts and in the table, would be 80 MB.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Locality {
    /// `nodeName`.
    pub node: Option<Arc<str>>,
    /// `zone`.
    pub zone: Option<Arc<str>>,
    /// `hints`; empty when the object has none.
    pub hints: TopologyHints,
}

/// `hints` of an endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TopologyHints {
    /// `forZones[].name`.
    pub zones: Vec<Arc<str>>,
    /// `forNodes[].name`.
    pub nodes: Vec<Arc<str>>,
}
