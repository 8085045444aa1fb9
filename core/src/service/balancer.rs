//! What a Service says of traffic from outside, and of load balancers (S-15, S-24): nothing here routes by it, and an API server refuses it in
//! the wrong place.

use super::invalid::{FieldErrors, Path};
use super::object::{Metadata, ServiceSpec};
use super::paths::{ANNOTATIONS, SPEC};
use super::{ServiceType, addresses, grammar};

/// In the order of the API server's `ValidateService`.
pub(super) fn check(metadata: &Metadata, spec: &ServiceSpec, kind: ServiceType, found: &mut FieldErrors) {
    check_source_ranges(metadata, spec, kind, found);
    if spec.allocate_load_balancer_node_ports.is_some() && kind != ServiceType::LoadBalancer {
        found.forbidden(SPEC.field("allocateLoadBalancerNodePorts"), ONLY_BALANCED);
    }
    match spec.load_balancer_class.as_deref() {
        Some(class) if kind == ServiceType::LoadBalancer => {
            found.invalid_each(SPEC.field("loadBalancerClass"), class, grammar::qualified_name(class));
        }
        Some(_) => found.forbidden(SPEC.field("loadBalancerClass"), ONLY_BALANCED),
        None => {}
    }
    check_external_traffic(spec, kind, found);
    check_topology(metadata, found);
}

/// The field, or where that is empty the annotation that was there before it.
fn check_source_ranges(metadata: &Metadata, spec: &ServiceSpec, kind: ServiceType, found: &mut FieldErrors) {
    let ranges = spec.load_balancer_source_ranges.as_deref().unwrap_or_default();
    if !ranges.is_empty() {
        let at = SPEC.field("loadBalancerSourceRanges");
        if kind != ServiceType::LoadBalancer {
            found.forbidden(at, ONLY_BALANCED);
        }
        for (index, range) in ranges.iter().enumerate() {
            check_range(range.trim(), at.index(index), found);
        }
        return;
    }
    let annotation = metadata.annotations.as_ref().and_then(|annotations| annotations.get(SOURCE_RANGES));
    let Some(ranges) = annotation else { return };
    let at = ANNOTATIONS.key(SOURCE_RANGES);
    if kind != ServiceType::LoadBalancer {
        found.forbidden(at, ONLY_BALANCED);
    }
    for range in ranges.split(',').map(str::trim).filter(|_| !ranges.trim().is_empty()) {
        check_range(range, at, found);
    }
}

fn check_range(range: &str, at: Path<'_>, found: &mut FieldErrors) {
    if !addresses::is_cidr(range) {
        found.invalid(at, range, "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)");
    }
}

fn check_external_traffic(spec: &ServiceSpec, kind: ServiceType, found: &mut FieldErrors) {
    let at = SPEC.field("externalTrafficPolicy");
    let policy = spec.external_traffic_policy.as_deref().unwrap_or_default();
    let has_external_ips = spec.external_ips.as_ref().is_some_and(|ips| !ips.is_empty());
    let is_external = match kind {
        ServiceType::LoadBalancer | ServiceType::NodePort => true,
        ServiceType::ClusterIp => has_external_ips,
        ServiceType::ExternalName => false,
    };
    match policy {
        "" => {}
        policy if !is_external => {
            found.invalid(at, policy, "may only be set for externally-accessible services");
        }
        "Cluster" | "Local" => {}
        other => found.unsupported(at, other, &["Cluster", "Local"]),
    }
    let Some(port) = spec.health_check_node_port.filter(|port| *port != 0) else { return };
    let at = SPEC.field("healthCheckNodePort");
    if kind != ServiceType::LoadBalancer || policy != "Local" {
        let detail = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
        found.invalid(at, port, detail);
    } else if let Err(problem) = grammar::port_number(port) {
        found.invalid(at, port, problem);
    }
}

/// Two names of one annotation.
fn check_topology(metadata: &Metadata, found: &mut FieldErrors) {
    let annotation = |key| metadata.annotations.as_ref().and_then(|annotations| annotations.get(key));
    if let (Some(mode), Some(hints)) = (annotation(TOPOLOGY_MODE), annotation(TOPOLOGY_HINTS))
        && mode != hints
    {
        let detail =
            "must match annotations[service.kubernetes.io/topology-aware-hints] when both are specified";
        found.invalid(ANNOTATIONS.key(TOPOLOGY_MODE), mode, detail);
    }
}

const ONLY_BALANCED: &str = "may only be used when `type` is 'LoadBalancer'";
const SOURCE_RANGES: &str = "service.beta.kubernetes.io/load-balancer-source-ranges";
const TOPOLOGY_MODE: &str = "service.kubernetes.io/topology-mode";
const TOPOLOGY_HINTS: &str = "service.kubernetes.io/topology-aware-hints";
