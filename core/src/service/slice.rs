//! An EndpointSlice object → [`Slice`], by the API server's rules (`ValidateEndpointSlice`), every mistake at once.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;

use svc_proto::names::label;

use super::invalid::{FieldErrors, Invalid, Path};
use super::object::{self, Endpoint, EndpointPort};
use super::paths::METADATA;
use super::{
    Interner, Locality, Rules, Slice, SliceEndpoint, SlicePort, TopologyHints, Valid, addresses, grammar,
    labels, metadata,
};
use crate::address::{ServiceName, Transport};

/// Reads an EndpointSlice of `discovery.k8s.io/v1` or `v1beta1` as the API server would admit it (S-05). One slice; none, with a
/// warning, when its addresses are names (`addressType: FQDN`), which no proxy follows.
///
/// # Errors
///
/// Everything that is wrong with it. A slice that names no Service is refused too: the API server takes it, but nobody would use it.
pub fn read_endpoint_slice(
    object: &object::EndpointSlice,
    rules: &Rules,
    interner: &mut Interner,
) -> Result<Valid<Vec<Slice>>, Invalid> {
    let no_metadata = object::Metadata::default();
    let metadata = object.metadata.as_ref().unwrap_or(&no_metadata);
    let mut found = FieldErrors::default();

    let name = metadata::read(metadata, grammar::dns_subdomain, rules, &mut found);
    let service = service_label(metadata, &mut found);
    let weights = metadata::weights(metadata, &mut found);
    let family = family(object, &mut found);
    let endpoints = endpoints(object, family, rules, interner, &mut found);
    let ports = ports(object.ports.as_deref().unwrap_or_default(), &mut found);
    if family == AddressFamily::Fqdn {
        let text = "is accepted and ignored, as kube-proxy does";
        found.warn(Path::root("addressType"), Some("FQDN".into()), text.into());
    }
    let warnings = found.verdict("EndpointSlice.discovery.k8s.io", &name.name)?;
    if family == AddressFamily::Fqdn {
        return Ok(Valid { fact: Vec::new(), warnings });
    }
    let service = ServiceName::new(name.namespace, service);
    let slice = Slice { name: name.name, service, from_endpoints: false, weights, ports, endpoints };
    Ok(Valid { fact: [slice].into(), warnings })
}

fn service_label(metadata: &object::Metadata, found: &mut FieldErrors) -> Arc<str> {
    let service = metadata.labels.as_ref().and_then(|labels| labels.get(label::SERVICE_NAME));
    let service = service.map(String::as_str).unwrap_or_default();
    let labels = METADATA.field("labels");
    let at = labels.key(label::SERVICE_NAME);
    match service {
        "" => found.required(at, "without it the slice belongs to no Service"),
        service => found.invalid_each(at, service, grammar::label_value(service)),
    }
    service.into()
}

/// `addressType`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum AddressFamily {
    V4,
    V6,
    Fqdn,
    /// Told already.
    Unknown,
}

fn family(object: &object::EndpointSlice, found: &mut FieldErrors) -> AddressFamily {
    let at = Path::root("addressType");
    match object.address_type.as_deref() {
        Some("IPv4") => AddressFamily::V4,
        Some("IPv6") => AddressFamily::V6,
        Some("FQDN") => AddressFamily::Fqdn,
        None | Some("") => {
            found.required(at, "");
            AddressFamily::Unknown
        }
        Some(other) => {
            found.unsupported(at, other, &["FQDN", "IPv4", "IPv6"]);
            AddressFamily::Unknown
        }
    }
}

fn endpoints(
    object: &object::EndpointSlice,
    family: AddressFamily,
    rules: &Rules,
    interner: &mut Interner,
    found: &mut FieldErrors,
) -> Vec<SliceEndpoint> {
    let at = Path::root("endpoints");
    let written = object.endpoints.as_deref().unwrap_or_default();
    if written.len() > MAX_ENDPOINTS {
        found.too_many(at, written.len(), MAX_ENDPOINTS);
        return Vec::new();
    }
    let mut read = Vec::with_capacity(written.len());
    for (index, endpoint) in written.iter().enumerate() {
        let at = at.index(index);
        let address = first_address(endpoint, family, rules, at, found);
        read.extend(read_endpoint(endpoint, address, at, interner, found));
    }
    read
}

/// The first of `addresses`: they are fungible, and consumers use that one.
fn first_address(
    endpoint: &Endpoint,
    family: AddressFamily,
    rules: &Rules,
    at: Path<'_>,
    found: &mut FieldErrors,
) -> Option<IpAddr> {
    let list_at = at.field("addresses");
    let written = endpoint.addresses.as_deref().unwrap_or_default();
    match written.len() {
        0 => found.required(list_at, "must contain at least 1 address"),
        1..=MAX_ADDRESSES => {}
        more => found.too_many(list_at, more, MAX_ADDRESSES),
    }
    let mut first = None;
    for (index, text) in written.iter().enumerate() {
        let address = read_address(text, family, rules, list_at.index(index), found);
        first = first.or(address);
        if index == 1 && family != AddressFamily::Fqdn {
            let text = "and what follows is not used: the addresses of one endpoint are taken for the same, as kube-proxy does; \
                        write an endpoint for each";
            found.warn(list_at.index(1), Some((&*written[1]).into()), text.into());
        }
    }
    first
}

fn read_address(
    text: &str,
    family: AddressFamily,
    rules: &Rules,
    at: Path<'_>,
    found: &mut FieldErrors,
) -> Option<IpAddr> {
    if family == AddressFamily::Fqdn {
        found.invalid_each(at, text, grammar::full_name(text));
    }
    if matches!(family, AddressFamily::Fqdn | AddressFamily::Unknown) {
        return None;
    }
    let ip = addresses::read(text, at, found)?;
    let problem = match family == AddressFamily::V4 {
        true if ip.is_ipv6() => Some("must be a valid IPv4 address"),
        false if ip.is_ipv4() => Some("must be a valid IPv6 address"),
        true | false => grammar::special_ip(ip, rules.allow_loopback_endpoints),
    };
    problem.inspect(|problem| found.invalid(at, text, problem)).is_none().then_some(ip)
}

/// Checks all there is; the endpoint itself only where its address is good.
fn read_endpoint(
    endpoint: &Endpoint,
    address: Option<IpAddr>,
    at: Path<'_>,
    interner: &mut Interner,
    found: &mut FieldErrors,
) -> Option<SliceEndpoint> {
    let deprecated = endpoint.topology.as_ref().or(endpoint.deprecated_topology.as_ref());
    check_topology(deprecated, at, found);
    let topology = |key| endpoint.topology.as_ref().and_then(|labels| labels.get(key));
    let node = endpoint.node_name.as_ref().or_else(|| topology(label::TOPOLOGY_HOSTNAME));
    let zone = endpoint.zone.as_ref().or_else(|| topology(label::TOPOLOGY_ZONE));
    if let Some(node) = &endpoint.node_name {
        found.invalid_each(at.field("nodeName"), node, grammar::dns_subdomain(node));
    }
    let hostname = hostname(endpoint.hostname.as_ref(), at, found);
    let hints = endpoint.hints.as_ref().map(|hints| read_hints(hints, at, interner, found));
    let place = Locality {
        node: node.map(|node| interner.text(node)),
        zone: zone.map(|zone| interner.text(zone)),
        hints: hints.unwrap_or_default(),
    };
    let conditions = endpoint.conditions.unwrap_or_default();
    Some(SliceEndpoint {
        address: address?,
        ready: conditions.ready.unwrap_or(true),
        serving: conditions.serving.unwrap_or(true),
        terminating: conditions.terminating.unwrap_or(false),
        weight: None,
        hostname,
        place: interner.place(place),
        pod: pod(endpoint.target_ref.as_ref()),
    })
}

/// `topology` of `v1beta1`, which `v1` keeps by another name.
fn check_topology(topology: Option<&BTreeMap<String, String>>, at: Path<'_>, found: &mut FieldErrors) {
    let at = at.field("deprecatedTopology");
    let count = topology.into_iter().flatten().count();
    if count > MAX_TOPOLOGY {
        found.too_many(at, count, MAX_TOPOLOGY);
    }
    labels::check_all(topology, at, found);
}

/// `hostname` of an endpoint at `at`.
pub(super) fn hostname(hostname: Option<&String>, at: Path<'_>, found: &mut FieldErrors) -> Option<Arc<str>> {
    let hostname = hostname?;
    found.invalid_each(at.field("hostname"), hostname, grammar::dns_label(hostname));
    Some(hostname.as_str().into())
}

/// The pod behind an address.
pub(super) fn pod(target: Option<&object::TargetRef>) -> Option<Box<str>> {
    let target = target.filter(|target| target.kind.as_deref() == Some("Pod"))?;
    target.name.as_deref().map(Box::from)
}

fn read_hints(
    hints: &object::Hints,
    at: Path<'_>,
    interner: &mut Interner,
    found: &mut FieldErrors,
) -> TopologyHints {
    let at = at.field("hints");
    let mut names = |field: &'static str, list: &Option<Vec<object::Hint>>, grammar| {
        hint_names(list.as_deref().unwrap_or_default(), at.field(field), grammar, interner, found)
    };
    let zones = names("forZones", &hints.for_zones, grammar::label_value as fn(&str) -> _);
    let nodes = names("forNodes", &hints.for_nodes, grammar::dns_subdomain);
    TopologyHints { zones, nodes }
}

fn hint_names(
    list: &[object::Hint],
    at: Path<'_>,
    grammar: fn(&str) -> Vec<&'static str>,
    interner: &mut Interner,
    found: &mut FieldErrors,
) -> Vec<Arc<str>> {
    if list.len() > MAX_HINTS {
        found.too_many(at, list.len(), MAX_HINTS);
        return Vec::new();
    }
    let mut names = Vec::with_capacity(list.len());
    for (index, hint) in list.iter().enumerate() {
        let (at, name) = (at.index(index), interner.text(hint.name.as_deref().unwrap_or_default()));
        found.invalid_each(at.field("name"), &name, grammar(&name));
        if names.contains(&name) {
            found.duplicate(at.field("name"), &name);
        }
        names.push(name);
    }
    names
}

fn ports(written: &[EndpointPort], found: &mut FieldErrors) -> Vec<SlicePort> {
    let at = Path::root("ports");
    if written.len() > MAX_PORTS {
        found.too_many(at, written.len(), MAX_PORTS);
        return Vec::new();
    }
    let mut names = BTreeSet::new();
    let mut read = Vec::with_capacity(written.len());
    for (index, port) in written.iter().enumerate() {
        let at = at.index(index);
        let name = port.name.as_deref().unwrap_or_default();
        if !name.is_empty() {
            found.invalid_each(at.field("name"), name, grammar::dns_label(name));
        }
        if !names.insert(name) {
            found.duplicate(at.field("name"), name);
        }
        let transport = metadata::transport(port.protocol.as_ref(), at, found);
        if let Some(number) =
            port.port.filter(|number| *number != 0 && grammar::port_number(*number).is_err())
        {
            let text = "is admitted, as an API server does, and serves nobody: it is no port";
            found.warn(at.field("port"), Some(number.into()), text.into());
        }
        read.extend(numbered_port(port, transport, at, found));
    }
    read
}

/// A port with its number. `null` ("all ports"), 0 and what is no port are legal and serve nobody, so such a port is dropped.
pub(super) fn numbered_port(
    port: &EndpointPort,
    transport: Transport,
    at: Path<'_>,
    found: &mut FieldErrors,
) -> Option<SlicePort> {
    let app_protocol = metadata::app_protocol(port.app_protocol.as_ref(), at, found);
    let number = grammar::port_number(port.port?).ok()?;
    let name = port.name.as_deref().unwrap_or_default().into();
    Some(SlicePort { name, port: number, transport, app_protocol })
}

const MAX_ENDPOINTS: usize = 1000; // API: discovery/v1 types.go, "each slice may include a maximum of 1000 endpoints"
const MAX_ADDRESSES: usize = 100; // "no more than 100"
const MAX_PORTS: usize = 100; // "each slice may include a maximum of 100 ports"
const MAX_TOPOLOGY: usize = 16; // API: "no more than 16 key/value pairs"
const MAX_HINTS: usize = 8; // "may contain a maximum of 8 entries"
