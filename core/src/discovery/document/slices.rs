//! The endpoints of a document's Service → slices: one for each port of the Service, number on the pods and address family.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use svc_proto::services as document;
use svc_proto::values::Quoted;

use crate::service::{
    Interner, Locality, Rules, Service, Slice, SliceEndpoint, SlicePort, TopologyHints, special_ip,
};
use crate::table::Source;

/// The slices, and what is wrong with endpoints that are in none.
pub(super) fn read(
    written: &document::Service<'_>,
    service: &Service,
    rules: &Rules,
    interner: &mut Interner,
) -> (Vec<Slice>, Vec<String>) {
    let mut placed: Vec<(Key, usize)> = Vec::with_capacity(written.endpoints.len());
    let mut refused = Vec::new();
    for (index, endpoint) in written.endpoints.iter().enumerate() {
        match place(endpoint, written, service, rules) {
            Ok(key) => placed.push((key, index)),
            Err(problem) if refused.len() < REFUSED_MAX => {
                refused.push(format!("endpoints[{index}]: {problem}"))
            }
            Err(_) => {}
        }
    }
    placed.sort_unstable();
    let groups = placed.chunk_by(|(one, _), (next, _)| one == next);
    let slice = |group: &[(Key, usize)]| {
        let endpoints = group.iter().map(|(_, index)| endpoint(&written.endpoints[*index], interner));
        slice(group[0].0, service, endpoints.collect())
    };
    (groups.map(slice).collect(), refused)
}

/// What the endpoints of one slice share.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    /// The index of the Service's port.
    port: usize,
    /// The port on the pods.
    number: u16,
    is_ipv6: bool,
}

/// Where an endpoint belongs, or why it belongs nowhere.
fn place(
    endpoint: &document::Endpoint<'_>,
    written: &document::Service<'_>,
    service: &Service,
    rules: &Rules,
) -> Result<Key, String> {
    let document::Endpoint { address, port: number, .. } = *endpoint;
    let port = port_of(endpoint, &written.ports)
        .ok_or_else(|| format!("portName {} is no port of the Service", Quoted(&endpoint.port_name)))?;
    if number == 0 {
        return Err("port 0 must be between 1 and 65535, inclusive".into());
    }
    if service.cluster_ips.contains(&address) {
        // Whoever knows a Service by the environment tells its address.
        if written.source != Source::Environment.as_str() {
            return Err(format!("{address} is the cluster IP of the Service"));
        }
    } else if let Some(problem) = special_ip(address, rules.allow_loopback_endpoints) {
        return Err(format!("{address} {problem}"));
    }
    Ok(Key { port, number, is_ipv6: address.is_ipv6() })
}

/// The Service's port of that name. Where several have none, the number decides.
fn port_of(endpoint: &document::Endpoint<'_>, ports: &[document::Port<'_>]) -> Option<usize> {
    let is_named = |port: &document::Port<'_>| port.name == endpoint.port_name;
    let exact = ports.iter().position(|port| is_named(port) && port.port == endpoint.port);
    exact.or_else(|| ports.iter().position(is_named))
}

fn endpoint(written: &document::Endpoint<'_>, interner: &mut Interner) -> SliceEndpoint {
    let mut text = |text: &str| interner.text(text);
    let place = Locality {
        node: written.node.as_deref().map(&mut text),
        zone: written.zone.as_deref().map(&mut text),
        hints: written.hints.as_ref().map_or_else(TopologyHints::default, |hints| TopologyHints {
            zones: hints.zones.iter().map(|zone| text(zone)).collect(),
            nodes: hints.nodes.iter().map(|node| text(node)).collect(),
        }),
    };
    SliceEndpoint {
        address: written.address,
        ready: written.ready,
        serving: written.serving,
        terminating: written.terminating,
        weight: Some(written.weight),
        hostname: written.hostname.as_deref().map(Arc::from),
        place: interner.place(place),
        pod: None,
    }
}

fn slice(key: Key, service: &Service, endpoints: Vec<SliceEndpoint>) -> Slice {
    let port = &service.ports[key.port];
    let port = SlicePort {
        name: port.name.clone(),
        port: key.number,
        transport: port.transport,
        app_protocol: None, // the Service's port has it
    };
    Slice {
        name: service.name.name.clone(),
        service: service.name.clone(),
        from_endpoints: false,
        weights: None, // each endpoint has its own
        ports: [port].into(),
        endpoints,
    }
}

/// Enough to see what is wrong with all.
const REFUSED_MAX: usize = 64;
