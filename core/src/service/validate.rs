//! A Service object → [`Service`], by the API server's rules (`ValidateService`), every mistake at once.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use svc_proto::json::nearest;
use svc_proto::names::annotation;

use super::handling::{AnnotationReader, is_encrypted};
use super::invalid::{FieldErrors, Invalid};
use super::object::{self, ServiceSpec};
use super::paths::{ANNOTATIONS, METADATA, SPEC};
use super::{
    Rules, Scope, Service, ServiceType, Valid, addresses, balancer, cluster_ips, grammar, labels, metadata,
    ports, status,
};
use crate::address::ServiceName;
use crate::dns::names::is_address;

/// Reads a Service as the API server would admit it, defaults filled in (S-01 to S-03, S-10, S-11, S-15, S-26, S-27).
///
/// # Errors
///
/// Everything that is wrong with it.
pub fn read_service(object: &object::Service, rules: &Rules) -> Result<Valid<Service>, Invalid> {
    read_service_in(object, rules, Scope::ALL)
}

/// The same, where only the annotations in `scope` are looked into.
pub(crate) fn read_service_in(
    object: &object::Service,
    rules: &Rules,
    scope: Scope,
) -> Result<Valid<Service>, Invalid> {
    let (no_metadata, no_spec) = (object::Metadata::default(), ServiceSpec::default());
    let metadata = object.metadata.as_ref().unwrap_or(&no_metadata);
    let spec = object.spec.as_ref().unwrap_or(&no_spec);
    let mut found = FieldErrors::default();

    let name = metadata::read(metadata, grammar::dns_label, rules, &mut found);
    let annotations = metadata::annotations(metadata);
    let class = spec.load_balancer_class.as_deref();
    let handling = scope.read(&mut AnnotationReader::new(&annotations, &mut found).of_class(class));
    metadata::weights(metadata, &mut found);
    let kind = kind(spec, &mut found);
    let own = cluster_ips::read(spec, kind, rules, &mut found);
    labels::check_all(spec.selector.as_ref(), SPEC.field("selector"), &mut found);
    balancer::check(metadata, spec, kind, &mut found);
    warn(metadata, &name, &annotations, &mut found);
    let service = Service {
        kind,
        headless: own.headless,
        ports: ports::read(spec, kind, own.headless, &mut found),
        external_name: external_name(spec, kind, &mut found),
        affinity: affinity(spec, &mut found),
        cluster_ips: own.ips,
        external_ips: external_ips(spec, &mut found),
        internal_traffic_local: internal_traffic_local(spec, &mut found),
        traffic_distribution: traffic_distribution(spec, &mut found),
        publish_not_ready: spec.publish_not_ready_addresses.unwrap_or(false),
        ingress: status::ingress(object, &mut found),
        annotations,
        handling,
        name,
    };
    let warnings = found.verdict("Service", &service.name.name)?;
    Ok(Valid { fact: service, warnings })
}

fn kind(spec: &ServiceSpec, found: &mut FieldErrors) -> ServiceType {
    match spec.kind.as_deref() {
        None | Some("" | "ClusterIP") => ServiceType::ClusterIp,
        Some("NodePort") => ServiceType::NodePort,
        Some("LoadBalancer") => ServiceType::LoadBalancer,
        Some("ExternalName") => ServiceType::ExternalName,
        Some(other) => {
            let known = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
            found.unsupported(SPEC.field("type"), other, &known);
            ServiceType::ClusterIp
        }
    }
}

fn external_name(spec: &ServiceSpec, kind: ServiceType, found: &mut FieldErrors) -> Option<Arc<str>> {
    if kind != ServiceType::ExternalName {
        return None;
    }
    let written = spec.external_name.as_deref().unwrap_or_default();
    let name = written.strip_suffix('.').unwrap_or(written);
    match name {
        "" => found.required(SPEC.field("externalName"), ""),
        name if is_address(name) => {
            let text = "is a name, not an address: no DNS server answers it, and traffic to it is refused";
            found.warn(SPEC.field("externalName"), Some(name.into()), text.into());
        }
        name => found.invalid_each(SPEC.field("externalName"), name, grammar::dns_subdomain(name)),
    }
    Some(name.into())
}

/// S-10: 3 hours where the object does not say, a day at most.
fn affinity(spec: &ServiceSpec, found: &mut FieldErrors) -> Option<Duration> {
    const DEFAULT_SECONDS: i32 = 10_800;
    const MAX_SECONDS: i32 = 86_400;
    let config_at = SPEC.field("sessionAffinityConfig");
    match spec.session_affinity.as_deref() {
        None | Some("" | "None") => {
            if spec.session_affinity_config.is_some() {
                found.warn(config_at, None, "is dropped: there is no session affinity".into());
            }
            None
        }
        Some("ClientIP") => {
            let config = spec.session_affinity_config.as_ref().and_then(|config| config.client_ip.as_ref());
            let seconds = config.and_then(|client_ip| client_ip.timeout_seconds).unwrap_or(DEFAULT_SECONDS);
            if !(1..=MAX_SECONDS).contains(&seconds) {
                let at = config_at.field("clientIP");
                found.invalid(
                    at.field("timeoutSeconds"),
                    seconds,
                    "must be greater than 0 and less than 86400",
                );
            }
            Some(Duration::from_secs(seconds.unsigned_abs().into()))
        }
        Some(other) => {
            found.unsupported(SPEC.field("sessionAffinity"), other, &["ClientIP", "None"]);
            None
        }
    }
}

fn external_ips(spec: &ServiceSpec, found: &mut FieldErrors) -> Vec<IpAddr> {
    let list_at = SPEC.field("externalIPs");
    let mut ips = Vec::new();
    for (index, text) in spec.external_ips.iter().flatten().enumerate() {
        let Some(ip) = addresses::read(text, list_at.index(index), found) else { continue };
        match grammar::special_ip(ip, false) {
            None => ips.push(ip),
            Some(problem) => found.invalid(list_at.index(index), text, problem),
        }
    }
    ips
}

fn internal_traffic_local(spec: &ServiceSpec, found: &mut FieldErrors) -> bool {
    match spec.internal_traffic_policy.as_deref() {
        None | Some("Cluster") => false,
        Some("Local") => true,
        Some(other) => {
            found.unsupported(SPEC.field("internalTrafficPolicy"), other, &["Cluster", "Local"]);
            false
        }
    }
}

fn traffic_distribution(spec: &ServiceSpec, found: &mut FieldErrors) -> Option<Arc<str>> {
    const KNOWN: [&str; 3] = ["PreferClose", "PreferSameNode", "PreferSameZone"];
    let value = spec.traffic_distribution.as_deref()?;
    if !KNOWN.contains(&value) {
        found.unsupported(SPEC.field("trafficDistribution"), value, &KNOWN);
    }
    Some(value.into())
}

/// What the author should know although the Service is admitted.
fn warn(
    metadata: &object::Metadata,
    name: &ServiceName,
    annotations: &BTreeMap<Arc<str>, Arc<str>>,
    found: &mut FieldErrors,
) {
    if name.name.starts_with(|first: char| first.is_ascii_digit()) {
        let text = "starts with a digit, which API servers before 1.37 refuse";
        found.warn(METADATA.field("name"), Some((&*name.name).into()), text.into());
    }
    let bare = |key: &'static str| key.strip_prefix(annotation::PREFIX).unwrap_or(key);
    let known = annotation::ON_SERVICES.map(bare);
    for key in metadata::misspelt(metadata) {
        let text = "no annotation of a Service is called so, and it is ignored";
        let meant = nearest(&key[annotation::PREFIX.len()..], &known);
        let meant = meant.map(|meant| format!("; did you mean `{}{meant}`?", annotation::PREFIX));
        found.warn(ANNOTATIONS.key(key), None, [text, &meant.unwrap_or_default()].concat());
    }
    if annotations.contains_key(annotation::HEALTH_CHECK) {
        return;
    }
    let protocol = annotations.get(annotation::aws::CHECK_PROTOCOL);
    if let Some(protocol) = protocol.filter(|protocol| is_encrypted(protocol)) {
        let at = ANNOTATIONS.key(annotation::aws::CHECK_PROTOCOL);
        let text = "names TLS, but endpoints are asked by a connection only, without TLS";
        found.warn(at, Some((&**protocol).into()), text.into());
    }
}
