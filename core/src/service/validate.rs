//! A Service object → [`Service`], by the API server's rules (`ValidateService`), every mistake at once.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use svc_proto::names::annotation;
use svc_proto::values::Quoted;

use super::handling::Annotations;
use super::invalid::{Invalid, Mistakes, Path};
use super::metadata::{self, ANNOTATIONS, METADATA};
use super::object::{self, LoadBalancerIngress, ServiceSpec};
use super::{Handling, Ingress, Kind, Rules, Service, Valid, cluster_ips, grammar, health_check, ports};
use crate::address::ServiceName;
use crate::discovery::names::is_address;

/// Reads a Service as the API server would admit it, defaults filled in (S-01 to S-03, S-10, S-11, S-15, S-26, S-27).
///
/// # Errors
///
/// Everything that is wrong with it.
pub fn read_service(object: &object::Service, rules: &Rules) -> Result<Valid<Service>, Invalid> {
    let (no_metadata, no_spec) = (object::Metadata::default(), ServiceSpec::default());
    let metadata = object.metadata.as_ref().unwrap_or(&no_metadata);
    let spec = object.spec.as_ref().unwrap_or(&no_spec);
    let mut found = Mistakes::default();

    let name = metadata::names(metadata, grammar::dns_label, rules, &mut found);
    let written = metadata.annotations.iter().flatten();
    let annotations = metadata::annotations(written.map(|(key, value)| (key.as_str(), value.as_str())));
    let handling = Handling::read(&mut Annotations::new(&annotations, &mut found));
    metadata::weights(metadata, &mut found);
    let kind = kind(spec, &mut found);
    let addresses = cluster_ips::read(spec, kind, rules, &mut found);
    let service = Service {
        kind,
        headless: addresses.headless,
        ports: ports::read(spec, kind, addresses.headless, &mut found),
        external_name: external_name(spec, kind, &mut found),
        affinity: affinity(spec, &mut found),
        cluster_ips: addresses.ips,
        external_ips: external_ips(spec, &mut found),
        internal_traffic_local: internal_traffic_local(spec, &mut found),
        traffic_distribution: traffic_distribution(spec, &mut found),
        publish_not_ready: spec.publish_not_ready_addresses.unwrap_or(false),
        ingress: ingress(object, &mut found),
        annotations,
        handling,
        name,
    };
    found.verdict("Service", &service.name.name)?;
    Ok(Valid { warnings: warnings(&service, metadata), fact: service })
}

fn kind(spec: &ServiceSpec, found: &mut Mistakes) -> Kind {
    match spec.kind.as_deref() {
        None | Some("" | "ClusterIP") => Kind::ClusterIp,
        Some("NodePort") => Kind::NodePort,
        Some("LoadBalancer") => Kind::LoadBalancer,
        Some("ExternalName") => Kind::ExternalName,
        Some(other) => {
            let known = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
            found.unsupported(SPEC.field("type"), other, &known);
            Kind::ClusterIp
        }
    }
}

fn external_name(spec: &ServiceSpec, kind: Kind, found: &mut Mistakes) -> Option<Arc<str>> {
    if kind != Kind::ExternalName {
        return None;
    }
    let written = spec.external_name.as_deref().unwrap_or_default();
    let name = written.strip_suffix('.').unwrap_or(written);
    match name {
        "" => found.required(SPEC.field("externalName"), ""),
        name => found.invalid_each(SPEC.field("externalName"), name, grammar::dns_subdomain(name)),
    }
    Some(name.into())
}

/// S-10: 3 hours where the object does not say, a day at most.
fn affinity(spec: &ServiceSpec, found: &mut Mistakes) -> Option<Duration> {
    const DEFAULT_SECONDS: i32 = 10_800;
    const MAX_SECONDS: i32 = 86_400;
    let config_at = SPEC.field("sessionAffinityConfig");
    match spec.session_affinity.as_deref() {
        None | Some("" | "None") => {
            if spec.session_affinity_config.is_some() {
                found.forbidden(config_at, "must not be set when session affinity is None");
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

fn external_ips(spec: &ServiceSpec, found: &mut Mistakes) -> Vec<IpAddr> {
    let list_at = SPEC.field("externalIPs");
    let mut ips = Vec::new();
    for (index, text) in spec.external_ips.iter().flatten().enumerate() {
        match grammar::ip(text).and_then(|ip| grammar::special_ip(ip, false).map_or(Ok(ip), Err)) {
            Ok(ip) => ips.push(ip),
            Err(problem) => found.invalid(list_at.index(index), text, problem),
        }
    }
    ips
}

fn internal_traffic_local(spec: &ServiceSpec, found: &mut Mistakes) -> bool {
    match spec.internal_traffic_policy.as_deref() {
        None | Some("Cluster") => false,
        Some("Local") => true,
        Some(other) => {
            found.unsupported(SPEC.field("internalTrafficPolicy"), other, &["Cluster", "Local"]);
            false
        }
    }
}

fn traffic_distribution(spec: &ServiceSpec, found: &mut Mistakes) -> Option<Arc<str>> {
    const KNOWN: [&str; 3] = ["PreferClose", "PreferSameNode", "PreferSameZone"];
    let value = spec.traffic_distribution.as_deref()?;
    if !KNOWN.contains(&value) {
        found.unsupported(SPEC.field("trafficDistribution"), value, &KNOWN);
    }
    Some(value.into())
}

fn ingress(object: &object::Service, found: &mut Mistakes) -> Vec<Ingress> {
    let status = object.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    let entries = status.and_then(|balancer| balancer.ingress.as_ref()).into_iter().flatten();
    let status_at = Path::root("status");
    let balancer_at = status_at.field("loadBalancer");
    let list_at = balancer_at.field("ingress");
    entries.enumerate().map(|(index, entry)| ingress_entry(entry, list_at.index(index), found)).collect()
}

fn ingress_entry(entry: &LoadBalancerIngress, at: Path<'_>, found: &mut Mistakes) -> Ingress {
    let ip = entry.ip.as_ref().filter(|text| !text.is_empty()).and_then(|text| {
        grammar::ip(text).map_err(|problem| found.invalid(at.field("ip"), text, problem)).ok()
    });
    let hostname = entry.hostname.as_deref().filter(|name| !name.is_empty());
    if let Some(name) = hostname {
        found.invalid_each(at.field("hostname"), name, grammar::dns_subdomain(name));
    }
    let proxied = match entry.ip_mode.as_deref() {
        None | Some("VIP") => false,
        Some("Proxy") => true,
        Some(other) => {
            found.unsupported(at.field("ipMode"), other, &["Proxy", "VIP"]);
            false
        }
    };
    Ingress { ip, hostname: hostname.map(Arc::from), proxied }
}

fn warnings(service: &Service, metadata: &object::Metadata) -> Vec<String> {
    let ServiceName { name, .. } = &service.name;
    let look_alike = service.external_name.as_ref().filter(|name| is_address(name));
    let look_alike = look_alike.map(|name| {
        let name = Quoted(name);
        format!("spec.externalName: {name} is a name, not an address: no DNS server answers it, and traffic to it is refused")
    });
    let digit_first = name.starts_with(|first: char| first.is_ascii_digit()).then(|| {
        let at = METADATA.field("name");
        format!("{at}: {} starts with a digit, which API servers before 1.37 refuse", Quoted(name))
    });
    let misspelt = metadata::misspelt(metadata).map(|key| {
        format!("{}: no annotation of a Service is called so, and it is ignored", ANNOTATIONS.key(key))
    });
    let unasked = health_check_warning(service);
    look_alike.into_iter().chain(digit_first).chain(misspelt).chain(unasked).collect()
}

fn health_check_warning(service: &Service) -> Option<String> {
    if service.annotations.contains_key(annotation::HEALTH_CHECK) {
        return None;
    }
    let warning = health_check::warning(service.annotations.get(annotation::aws::CHECK_PROTOCOL)?)?;
    Some(format!("{}: {warning}", ANNOTATIONS.key(annotation::aws::CHECK_PROTOCOL)))
}

pub(super) const SPEC: Path<'_> = Path::root("spec");
