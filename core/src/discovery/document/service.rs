//! A Service of a document → facts: by way of the object that it tells of, so that both are held to the same rules in the same words.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use svc_proto::json::Mistake;
use svc_proto::services as document;
use svc_proto::values;

use crate::address::{ServiceName, Transport};
use crate::service::{Policy, Port, Rules, Scope, Service, ServiceType, TargetPort, object, read_service_in};

/// What the Service says, or why it is refused.
pub(super) fn read(written: &document::Service<'_>, rules: &Rules, scope: Scope) -> Result<Service, String> {
    let valid = read_service_in(&object(written), rules, scope).map_err(|invalid| {
        let mistakes: Vec<String> = invalid.mistakes.iter().map(ToString::to_string).collect();
        mistakes.join(", ")
    })?;
    let mut service = valid.fact;
    // Whoever wrote the document has given out all addresses, and an only port without a name is one of the environment.
    service.headless = written.cluster_ips.is_empty() && service.kind != ServiceType::ExternalName;
    let needs_names = service.kind != ServiceType::ExternalName && unnamed(&written.ports) > 1;
    for (port, written) in service.ports.iter_mut().zip(&written.ports).filter(|_| !needs_names) {
        port.name = (&*written.name).into();
    }
    service.handling.policy = service.handling.policy.or(policy(written, &service)?);
    Ok(service)
}

/// What only DNS knows, and that somebody wanted: a Service of the cluster, or a host, which goes by the name that DNS knows.
pub(super) fn read_from_dns(written: &document::Service<'_>) -> Result<Service, String> {
    if written.name.is_empty() || written.name.len() > HOST_BYTES_MAX {
        return Err(format!("name: must be no less than 1 and no more than {HOST_BYTES_MAX} bytes"));
    }
    let is_host = written.namespace.is_empty();
    let known_as = written.external_name.as_deref().unwrap_or(&written.name);
    let name = ServiceName::new(&*written.namespace, &*written.name);
    Ok(Service {
        kind: if is_host { ServiceType::ExternalName } else { ServiceType::ClusterIp },
        external_name: is_host.then(|| known_as.to_ascii_lowercase().into()),
        headless: !is_host && written.cluster_ips.is_empty(),
        cluster_ips: if is_host { Vec::new() } else { written.cluster_ips.clone() },
        ..Service::plain(name, dns_ports(&written.ports)?)
    })
}

/// The object that would say the same.
fn object(written: &document::Service<'_>) -> object::Service {
    let mut annotations = BTreeMap::new();
    for (key, value) in &written.annotations.0 {
        annotations.insert(key.to_string(), value.to_string());
    }
    let metadata = object::Metadata {
        name: Some(written.name.to_string()),
        namespace: Some(written.namespace.to_string()),
        annotations: Some(annotations),
        ..object::Metadata::default()
    };
    let ingress = written.ingress.iter().map(|ingress| object::LoadBalancerIngress {
        ip: ingress.ip.map(|ip| ip.to_string()),
        hostname: ingress.hostname.as_deref().map(String::from),
        ip_mode: filled(&ingress.ip_mode),
    });
    let status = object::LoadBalancerStatus { ingress: Some(ingress.collect()) };
    object::Service {
        metadata: Some(metadata),
        spec: Some(spec(written)),
        status: Some(object::ServiceStatus { load_balancer: Some(status) }),
    }
}

fn spec(written: &document::Service<'_>) -> object::ServiceSpec {
    let texts = |ips: &[core::net::IpAddr]| ips.iter().map(ToString::to_string).collect::<Vec<_>>();
    let kind = filled(&written.kind);
    let is_headless = written.cluster_ips.is_empty() && matches!(kind.as_deref(), None | Some("ClusterIP"));
    let cluster_ips =
        if is_headless { [object::NO_CLUSTER_IP.into()].into() } else { texts(&written.cluster_ips) };
    object::ServiceSpec {
        cluster_ip: cluster_ips.first().cloned(),
        cluster_ips: Some(cluster_ips),
        external_ips: Some(texts(&written.external_ips)),
        external_name: written.external_name.as_deref().map(str::to_ascii_lowercase),
        session_affinity: filled(&written.session_affinity.kind),
        session_affinity_config: affinity_config(&written.session_affinity),
        internal_traffic_policy: filled(&written.internal_traffic_policy),
        traffic_distribution: written.traffic_distribution.as_deref().map(String::from),
        ports: Some(ports(&written.ports)),
        kind,
        ..object::ServiceSpec::default()
    }
}

/// Nothing where nothing is said of it.
fn affinity_config(written: &document::SessionAffinity<'_>) -> Option<object::SessionAffinityConfig> {
    let seconds = i32::try_from(written.timeout_seconds?).unwrap_or(i32::MAX);
    let client_ip = object::ClientIpConfig { timeout_seconds: Some(seconds) };
    Some(object::SessionAffinityConfig { client_ip: Some(client_ip) })
}

/// Names tell ports apart (S-03): of several those that have none get one such as `port-81-tcp`, as those of the environment do.
fn ports(written: &[document::Port<'_>]) -> Vec<object::ServicePort> {
    let name = |port: &document::Port<'_>| match written.len() > 1 && port.name.is_empty() {
        true => {
            let transport = if port.protocol.is_empty() { "tcp" } else { &*port.protocol };
            format!("port-{}-{}", port.port, transport.to_ascii_lowercase())
        }
        false => port.name.to_string(),
    };
    let object = |port: &document::Port<'_>| object::ServicePort {
        name: Some(name(port)),
        port: Some(port.port.into()),
        protocol: filled(&port.protocol),
        target_port: None,
        node_port: port.node_port.map(i32::from),
        app_protocol: port.app_protocol.as_deref().map(String::from),
    };
    written.iter().map(object).collect()
}

fn unnamed(ports: &[document::Port<'_>]) -> usize {
    ports.iter().filter(|port| port.name.is_empty()).count()
}

/// The ports that clients have asked for.
fn dns_ports(written: &[document::Port<'_>]) -> Result<Vec<Port>, String> {
    let port = |written: &document::Port<'_>| {
        let transport = word("ports.protocol", &written.protocol, &TRANSPORTS)?;
        let target = TargetPort::Number(written.port);
        let plain = Port::unnamed(written.port);
        Ok(Port { name: (&*written.name).into(), transport, target, ..plain })
    };
    let ports: Vec<Port> = written.iter().map(port).collect::<Result<_, String>>()?;
    for (index, port) in ports.iter().enumerate() {
        if ports[..index].iter().any(|known| (known.port, known.transport) == (port.port, port.transport)) {
            return Err(format!(
                "ports: {} port {} is told more than once",
                port.transport.as_str(),
                port.port
            ));
        }
    }
    Ok(ports)
}

/// The policy that the document shows, where that is not what a Service gets that asks for none: people write one without the annotation.
fn policy(written: &document::Service<'_>, service: &Service) -> Result<Option<Policy>, String> {
    if written.policy.is_empty() {
        return Ok(None);
    }
    let policy = word("policy", &written.policy, &Policy::ALL.map(|policy| (policy.as_str(), policy)))?;
    Ok((policy != Policy::shown(service)).then_some(policy))
}

/// What one of a few words means; the first, where there is none.
fn word<T: Copy>(field: &str, written: &str, words: &[(&'static str, T)]) -> Result<T, String> {
    let usual = words.first().map_or("", |(word, _)| word);
    let word = if written.is_empty() { usual } else { written };
    values::one_of(word, words).map_err(|expected| {
        Mistake { field: field.into(), value: Some(written.into()), expected }.to_string()
    })
}

fn filled(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.into())
}

const TRANSPORTS: [(&str, Transport); 3] =
    [("TCP", Transport::Tcp), ("UDP", Transport::Udp), ("SCTP", Transport::Sctp)];

const HOST_BYTES_MAX: usize = 253; // RFC 1035 §2.3.4: 255 on the wire, less the first length and the root
