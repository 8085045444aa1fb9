//! Services → environment, byte for byte as the kubelet does it.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use crate::service::{Service, ServiceType};

/// The variables that a container in `namespace` starts with, in the kubelet's order within each Service; the
/// Services stay in theirs (the kubelet's own order of Services is random).
///
/// A pod sees the Services of its own namespace, unless it has `enableServiceLinks: false`, and always
/// `default/kubernetes`, except where a Service of that name in its own namespace takes the place. Headless
/// Services and external names have no address to tell.
///
/// Addresses are in their canonical form (RFC 5952), as the API server writes those that it allocates. Two
/// Services may define one variable: `foo` and `foo-service` share `FOO_SERVICE_PORT`. Both are returned; the
/// kubelet keeps either, by chance.
pub fn generate<'a>(
    services: impl IntoIterator<Item = &'a Service>,
    namespace: &str,
    service_links: bool,
) -> Vec<(String, String)> {
    let services: Vec<&Service> = services.into_iter().collect();
    let is_own = |service: &Service| service_links && &*service.name.namespace == namespace;
    let has_own_master = services.iter().any(|service| is_own(service) && &*service.name.name == MASTER);
    let is_seen = |service: &Service| match is_master(service) {
        true => is_own(service) || !has_own_master,
        false => is_own(service),
    };
    let mut variables = Vec::new();
    for service in services.into_iter().filter(|service| is_seen(service)) {
        if let Some(address) = address(service) {
            push_service(&mut variables, service, address);
        }
    }
    variables
}

/// The start of all variables of the Service `name`: upper case, `_` for `-`. No two valid names share one.
pub fn prefix(name: &str) -> String {
    name.to_ascii_uppercase().replace('-', "_")
}

/// The API server's own Service.
fn is_master(service: &Service) -> bool {
    (&*service.name.namespace, &*service.name.name) == (MASTER_NAMESPACE, MASTER)
}

/// The first cluster IP, the one the API calls `clusterIP`.
fn address(service: &Service) -> Option<IpAddr> {
    match service.kind {
        ServiceType::ClusterIp | ServiceType::NodePort | ServiceType::LoadBalancer if !service.headless => {
            service.cluster_ips.first().copied()
        }
        ServiceType::ClusterIp
        | ServiceType::NodePort
        | ServiceType::LoadBalancer
        | ServiceType::ExternalName => None,
    }
}

fn push_service(variables: &mut Vec<(String, String)>, service: &Service, address: IpAddr) {
    let Some(first) = service.ports.first() else { return };
    let prefix = prefix(&service.name.name);
    variables.push((format!("{prefix}_SERVICE_HOST"), address.to_string()));
    variables.push((format!("{prefix}_SERVICE_PORT"), first.port.to_string()));
    for port in service.ports.iter().filter(|port| !port.name.is_empty()) {
        variables
            .push((format!("{prefix}_SERVICE_PORT_{}", self::prefix(&port.name)), port.port.to_string()));
    }
    push_links(variables, service, address, &prefix);
}

/// Docker's set. Addresses are bare, except in the URLs, where IPv6 needs brackets.
fn push_links(variables: &mut Vec<(String, String)>, service: &Service, address: IpAddr, prefix: &str) {
    for (index, port) in service.ports.iter().enumerate() {
        let transport = port.transport.as_str();
        let scheme = transport.to_ascii_lowercase();
        let url = format!("{scheme}://{}", SocketAddr::new(address, port.port));
        if index == 0 {
            variables.push((format!("{prefix}_PORT"), url.clone()));
        }
        let link = format!("{prefix}_PORT_{}_{transport}", port.port);
        variables.push((link.clone(), url));
        variables.push((format!("{link}_PROTO"), scheme));
        variables.push((format!("{link}_PORT"), port.port.to_string()));
        variables.push((format!("{link}_ADDR"), address.to_string()));
    }
}

/// The API server's own Service, in [`MASTER_NAMESPACE`].
pub(super) const MASTER: &str = "kubernetes";

/// Where [`MASTER`] lives.
pub(super) const MASTER_NAMESPACE: &str = "default";
