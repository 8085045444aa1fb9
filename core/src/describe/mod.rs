//! [`Table`] → the document at `/services`.

use alloc::borrow::Cow;
use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;

use serde::ser::{Serialize, SerializeStruct, Serializer};
use svc_proto::services as document;

use crate::address::ServiceName;
use crate::endpoints::{Endpoint, EndpointId};
use crate::inventory::Rejection;
use crate::service::{IngressPoint, Policy, Service, TopologyHints};
use crate::table::{Entry, Table, Target};

/// The document about the Services that `filter` lets through, and all rejections. `ejected` are out because they fail, by their
/// requests or by a check.
pub fn describe<'a>(
    table: &'a Table,
    rejections: impl IntoIterator<Item = &'a Rejection>,
    filter: ServiceFilter<'_>,
    ejected: &'a BTreeSet<EndpointId>,
) -> Described<'a> {
    let entries = table.entries().map(|entry| &**entry);
    let mut entries: Vec<&Entry> = entries.filter(|entry| filter.admits(&entry.service.name)).collect();
    entries.sort_by(|a, b| a.service.name.cmp(&b.service.name));
    Described { entries, ejected, rejected: rejections.into_iter().map(describe_rejection).collect() }
}

/// Which Services a document is about.
#[derive(Clone, Copy, Debug, Default)]
pub struct ServiceFilter<'a> {
    /// Those of this namespace only.
    pub namespace: Option<&'a str>,
    /// Those of this name only.
    pub name: Option<&'a str>,
}

impl ServiceFilter<'_> {
    fn admits(&self, name: &ServiceName) -> bool {
        self.namespace.is_none_or(|namespace| namespace == &*name.namespace)
            && self.name.is_none_or(|wanted| wanted == &*name.name)
    }
}

/// Serializes as a [`document::Document`], one Service after the other: 1,000,000 endpoints at once would be 240 MB, more than
/// a sidecar may use.
#[derive(Clone, Debug)]
pub struct Described<'a> {
    entries: Vec<&'a Entry>,
    ejected: &'a BTreeSet<EndpointId>,
    rejected: Vec<document::Rejected<'a>>,
}

impl Serialize for Described<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut document = serializer.serialize_struct("Document", 3)?;
        document.serialize_field("version", &document::VERSION)?;
        document.serialize_field("services", &Each(&self.entries, self.ejected))?;
        document.serialize_field("rejected", &self.rejected)?;
        document.end()
    }
}

struct Each<'a>(&'a [&'a Entry], &'a BTreeSet<EndpointId>);

impl Serialize for Each<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|entry| describe_service(entry, self.1)))
    }
}

/// What the document says about one Service.
pub fn describe_service<'a>(entry: &'a Entry, ejected: &BTreeSet<EndpointId>) -> document::Service<'a> {
    let service: &Service = &entry.service;
    let annotations = service.annotations.iter().map(|(key, value)| (text(key), text(value)));
    let endpoints = entry
        .targets
        .iter()
        .flat_map(|target| target.endpoints.all().iter().map(move |endpoint| (target, endpoint)))
        .map(|(target, endpoint)| describe_endpoint(target, endpoint, ejected.contains(&endpoint.id)));
    document::Service {
        namespace: text(&service.name.namespace),
        name: text(&service.name.name),
        kind: service.kind.as_str().into(),
        source: entry.source.as_str().into(),
        cluster_ips: service.cluster_ips.clone(),
        external_ips: service.external_ips.clone(),
        ingress: service.ingress.iter().map(describe_ingress).collect(),
        loopback_vip: entry.loopback_vip,
        skipped_ports: entry.skipped_ports.clone(),
        external_name: service.external_name.as_ref().map(text),
        policy: Policy::shown(service).as_str().into(),
        session_affinity: describe_affinity(service),
        internal_traffic_policy: if service.internal_traffic_local { "Local" } else { "Cluster" }.into(),
        traffic_distribution: service.traffic_distribution.as_ref().map(text),
        annotations: document::Annotations(annotations.collect()),
        ports: entry.targets.iter().map(|target| describe_port(target)).collect(),
        endpoints: endpoints.collect(),
    }
}

fn describe_ingress(ingress: &IngressPoint) -> document::Ingress<'_> {
    document::Ingress {
        ip: ingress.ip,
        hostname: ingress.hostname.as_ref().map(text),
        ip_mode: if ingress.proxied { "Proxy" } else { "VIP" }.into(),
    }
}

fn describe_affinity(service: &Service) -> document::SessionAffinity<'_> {
    document::SessionAffinity {
        kind: if service.affinity.is_some() { "ClientIP" } else { "None" }.into(),
        timeout_seconds: service.affinity.map(|timeout| timeout.as_secs()),
    }
}

fn describe_port(target: &Target) -> document::Port<'_> {
    document::Port {
        name: text(&target.port.name),
        port: target.port.port,
        node_port: target.port.node_port,
        protocol: target.port.transport.as_str().into(),
        app_protocol: target.port.app_protocol.as_ref().map(text),
    }
}

fn describe_endpoint<'a>(
    target: &'a Target,
    endpoint: &'a Endpoint,
    ejected: bool,
) -> document::Endpoint<'a> {
    let place = endpoint.place.as_deref();
    document::Endpoint {
        address: endpoint.addr.0.ip(),
        port: endpoint.addr.0.port(),
        port_name: text(&target.port.name),
        ready: endpoint.ready,
        serving: endpoint.serving,
        terminating: endpoint.terminating,
        ejected,
        weight: endpoint.weight,
        node: place.and_then(|place| place.node.as_ref()).map(text),
        zone: place.and_then(|place| place.zone.as_ref()).map(text),
        hints: place
            .map(|place| &place.hints)
            .filter(|hints| **hints != TopologyHints::default())
            .map(describe_hints),
        hostname: endpoint.hostname.as_ref().map(text),
    }
}

fn describe_hints(hints: &TopologyHints) -> document::Hints<'_> {
    document::Hints {
        zones: hints.zones.iter().map(text).collect(),
        nodes: hints.nodes.iter().map(text).collect(),
    }
}

fn describe_rejection(rejection: &Rejection) -> document::Rejected<'_> {
    document::Rejected {
        object: Cow::Borrowed(&rejection.object),
        file: Cow::Borrowed(&rejection.file),
        reason: Cow::Borrowed(&rejection.reason),
    }
}

fn text(text: &Arc<str>) -> Cow<'_, str> {
    Cow::Borrowed(text)
}

#[cfg(test)]
mod tests;
