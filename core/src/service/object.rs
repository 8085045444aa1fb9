//! Service, Endpoints and EndpointSlice as the API spells them: the parts that a data plane reads, or that an API server would refuse.
//! Unknown fields are ignored, and `null` is as good as absent, as it is to the API server: in a list it is an empty item, in a map an
//! empty text.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use serde::Deserialize;

use super::decode::{integer, list, texts};

pub use super::decode::IntOrString;

/// `metadata` of any object.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// Required, but where `generate_name` is given.
    pub name: Option<String>,
    /// What the name begins with that an API server would choose.
    pub generate_name: Option<String>,
    /// Where the object lives.
    pub namespace: Option<String>,
    /// Labels.
    #[serde(default, deserialize_with = "texts")]
    pub labels: Option<BTreeMap<String, String>>,
    /// Annotations.
    #[serde(default, deserialize_with = "texts")]
    pub annotations: Option<BTreeMap<String, String>>,
    /// The objects that this one is deleted with.
    #[serde(default, deserialize_with = "list")]
    pub owner_references: Option<Vec<OwnerReference>>,
    /// What must be done before it is deleted.
    #[serde(default, deserialize_with = "list")]
    pub finalizers: Option<Vec<String>>,
}

/// One of `metadata.ownerReferences`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the API's own fields, which nothing here acts on")]
pub struct OwnerReference {
    pub api_version: Option<String>,
    pub kind: Option<String>,
    pub name: Option<String>,
    pub uid: Option<String>,
    pub controller: Option<bool>,
}

/// `v1` Service (S-01).
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Service {
    /// Its names.
    pub metadata: Option<Metadata>,
    /// What was asked for.
    pub spec: Option<ServiceSpec>,
    /// What a load balancer has made of it.
    pub status: Option<ServiceStatus>,
}

/// The `clusterIP` of a headless Service.
pub(crate) const NO_CLUSTER_IP: &str = "None";

/// `spec` of a Service.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the API's own fields, documented at the facts they become")]
pub struct ServiceSpec {
    #[serde(rename = "type")]
    pub kind: Option<String>,
    #[serde(rename = "clusterIP")]
    pub cluster_ip: Option<String>,
    #[serde(rename = "clusterIPs")]
    #[serde(default, deserialize_with = "list")]
    pub cluster_ips: Option<Vec<String>>,
    #[serde(default, deserialize_with = "list")]
    pub ip_families: Option<Vec<String>>,
    pub ip_family_policy: Option<String>,
    #[serde(rename = "externalIPs")]
    #[serde(default, deserialize_with = "list")]
    pub external_ips: Option<Vec<String>>,
    pub external_name: Option<String>,
    pub session_affinity: Option<String>,
    pub session_affinity_config: Option<SessionAffinityConfig>,
    pub internal_traffic_policy: Option<String>,
    pub external_traffic_policy: Option<String>,
    #[serde(default, deserialize_with = "integer")]
    pub health_check_node_port: Option<i32>,
    #[serde(default, deserialize_with = "list")]
    pub load_balancer_source_ranges: Option<Vec<String>>,
    pub load_balancer_class: Option<String>,
    #[serde(rename = "loadBalancerIP")]
    pub load_balancer_ip: Option<String>,
    pub allocate_load_balancer_node_ports: Option<bool>,
    #[serde(default, deserialize_with = "texts")]
    pub selector: Option<BTreeMap<String, String>>,
    pub traffic_distribution: Option<String>,
    pub publish_not_ready_addresses: Option<bool>,
    #[serde(default, deserialize_with = "list")]
    pub ports: Option<Vec<ServicePort>>,
}

/// `spec.sessionAffinityConfig` (S-10).
#[derive(Clone, Debug, Default, Deserialize)]
pub struct SessionAffinityConfig {
    /// The only kind there is.
    #[serde(rename = "clientIP")]
    pub client_ip: Option<ClientIpConfig>,
}

/// `spec.sessionAffinityConfig.clientIP`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientIpConfig {
    /// Seconds.
    #[serde(default, deserialize_with = "integer")]
    pub timeout_seconds: Option<i32>,
}

/// One of `spec.ports`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the API's own fields, documented at the facts they become")]
pub struct ServicePort {
    pub name: Option<String>,
    #[serde(default, deserialize_with = "integer")]
    pub port: Option<i32>,
    pub protocol: Option<String>,
    pub target_port: Option<IntOrString>,
    #[serde(default, deserialize_with = "integer")]
    pub node_port: Option<i32>,
    pub app_protocol: Option<String>,
}

/// `status` of a Service.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceStatus {
    /// The balancer's addresses.
    pub load_balancer: Option<LoadBalancerStatus>,
}

/// `status.loadBalancer`.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct LoadBalancerStatus {
    /// One entry for each address.
    #[serde(default, deserialize_with = "list")]
    pub ingress: Option<Vec<LoadBalancerIngress>>,
}

/// One of `status.loadBalancer.ingress`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the API's own fields, documented at the facts they become")]
pub struct LoadBalancerIngress {
    pub ip: Option<String>,
    pub hostname: Option<String>,
    pub ip_mode: Option<String>,
}

/// `v1` Endpoints (S-04).
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Endpoints {
    /// Its names; that of the Service it belongs to is the same.
    pub metadata: Option<Metadata>,
    /// Each the product of its addresses and its ports.
    #[serde(default, deserialize_with = "list")]
    pub subsets: Option<Vec<Subset>>,
}

/// One of `subsets`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the API's own fields, documented at the facts they become")]
pub struct Subset {
    #[serde(default, deserialize_with = "list")]
    pub addresses: Option<Vec<SubsetAddress>>,
    #[serde(default, deserialize_with = "list")]
    pub not_ready_addresses: Option<Vec<SubsetAddress>>,
    #[serde(default, deserialize_with = "list")]
    pub ports: Option<Vec<EndpointPort>>,
}

/// One address of a subset.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the API's own fields, documented at the facts they become")]
pub struct SubsetAddress {
    pub ip: Option<String>,
    pub hostname: Option<String>,
    pub node_name: Option<String>,
    pub target_ref: Option<TargetRef>,
}

/// `discovery.k8s.io` EndpointSlice, `v1` and `v1beta1` (S-05).
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the API's own fields, documented at the facts they become")]
pub struct EndpointSlice {
    pub metadata: Option<Metadata>,
    pub address_type: Option<String>,
    #[serde(default, deserialize_with = "list")]
    pub endpoints: Option<Vec<Endpoint>>,
    #[serde(default, deserialize_with = "list")]
    pub ports: Option<Vec<EndpointPort>>,
}

/// One of `endpoints`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the API's own fields, documented at the facts they become")]
pub struct Endpoint {
    #[serde(default, deserialize_with = "list")]
    pub addresses: Option<Vec<String>>,
    pub conditions: Option<Conditions>,
    pub hostname: Option<String>,
    pub node_name: Option<String>,
    pub zone: Option<String>,
    /// What `v1beta1` has in place of `zone`, and before 1.20 of `nodeName`.
    #[serde(default, deserialize_with = "texts")]
    pub topology: Option<BTreeMap<String, String>>,
    /// The same as `v1` keeps it.
    #[serde(default, deserialize_with = "texts")]
    pub deprecated_topology: Option<BTreeMap<String, String>>,
    pub hints: Option<Hints>,
    pub target_ref: Option<TargetRef>,
}

/// `conditions`: each may be nil.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[expect(missing_docs, reason = "the API's own fields, documented at the facts they become")]
pub struct Conditions {
    pub ready: Option<bool>,
    pub serving: Option<bool>,
    pub terminating: Option<bool>,
}

/// `hints`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the API's own fields, documented at the facts they become")]
pub struct Hints {
    #[serde(default, deserialize_with = "list")]
    pub for_zones: Option<Vec<Hint>>,
    #[serde(default, deserialize_with = "list")]
    pub for_nodes: Option<Vec<Hint>>,
}

/// One of `hints.forZones` or `hints.forNodes`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Hint {
    /// The zone or node.
    pub name: Option<String>,
}

/// `targetRef`: what is behind an address.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct TargetRef {
    /// `Pod`, as a rule.
    pub kind: Option<String>,
    /// Its name.
    pub name: Option<String>,
}

/// One port of an EndpointSlice or of a subset.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the API's own fields, documented at the facts they become")]
pub struct EndpointPort {
    pub name: Option<String>,
    #[serde(default, deserialize_with = "integer")]
    pub port: Option<i32>,
    pub protocol: Option<String>,
    pub app_protocol: Option<String>,
}
