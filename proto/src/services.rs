//! The document at `/services`, version 1: what a sidecar knows and serves. The Wasm filter and `kubectl svc` live on it, so no
//! field leaves it or changes its meaning within a version; a field that has nothing to say is `null` or empty, never absent. Readers take
//! an absent one as saying nothing, because people write Services in this language too (`services` of [`crate::plugin`]).

use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::IpAddr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

mod read;

/// The version of the document that these types are.
pub const VERSION: u32 = 1;

/// The whole document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document<'a> {
    /// [`VERSION`].
    pub version: u32,
    /// In the order of namespace and name.
    #[serde(borrow)]
    pub services: Vec<Service<'a>>,
    /// Objects, or parts of objects, that do not serve.
    #[serde(default, borrow)]
    pub rejected: Vec<Rejected<'a>>,
}

/// One Service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Service<'a> {
    /// Its namespace.
    #[serde(borrow)]
    pub namespace: Cow<'a, str>,
    /// Its name.
    #[serde(borrow)]
    pub name: Cow<'a, str>,
    /// `ClusterIP`, `NodePort`, `LoadBalancer` or `ExternalName`.
    #[serde(rename = "type", default, borrow)]
    pub kind: Cow<'a, str>,
    /// Who told the sidecar, as `--discovery` names it.
    #[serde(default, borrow)]
    pub source: Cow<'a, str>,
    /// Its cluster IPs, allocated ones included.
    #[serde(rename = "clusterIPs", default)]
    pub cluster_ips: Vec<IpAddr>,
    /// `spec.externalIPs`, recognised or not.
    #[serde(rename = "externalIPs", default)]
    pub external_ips: Vec<IpAddr>,
    /// `status.loadBalancer.ingress`.
    #[serde(default, borrow)]
    pub ingress: Vec<Ingress<'a>>,
    /// Its address inside the pod.
    #[serde(default)]
    pub loopback_vip: Option<IpAddr>,
    /// Its ports without a listener at that address, because the application uses them itself or the sidecar may not listen there.
    #[serde(default)]
    pub skipped_ports: Vec<u16>,
    /// `spec.externalName`.
    #[serde(default, borrow, deserialize_with = "optional")]
    pub external_name: Option<Cow<'a, str>>,
    /// The load-balancing policy in force.
    #[serde(default, borrow)]
    pub policy: Cow<'a, str>,
    /// Whether clients stay with their endpoint.
    #[serde(default, borrow)]
    pub session_affinity: SessionAffinity<'a>,
    /// `Cluster` or `Local`.
    #[serde(default, borrow)]
    pub internal_traffic_policy: Cow<'a, str>,
    /// `spec.trafficDistribution`.
    #[serde(default, borrow, deserialize_with = "optional")]
    pub traffic_distribution: Option<Cow<'a, str>>,
    /// Those that the sidecar honours.
    #[serde(default, borrow)]
    pub annotations: Annotations<'a>,
    /// `spec.ports`, in its order.
    #[serde(default, borrow)]
    pub ports: Vec<Port<'a>>,
    /// The endpoints of all its ports, used from here or not, in no order to rely on.
    #[serde(default, borrow)]
    pub endpoints: Vec<Endpoint<'a>>,
}

/// One entry of `status.loadBalancer.ingress`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ingress<'a> {
    /// The balancer's address.
    #[serde(default)]
    pub ip: Option<IpAddr>,
    /// The balancer's name.
    #[serde(default, borrow, deserialize_with = "optional")]
    pub hostname: Option<Cow<'a, str>>,
    /// `VIP` or `Proxy`.
    #[serde(default, borrow)]
    pub ip_mode: Cow<'a, str>,
}

/// `spec.sessionAffinity`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionAffinity<'a> {
    /// `None` or `ClientIP`.
    #[serde(rename = "type", default, borrow)]
    pub kind: Cow<'a, str>,
    /// For how long, with `ClientIP`.
    #[serde(default)]
    pub timeout_seconds: Option<u64>,
}

/// One port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Port<'a> {
    /// Empty for a single, unnamed one.
    #[serde(default, borrow)]
    pub name: Cow<'a, str>,
    /// The port clients use.
    pub port: u16,
    /// The port on every node.
    #[serde(default)]
    pub node_port: Option<u16>,
    /// `TCP`, `UDP` or `SCTP`.
    #[serde(default, borrow)]
    pub protocol: Cow<'a, str>,
    /// `appProtocol` of the Service, else of its slices.
    #[serde(default, borrow, deserialize_with = "optional")]
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
    #[serde(default, borrow)]
    pub port_name: Cow<'a, str>,
    /// `conditions.ready`, or true where the Service publishes endpoints that are not ready.
    #[serde(default = "yes")]
    pub ready: bool,
    /// `conditions.serving`.
    #[serde(default = "yes")]
    pub serving: bool,
    /// `conditions.terminating`.
    #[serde(default)]
    pub terminating: bool,
    /// Whether it failed so often that it gets nothing for a while.
    #[serde(default)]
    pub ejected: bool,
    /// Its share beside the others.
    #[serde(default = "one")]
    pub weight: u16,
    /// Its node.
    #[serde(default, borrow, deserialize_with = "optional")]
    pub node: Option<Cow<'a, str>>,
    /// Its zone.
    #[serde(default, borrow, deserialize_with = "optional")]
    pub zone: Option<Cow<'a, str>>,
    /// Topology hints.
    #[serde(default, borrow)]
    pub hints: Option<Hints<'a>>,
    /// Its host name in DNS.
    #[serde(default, borrow, deserialize_with = "optional")]
    pub hostname: Option<Cow<'a, str>>,
}

/// `hints` of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hints<'a> {
    /// The zones whose clients it is for.
    #[serde(default, borrow)]
    pub zones: Vec<Cow<'a, str>>,
    /// The nodes whose clients it is for.
    #[serde(default, borrow)]
    pub nodes: Vec<Cow<'a, str>>,
}

/// Something that does not serve.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejected<'a> {
    /// The object as messages name it.
    #[serde(default, borrow)]
    pub object: Cow<'a, str>,
    /// Where it was read; empty when that is not known.
    #[serde(default, borrow)]
    pub file: Cow<'a, str>,
    /// What is wrong with it.
    #[serde(default, borrow)]
    pub reason: Cow<'a, str>,
}

/// Annotations by their keys. Of several with one key the last counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Annotations<'a>(pub Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl Serialize for Annotations<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Annotations<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Annotations<'a>, D::Error> {
        let read: BTreeMap<Borrowed<'a>, Borrowed<'a>> = BTreeMap::deserialize(deserializer)?;
        Ok(Annotations(read.into_iter().map(|(key, value)| (key.0, value.0)).collect()))
    }
}

/// A text that is borrowed where it can be, inside of an option: there serde would copy it.
fn optional<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Cow<'de, str>>, D::Error> {
    Ok(Option::<Borrowed<'de>>::deserialize(deserializer)?.map(|text| text.0))
}

#[derive(PartialEq, Eq, PartialOrd, Ord, Deserialize)]
struct Borrowed<'a>(#[serde(borrow)] Cow<'a, str>);

fn yes() -> bool {
    true
}

fn one() -> u16 {
    1
}

#[cfg(test)]
mod tests {
    use serde_json::from_str;

    use super::*;

    #[test]
    fn an_endpoint_of_which_little_is_said_is_an_ordinary_one() {
        let endpoint: Endpoint<'_> = from_str(r#"{"address": "10.0.0.1", "port": 80}"#).unwrap();
        assert!(endpoint.ready && endpoint.serving && !endpoint.terminating && !endpoint.ejected);
        assert_eq!(endpoint.weight, 1);
    }

    #[test]
    fn texts_are_borrowed_from_what_they_are_read_from() {
        let endpoint =
            r#"{"address": "10.0.0.1", "port": 80, "portName": "http", "node": "node-a", "zone": null}"#;
        let endpoint: Endpoint<'_> = from_str(endpoint).unwrap();
        assert!(matches!(endpoint.port_name, Cow::Borrowed("http")));
        assert!(matches!(endpoint.node, Some(Cow::Borrowed("node-a"))));
    }
}
