//! `spec.ports` of a Service (S-01, S-03, S-06, S-16).

use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::invalid::{FieldErrors, Path, Value};
use super::object::{IntOrString, ServicePort, ServiceSpec};
use super::paths::SPEC;
use super::{Port, ServiceType, TargetPort, grammar, metadata};
use crate::address::Transport;
use crate::hash::HashSet;

pub(super) fn read(
    spec: &ServiceSpec,
    kind: ServiceType,
    headless: bool,
    found: &mut FieldErrors,
) -> Vec<Port> {
    let at = SPEC.field("ports");
    let written = spec.ports.as_deref().unwrap_or_default();
    if written.is_empty() && !headless && kind != ServiceType::ExternalName {
        found.required(at, "");
    }
    let mut seen = Seen::default();
    let several = written.len() > 1;
    let read = |(index, port)| read_port(port, at.index(index), several, kind, &mut seen, found);
    written.iter().enumerate().map(read).collect()
}

/// What no two ports of a Service share.
#[derive(Default)]
struct Seen<'a> {
    names: HashSet<&'a str>,
    ports: HashSet<(Transport, u16)>,
    node_ports: HashSet<(Transport, u16)>,
}

fn read_port<'a>(
    port: &'a ServicePort,
    at: Path<'_>,
    several: bool,
    kind: ServiceType,
    seen: &mut Seen<'a>,
    found: &mut FieldErrors,
) -> Port {
    let name = port.name.as_deref().unwrap_or_default();
    match name {
        "" if several => found.required(at.field("name"), ""),
        "" => {}
        name => found.invalid_each(at.field("name"), name, grammar::dns_label(name)),
    }
    if !name.is_empty() && !seen.names.insert(name) {
        found.duplicate(at.field("name"), name);
    }
    let number = port_number(port.port.unwrap_or(0), at.field("port"), found);
    let protocol = port.protocol.as_ref().filter(|protocol| !protocol.is_empty());
    let transport = metadata::transport(protocol, at, found);
    let target = target_port(port.target_port.as_ref(), number, at.field("targetPort"), found);
    let app_protocol = metadata::app_protocol(port.app_protocol.as_ref(), at, found);
    let node_port = node_port(port, kind, transport, at.field("nodePort"), seen, found);
    if number != 0 && !seen.ports.insert((transport, number)) {
        found.duplicate(
            at,
            Value::Json(format!(r#"{{"port":{number},"protocol":"{}"}}"#, transport.as_str())),
        );
    }
    Port { name: name.into(), port: number, transport, target, node_port, app_protocol }
}

fn port_number(number: i32, at: Path<'_>, found: &mut FieldErrors) -> u16 {
    grammar::port_number(number).unwrap_or_else(|problem| {
        found.invalid(at, number, problem);
        0
    })
}

/// The same as the port where the object does not say, as 0 and `""` do not.
fn target_port(target: Option<&IntOrString>, port: u16, at: Path<'_>, found: &mut FieldErrors) -> TargetPort {
    match target {
        None | Some(IntOrString::Int(0)) => TargetPort::Number(port),
        Some(IntOrString::Int(number)) => TargetPort::Number(port_number(*number, at, found)),
        Some(IntOrString::String(name)) if name.is_empty() => TargetPort::Number(port),
        Some(IntOrString::String(name)) => {
            found.invalid_each(at, name, grammar::port_name(name));
            TargetPort::Name(Arc::from(name.as_str()))
        }
    }
}

fn node_port(
    port: &ServicePort,
    kind: ServiceType,
    transport: Transport,
    at: Path<'_>,
    seen: &mut Seen<'_>,
    found: &mut FieldErrors,
) -> Option<u16> {
    let number = port.node_port.filter(|number| *number != 0)?;
    match kind {
        ServiceType::ClusterIp => found.forbidden(at, "may not be used when `type` is 'ClusterIP'"),
        ServiceType::NodePort | ServiceType::LoadBalancer if !NODE_PORTS.contains(&number) => {
            let detail = "provided port is not in the valid range. The range of valid ports is 30000-32767";
            found.invalid(at, number, detail);
        }
        ServiceType::NodePort | ServiceType::LoadBalancer => {
            let number = u16::try_from(number).expect("it lies in the range of node ports");
            if !seen.node_ports.insert((transport, number)) {
                found.duplicate(at, i32::from(number));
            }
            return Some(number);
        }
        ServiceType::ExternalName => {} // dropped, as the API server does when a Service changes its type
    }
    None
}

/// `--service-node-port-range` of an API server that was not told another.
const NODE_PORTS: core::ops::RangeInclusive<i32> = 30_000..=32_767;
