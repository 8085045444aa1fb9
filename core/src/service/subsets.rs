//! An Endpoints object → one [`Slice`] for each subset and address family, by the API server's rules (`ValidateEndpoints`).

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;

use super::invalid::{FieldErrors, Invalid, Path};
use super::object::{self, EndpointPort, Subset, SubsetAddress};
use super::slice::{hostname, numbered_port, pod};
use super::{
    Interner, Locality, Rules, Slice, SliceEndpoint, SlicePort, Valid, addresses, grammar, metadata,
};
use crate::address::ServiceName;

/// Reads an Endpoints object as the API server would admit it (S-04). Its slices come in the order of the subsets, IPv4 before IPv6.
///
/// # Errors
///
/// Everything that is wrong with it.
pub fn read_endpoints(
    object: &object::Endpoints,
    rules: &Rules,
    interner: &mut Interner,
) -> Result<Valid<Vec<Slice>>, Invalid> {
    let no_metadata = object::Metadata::default();
    let metadata = object.metadata.as_ref().unwrap_or(&no_metadata);
    let mut found = FieldErrors::default();

    let service = metadata::read(metadata, grammar::dns_subdomain, rules, &mut found);
    let weights = metadata::weights(metadata, &mut found);
    let mut slices = Vec::new();
    let at = Path::root("subsets");
    for (index, subset) in object.subsets.iter().flatten().enumerate() {
        let (endpoints, ports) = read_subset(subset, at.index(index), rules, interner, &mut found);
        slices.extend(by_family(endpoints).map(|endpoints| slice(&service, &weights, &ports, endpoints)));
    }
    let warnings = found.verdict("Endpoints", &service.name)?;
    Ok(Valid { fact: slices, warnings })
}

fn read_subset(
    subset: &Subset,
    at: Path<'_>,
    rules: &Rules,
    interner: &mut Interner,
    found: &mut FieldErrors,
) -> (Vec<SliceEndpoint>, Vec<SlicePort>) {
    let ready = subset.addresses.as_deref().unwrap_or_default();
    let not_ready = subset.not_ready_addresses.as_deref().unwrap_or_default();
    if ready.is_empty() && not_ready.is_empty() {
        found.required(at, "must specify `addresses` or `notReadyAddresses`");
    }
    let mut endpoints = Vec::with_capacity(ready.len() + not_ready.len());
    for (field, list, is_ready) in [("addresses", ready, true), ("notReadyAddresses", not_ready, false)] {
        let at = at.field(field);
        let read = list.iter().enumerate();
        endpoints.extend(read.filter_map(|(index, address)| {
            endpoint(address, is_ready, at.index(index), rules, interner, found)
        }));
    }
    (endpoints, ports(subset.ports.as_deref().unwrap_or_default(), at.field("ports"), found))
}

fn endpoint(
    address: &SubsetAddress,
    ready: bool,
    at: Path<'_>,
    rules: &Rules,
    interner: &mut Interner,
    found: &mut FieldErrors,
) -> Option<SliceEndpoint> {
    let text = address.ip.as_deref().unwrap_or_default();
    let ip = addresses::read(text, at.field("ip"), found).filter(|ip| {
        let problem = grammar::special_ip(*ip, rules.allow_loopback_endpoints);
        problem.inspect(|problem| found.invalid(at.field("ip"), text, problem)).is_none()
    });
    let hostname = hostname(address.hostname.as_ref().filter(|name| !name.is_empty()), at, found);
    if let Some(node) = &address.node_name {
        found.invalid_each(at.field("nodeName"), node, grammar::dns_subdomain(node));
    }
    let node = address.node_name.as_ref().map(|node| interner.text(node));
    Some(SliceEndpoint {
        address: ip?,
        ready,
        serving: ready,
        terminating: false,
        weight: None,
        hostname,
        place: interner.place(Locality { node, ..Locality::default() }),
        pod: pod(address.target_ref.as_ref()),
    })
}

fn ports(written: &[EndpointPort], at: Path<'_>, found: &mut FieldErrors) -> Vec<SlicePort> {
    let mut read = Vec::with_capacity(written.len());
    for (index, port) in written.iter().enumerate() {
        let at = at.index(index);
        match port.name.as_deref().unwrap_or_default() {
            "" if written.len() > 1 => found.required(at.field("name"), ""),
            "" => {}
            name => found.invalid_each(at.field("name"), name, grammar::dns_label(name)),
        }
        if let Err(problem) = grammar::port_number(port.port.unwrap_or(0)) {
            found.invalid(at.field("port"), port.port.unwrap_or(0), problem); // no "all ports" here
        }
        let protocol = port.protocol.as_ref().filter(|protocol| !protocol.is_empty());
        read.extend(numbered_port(port, metadata::transport(protocol, at, found), at, found));
    }
    read
}

/// Parts of one family each.
fn by_family(endpoints: Vec<SliceEndpoint>) -> impl Iterator<Item = Vec<SliceEndpoint>> {
    let (v4, v6) =
        endpoints.into_iter().partition::<Vec<_>, _>(|endpoint| matches!(endpoint.address, IpAddr::V4(_)));
    [v4, v6].into_iter().filter(|part| !part.is_empty())
}

fn slice(
    service: &ServiceName,
    weights: &Option<Arc<str>>,
    ports: &[SlicePort],
    endpoints: Vec<SliceEndpoint>,
) -> Slice {
    Slice {
        name: service.name.clone(),
        service: service.clone(),
        from_endpoints: true,
        weights: weights.clone(),
        ports: ports.to_vec(),
        endpoints,
    }
}
