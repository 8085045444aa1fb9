//! An EndpointSlice object → [`Slice`], by the API server's rules (`ValidateEndpointSlice`), every mistake at once.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;

use svc_proto::names::label;

use super::invalid::{Invalid, Mistakes, Path};
use super::metadata::{self, METADATA};
use super::object::{self, Endpoint, EndpointPort};
use super::{Hints, Interner, Place, Rules, Slice, SliceEndpoint, SlicePort, Valid, grammar};
use crate::address::ServiceName;
use crate::sorted::SortedSet;

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
    let mut found = Mistakes::default();

    let name = metadata::names(metadata, grammar::dns_subdomain, rules, &mut found);
    let service = service_label(metadata, &mut found);
    let weights = metadata::weights(metadata, &mut found);
    let family = family(object, &mut found);
    let endpoints = endpoints(object, family, rules, interner, &mut found);
    let ports = ports(object.ports.as_deref().unwrap_or_default(), &mut found);
    found.verdict("EndpointSlice.discovery.k8s.io", &name.name)?;
    if family == Family::Fqdn {
        let warning = "addressType: \"FQDN\" is accepted and ignored, as kube-proxy does";
        return Ok(Valid { fact: Vec::new(), warnings: [warning.into()].into() });
    }
    let service = ServiceName::new(name.namespace, service);
    let slice = Slice { name: name.name, service, from_endpoints: false, weights, ports, endpoints };
    Ok(Valid { fact: [slice].into(), warnings: Vec::new() })
}

fn service_label(metadata: &object::Metadata, found: &mut Mistakes) -> Arc<str> {
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
enum Family {
    V4,
    V6,
    Fqdn,
    /// Told already.
    Unknown,
}

fn family(object: &object::EndpointSlice, found: &mut Mistakes) -> Family {
    let at = Path::root("addressType");
    match object.address_type.as_deref() {
        Some("IPv4") => Family::V4,
        Some("IPv6") => Family::V6,
        Some("FQDN") => Family::Fqdn,
        None | Some("") => {
            found.required(at, "");
            Family::Unknown
        }
        Some(other) => {
            found.unsupported(at, other, &["FQDN", "IPv4", "IPv6"]);
            Family::Unknown
        }
    }
}

fn endpoints(
    object: &object::EndpointSlice,
    family: Family,
    rules: &Rules,
    interner: &mut Interner,
    found: &mut Mistakes,
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
    family: Family,
    rules: &Rules,
    at: Path<'_>,
    found: &mut Mistakes,
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
        match one_address(text, family, rules) {
            Ok(address) => first = first.or(address),
            Err(problem) => found.invalid(list_at.index(index), text, problem),
        }
    }
    first
}

fn one_address(text: &str, family: Family, rules: &Rules) -> Result<Option<IpAddr>, &'static str> {
    let ip = match family {
        Family::Unknown => return Ok(None),
        Family::Fqdn => {
            return grammar::dns_subdomain(text).first().map_or(Ok(None), |problem| Err(*problem));
        }
        Family::V4 | Family::V6 => grammar::ip(text)?,
    };
    match family == Family::V4 {
        true if ip.is_ipv6() => Err("must be an IPv4 address"),
        false if ip.is_ipv4() => Err("must be an IPv6 address"),
        true | false => grammar::special_ip(ip, rules.allow_loopback_endpoints).map_or(Ok(Some(ip)), Err),
    }
}

/// Checks all there is; the endpoint itself only where its address is good.
fn read_endpoint(
    endpoint: &Endpoint,
    address: Option<IpAddr>,
    at: Path<'_>,
    interner: &mut Interner,
    found: &mut Mistakes,
) -> Option<SliceEndpoint> {
    let topology = |key| endpoint.topology.as_ref().and_then(|labels| labels.get(key));
    let node = endpoint.node_name.as_ref().or_else(|| topology(label::TOPOLOGY_HOSTNAME));
    let zone = endpoint.zone.as_ref().or_else(|| topology(label::TOPOLOGY_ZONE));
    if let Some(node) = &endpoint.node_name {
        found.invalid_each(at.field("nodeName"), node, grammar::dns_subdomain(node));
    }
    let hostname = hostname(endpoint.hostname.as_ref(), at, found);
    let hints = endpoint.hints.as_ref().map(|hints| read_hints(hints, at, interner, found));
    let place = Place {
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

/// `hostname` of an endpoint at `at`.
pub(super) fn hostname(hostname: Option<&String>, at: Path<'_>, found: &mut Mistakes) -> Option<Arc<str>> {
    let hostname = hostname.filter(|name| !name.is_empty())?;
    found.invalid_each(at.field("hostname"), hostname, grammar::dns_label(hostname));
    Some(hostname.as_str().into())
}

/// The pod behind an address.
pub(super) fn pod(target: Option<&object::TargetRef>) -> Option<Box<str>> {
    let target = target.filter(|target| target.kind.as_deref() == Some("Pod"))?;
    target.name.as_deref().map(Box::from)
}

fn read_hints(hints: &object::Hints, at: Path<'_>, interner: &mut Interner, found: &mut Mistakes) -> Hints {
    let at = at.field("hints");
    let mut names = |field: &'static str, list: &Option<Vec<object::Hint>>, grammar| {
        hint_names(list.as_deref().unwrap_or_default(), at.field(field), grammar, interner, found)
    };
    let zones = names("forZones", &hints.for_zones, grammar::label_value as fn(&str) -> _);
    let nodes = names("forNodes", &hints.for_nodes, grammar::dns_subdomain);
    Hints { zones, nodes }
}

fn hint_names(
    list: &[object::Hint],
    at: Path<'_>,
    grammar: fn(&str) -> Vec<&'static str>,
    interner: &mut Interner,
    found: &mut Mistakes,
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

fn ports(written: &[EndpointPort], found: &mut Mistakes) -> Vec<SlicePort> {
    let at = Path::root("ports");
    if written.len() > MAX_PORTS {
        found.too_many(at, written.len(), MAX_PORTS);
        return Vec::new();
    }
    let mut names = SortedSet::new();
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
        read.extend(numbered_port(port, at, found));
    }
    read
}

/// A port with its number. `null` ("all ports") and 0 are legal and serve nobody, so such a port is dropped.
pub(super) fn numbered_port(port: &EndpointPort, at: Path<'_>, found: &mut Mistakes) -> Option<SlicePort> {
    let transport = metadata::transport(port.protocol.as_ref(), at, found);
    let app_protocol = metadata::app_protocol(port.app_protocol.as_ref(), at, found);
    let number = port.port.filter(|number| *number != 0)?;
    match grammar::port_number(number) {
        Ok(number) => {
            let name = port.name.as_deref().unwrap_or_default().into();
            Some(SlicePort { name, port: number, transport, app_protocol })
        }
        Err(problem) => {
            found.invalid(at.field("port"), number, problem);
            None
        }
    }
}

const MAX_ENDPOINTS: usize = 1000; // API: discovery/v1 types.go, "each slice may include a maximum of 1000 endpoints"
const MAX_ADDRESSES: usize = 100; // "no more than 100"
const MAX_PORTS: usize = 100; // "each slice may include a maximum of 100 ports"
const MAX_HINTS: usize = 8; // "may contain a maximum of 8 entries"
