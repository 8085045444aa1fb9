//! The endpoints of a document's Service → slices: one for each port of the Service, number on the pods and address family.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;

use svc_proto::names::annotation;
use svc_proto::services as document;

use crate::service::{Hints, Interner, Place, Rules, Service, Slice, SliceEndpoint, SlicePort, special_ip};
use crate::table::Source;

/// The slices, and what is wrong with endpoints that are in none.
pub(super) fn read(
    written: &document::Service<'_>,
    service: &Service,
    rules: &Rules,
    interner: &mut Interner,
) -> (Vec<Slice>, Vec<String>) {
    let mut groups: BTreeMap<Key, Group> = BTreeMap::new();
    let mut refused = Vec::new();
    for (index, endpoint) in written.endpoints.iter().enumerate() {
        match place(endpoint, written, service, rules) {
            Ok(key) => groups.entry(key).or_default().add(endpoint, interner),
            Err(problem) if refused.len() < REFUSED_MAX => {
                refused.push(format!("endpoints[{index}]: {problem}"))
            }
            Err(_) => {}
        }
    }
    let says_weights = service.annotations.contains_key(annotation::WEIGHTS);
    let slice = |(key, group): (Key, Group)| group.into_slice(key, service, says_weights);
    (groups.into_iter().map(slice).collect(), refused)
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

#[derive(Default)]
struct Group {
    endpoints: Vec<SliceEndpoint>,
    weights: BTreeMap<IpAddr, u16>,
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
        .ok_or_else(|| format!("portName {:?} is no port of the Service", endpoint.port_name))?;
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

impl Group {
    fn add(&mut self, endpoint: &document::Endpoint<'_>, interner: &mut Interner) {
        let mut text = |text: &str| interner.text(text);
        let place = Place {
            node: endpoint.node.as_deref().map(&mut text),
            zone: endpoint.zone.as_deref().map(&mut text),
            hints: endpoint.hints.as_ref().map_or_else(Hints::default, |hints| Hints {
                zones: hints.zones.iter().map(|zone| text(zone)).collect(),
                nodes: hints.nodes.iter().map(|node| text(node)).collect(),
            }),
        };
        self.weights.entry(endpoint.address).or_insert(endpoint.weight);
        self.endpoints.push(SliceEndpoint {
            address: endpoint.address,
            ready: endpoint.ready,
            serving: endpoint.serving,
            terminating: endpoint.terminating,
            hostname: endpoint.hostname.as_deref().map(Arc::from),
            place: interner.place(place),
            pod: None,
        });
    }

    /// Weights are written where they are not what the Service's own annotation, or its absence, says.
    fn into_slice(self, key: Key, service: &Service, says_weights: bool) -> Slice {
        let unequal = self.weights.values().any(|weight| *weight != 1);
        let weights = (unequal || says_weights).then(|| {
            let weights = self.weights.iter().map(|(address, weight)| format!("{address}={weight}"));
            weights.collect::<Vec<_>>().join(",").into()
        });
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
            weights,
            ports: [port].into(),
            endpoints: self.endpoints,
        }
    }
}

/// Enough to see what is wrong with all.
const REFUSED_MAX: usize = 64;
