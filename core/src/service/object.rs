//! Service, Endpoints and EndpointSlice as the API spells them: the parts a data plane reads. Unknown fields are ignored, and
//! `null` is as good as absent, as it is to the API server.

use alloc::string::String;
use alloc::vec::Vec;

use serde::Deserialize;

use crate::sorted::SortedMap;

/// `metadata` of any object.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Metadata {
    /// Required.
    pub name: Option<String>,
    /// Where the object lives.
    pub namespace: Option<String>,
    /// Labels.
    pub labels: Option<SortedMap<String, String>>,
    /// Annotations.
    pub annotations: Option<SortedMap<String, String>>,
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
    pub cluster_ips: Option<Vec<String>>,
    pub ip_families: Option<Vec<String>>,
    #[serde(rename = "externalIPs")]
    pub external_ips: Option<Vec<String>>,
    pub external_name: Option<String>,
    pub session_affinity: Option<String>,
    pub session_affinity_config: Option<SessionAffinityConfig>,
    pub internal_traffic_policy: Option<String>,
    pub traffic_distribution: Option<String>,
    pub publish_not_ready_addresses: Option<bool>,
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
    pub timeout_seconds: Option<i32>,
}

/// One of `spec.ports`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the API's own fields, documented at the facts they become")]
pub struct ServicePort {
    pub name: Option<String>,
    pub port: Option<i32>,
    pub protocol: Option<String>,
    pub target_port: Option<IntOrString>,
    pub node_port: Option<i32>,
    pub app_protocol: Option<String>,
}

/// The API's `IntOrString`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum IntOrString {
    /// A number.
    Int(i32),
    /// Anything else.
    String(String),
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
    pub subsets: Option<Vec<Subset>>,
}

/// One of `subsets`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the API's own fields, documented at the facts they become")]
pub struct Subset {
    pub addresses: Option<Vec<SubsetAddress>>,
    pub not_ready_addresses: Option<Vec<SubsetAddress>>,
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
    pub endpoints: Option<Vec<Endpoint>>,
    pub ports: Option<Vec<EndpointPort>>,
}

/// One of `endpoints`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the API's own fields, documented at the facts they become")]
pub struct Endpoint {
    pub addresses: Option<Vec<String>>,
    pub conditions: Option<Conditions>,
    pub hostname: Option<String>,
    pub node_name: Option<String>,
    pub zone: Option<String>,
    /// What `v1beta1` has in place of `zone`, and before 1.20 of `nodeName`.
    pub topology: Option<SortedMap<String, String>>,
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
    pub for_zones: Option<Vec<Hint>>,
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
    pub port: Option<i32>,
    pub protocol: Option<String>,
    pub app_protocol: Option<String>,
}
