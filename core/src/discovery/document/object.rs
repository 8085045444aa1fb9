//! A Service of a document as the object that it was, held to the same rules.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use svc_proto::services as document;

use crate::address::ServiceName;
use crate::balance::Policy;
use crate::service::object::{
    ClientIpConfig, LoadBalancerIngress, LoadBalancerStatus, Metadata, Service as Object, ServicePort,
    ServiceSpec, ServiceStatus, SessionAffinityConfig,
};
use crate::service::{Kind, Port, Rules, Service, read_service};

/// What the Service says, or why it is refused.
pub(super) fn read(written: &document::Service<'_>, rules: &Rules) -> Result<Service, String> {
    let valid = read_service(&object(written), rules).map_err(|invalid| invalid.to_string())?;
    let mut service = valid.fact;
    service.handling.policy = service.handling.policy.or(policy(written, &service)?);
    let unnamed = || written.ports.iter().filter(|port| port.name.is_empty());
    if service.kind == Kind::ExternalName || unnamed().count() == 1 {
        let unnamed = service.ports.iter_mut().zip(&written.ports).filter(|(_, port)| port.name.is_empty());
        unnamed.for_each(|(port, _)| port.name = Arc::default());
    }
    Ok(service)
}

/// What only DNS knows, and that somebody wanted: a Service of the cluster, or a host, which goes by the name that DNS knows.
pub(super) fn read_from_dns(written: &document::Service<'_>) -> Result<Service, String> {
    if written.name.is_empty() || written.name.len() > HOST_BYTES_MAX {
        return Err(format!("name: must be no less than 1 and no more than {HOST_BYTES_MAX} bytes"));
    }
    if written.ports.iter().any(|port| port.port == 0) {
        return Err("ports: must be between 1 and 65535, inclusive".into());
    }
    let is_host = written.namespace.is_empty();
    let known_as = written.external_name.as_deref().unwrap_or(&written.name);
    let name = ServiceName::new(&*written.namespace, &*written.name);
    Ok(Service {
        kind: if is_host { Kind::ExternalName } else { Kind::ClusterIp },
        external_name: is_host.then(|| known_as.to_ascii_lowercase().into()),
        headless: !is_host && written.cluster_ips.is_empty(),
        cluster_ips: if is_host { Vec::new() } else { written.cluster_ips.clone() },
        ..Service::plain(name, written.ports.iter().map(port).collect())
    })
}

fn port(written: &document::Port<'_>) -> Port {
    let app_protocol = written.app_protocol.as_deref().map(Arc::from);
    Port { name: (&*written.name).into(), app_protocol, ..Port::unnamed(written.port) }
}

/// The policy that the document shows, where that is not what a Service gets that asks for none: people write one without the annotation.
fn policy(written: &document::Service<'_>, service: &Service) -> Result<Option<Policy>, String> {
    if written.policy.is_empty() {
        return Ok(None);
    }
    match Policy::parse(&written.policy) {
        Some(policy) => Ok((policy != Policy::shown(service)).then_some(policy)),
        None => {
            let known: Vec<&str> = Policy::ALL.iter().map(|policy| policy.as_str()).collect();
            Err(format!(
                "policy: Unsupported value: {:?}: supported values: {}",
                written.policy,
                known.join(", ")
            ))
        }
    }
}

fn object(written: &document::Service<'_>) -> Object {
    let annotations = written.annotations.iter().map(|(key, value)| (key.to_string(), value.to_string()));
    let ingress = written.ingress.iter().map(ingress).collect();
    Object {
        metadata: Some(Metadata {
            name: Some(written.name.to_string()),
            namespace: Some(written.namespace.to_string()),
            labels: None,
            annotations: Some(annotations.collect()),
        }),
        spec: Some(spec(written)),
        status: Some(ServiceStatus { load_balancer: Some(LoadBalancerStatus { ingress: Some(ingress) }) }),
    }
}

fn spec(written: &document::Service<'_>) -> ServiceSpec {
    let mut cluster_ips: Vec<String> = written.cluster_ips.iter().map(ToString::to_string).collect();
    if cluster_ips.is_empty() && written.kind != Kind::ExternalName.as_str() {
        cluster_ips.push("None".into());
    }
    let timeout_seconds =
        written.session_affinity.timeout_seconds.map(|seconds| i32::try_from(seconds).unwrap_or(i32::MAX));
    let config = timeout_seconds.map(|seconds| SessionAffinityConfig {
        client_ip: Some(ClientIpConfig { timeout_seconds: Some(seconds) }),
    });
    ServiceSpec {
        kind: Some(written.kind.to_string()),
        cluster_ip: cluster_ips.first().cloned(),
        cluster_ips: Some(cluster_ips),
        ip_families: None,
        external_ips: Some(written.external_ips.iter().map(ToString::to_string).collect()),
        external_name: written.external_name.as_ref().map(ToString::to_string),
        session_affinity: Some(written.session_affinity.kind.to_string()),
        session_affinity_config: config,
        internal_traffic_policy: Some(written.internal_traffic_policy.to_string())
            .filter(|policy| !policy.is_empty()),
        traffic_distribution: written.traffic_distribution.as_ref().map(ToString::to_string),
        publish_not_ready_addresses: None, // its endpoints are told as ready
        ports: Some(ports(&written.ports)),
    }
}

/// Names tell ports apart (S-03): those that have none get `port-81-tcp` for one, as those of the environment do.
fn ports(written: &[document::Port<'_>]) -> Vec<ServicePort> {
    let needs_name = written.len() > 1;
    written.iter().map(|port| service_port(port, needs_name)).collect()
}

fn service_port(port: &document::Port<'_>, needs_name: bool) -> ServicePort {
    let name = match port.name.is_empty() && needs_name {
        true => format!("port-{}-{}", port.port, port.protocol.to_ascii_lowercase()),
        false => port.name.to_string(),
    };
    ServicePort {
        name: Some(name),
        port: Some(port.port.into()),
        protocol: Some(port.protocol.to_string()),
        target_port: None,
        node_port: port.node_port.map(i32::from),
        app_protocol: port.app_protocol.as_ref().map(ToString::to_string),
    }
}

fn ingress(written: &document::Ingress<'_>) -> LoadBalancerIngress {
    LoadBalancerIngress {
        ip: written.ip.map(|ip| ip.to_string()),
        hostname: written.hostname.as_ref().map(ToString::to_string),
        ip_mode: Some(written.ip_mode.to_string()).filter(|mode| !mode.is_empty()),
    }
}

const HOST_BYTES_MAX: usize = 253; // RFC 1035 §2.3.4: 255 on the wire, less the first length and the root
