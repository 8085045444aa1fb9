//! `spec.clusterIP`, `spec.clusterIPs`, `spec.ipFamilies` and `spec.ipFamilyPolicy` of a Service (S-11, S-14).

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use ipnet::IpNet;

use super::invalid::{FieldErrors, Value};
use super::object::{self, ServiceSpec};
use super::paths::SPEC;
use super::{Rules, ServiceType, addresses};

#[derive(Default)]
pub(super) struct ClusterIps {
    pub(super) ips: Vec<IpAddr>,
    pub(super) headless: bool,
}

/// Reads them in the order of the API server's `ValidateServiceClusterIPsRelatedFields`, then as its allocator would.
pub(super) fn read(
    spec: &ServiceSpec,
    kind: ServiceType,
    rules: &Rules,
    found: &mut FieldErrors,
) -> ClusterIps {
    let list_at = SPEC.field("clusterIPs");
    let first = spec.cluster_ip.as_ref().filter(|ip| !ip.is_empty());
    let list = match (spec.cluster_ips.as_deref(), first) {
        (None | Some([]), Some(first)) => core::slice::from_ref(first),
        (list, _) => list.unwrap_or_default(),
    };
    if kind == ServiceType::ExternalName {
        if !list.is_empty() {
            found.forbidden(list_at, NOT_EXTERNAL);
        }
        if spec.ip_families.as_ref().is_some_and(|families| !families.is_empty()) {
            found.forbidden(SPEC.field("ipFamilies"), NOT_EXTERNAL);
        }
        if spec.ip_family_policy.is_some() {
            found.forbidden(SPEC.field("ipFamilyPolicy"), NOT_EXTERNAL);
        }
        return ClusterIps::default();
    }
    let before = found.len();
    check_families(spec, found);
    check_policy(spec, list, rules, found);
    match first {
        None if !list.is_empty() => {
            found.invalid(list_at, Value::list(list), "must be empty when `clusterIP` is not specified");
        }
        Some(first) if list.first() != Some(first) => {
            found.invalid(list_at, Value::list(list), "first value must match `clusterIP`");
        }
        None | Some(_) => {}
    }
    if list.first().is_some_and(|ip| ip == NONE) {
        check_headless(list, kind, found);
        return ClusterIps { ips: Vec::new(), headless: true };
    }
    let ips = parse(list, found);
    if found.len() == before {
        check_pair(list, &ips, found);
        check_expected_families(spec, list, &ips, found);
    }
    if found.len() == before {
        check_range(list, &ips, rules, found);
    }
    ClusterIps { ips, headless: false }
}

fn check_headless(list: &[String], kind: ServiceType, found: &mut FieldErrors) {
    let list_at = SPEC.field("clusterIPs");
    if list.len() > 1 {
        found.invalid(list_at, Value::list(list), "'None' must be the first and only value");
    }
    if matches!(kind, ServiceType::NodePort | ServiceType::LoadBalancer) {
        let detail = format!("may not be set to 'None' for {} services", kind.as_str());
        found.invalid(list_at.index(0), NONE, &detail);
    }
}

fn check_families(spec: &ServiceSpec, found: &mut FieldErrors) {
    let at = SPEC.field("ipFamilies");
    let families = spec.ip_families.as_deref().unwrap_or_default();
    for (index, family) in families.iter().enumerate() {
        if !["IPv4", "IPv6"].contains(&family.as_str()) {
            found.unsupported(at.index(index), family, &["IPv4", "IPv6"]);
        }
        if families[..index].contains(family) {
            found.duplicate(at.index(index), family);
        }
    }
}

/// What the allocator of an API server asks of the policy. One that is told nothing of it, where there are two of something, refuses the
/// Service; here it serves, with a warning, for nothing depends on it.
fn check_policy(spec: &ServiceSpec, list: &[String], rules: &Rules, found: &mut FieldErrors) {
    const POLICIES: [&str; 3] = ["PreferDualStack", "RequireDualStack", "SingleStack"];
    let at = SPEC.field("ipFamilyPolicy");
    let policy = spec.ip_family_policy.as_deref();
    let families = spec.ip_families.as_deref().unwrap_or_default();
    if let Some(policy) = policy.filter(|policy| !POLICIES.contains(policy)) {
        return found.unsupported(at, policy, &POLICIES);
    }
    for (several, what) in [(list, "cluster IPs"), (families, "IP families")] {
        let detail =
            || format!("must be 'RequireDualStack' or 'PreferDualStack' when multiple {what} are specified");
        match policy {
            Some(single @ "SingleStack") if several.len() == 2 => found.invalid(at, single, &detail()),
            None if several.len() == 2 && !is_without_pods(spec, list) => {
                found.warn(at, None, format!("{}, or an API server refuses the Service", detail()));
            }
            Some(_) | None => {}
        }
    }
    let configured = |wanted: &str| rules.service_cidrs.iter().any(|range| family(&range.addr()) == wanted);
    if rules.service_cidrs.is_empty() || is_without_pods(spec, list) {
        return;
    }
    if let Some(policy @ "RequireDualStack") = policy
        && !(configured("IPv4") && configured("IPv6"))
    {
        found.invalid(at, policy, "this cluster is not configured for dual-stack services");
    }
    for (index, wanted) in families.iter().enumerate() {
        if !configured(wanted) {
            found.invalid(SPEC.field("ipFamilies").index(index), wanted, "not configured on this cluster");
        }
    }
}

/// Headless and without a selector: its endpoints are whatever somebody writes, of any family.
fn is_without_pods(spec: &ServiceSpec, list: &[String]) -> bool {
    let selects = spec.selector.as_ref().is_some_and(|selector| selector.iter().next().is_some());
    !selects && list.first().is_some_and(|ip| ip == NONE)
}

fn parse(list: &[String], found: &mut FieldErrors) -> Vec<IpAddr> {
    let list_at = SPEC.field("clusterIPs");
    let mut ips = Vec::with_capacity(list.len());
    for (index, text) in list.iter().enumerate() {
        ips.extend(addresses::read(text, list_at.index(index), found));
    }
    if list.len() > 2 {
        found.invalid(list_at, Value::list(list), "may only hold up to 2 values");
    }
    ips
}

fn check_pair(list: &[String], ips: &[IpAddr], found: &mut FieldErrors) {
    if let [first, second] = ips
        && first.is_ipv4() == second.is_ipv4()
    {
        found.invalid(
            SPEC.field("clusterIPs"),
            Value::list(list),
            "may specify no more than one IP for each IP family",
        );
    }
}

fn check_expected_families(spec: &ServiceSpec, list: &[String], ips: &[IpAddr], found: &mut FieldErrors) {
    let families = spec.ip_families.as_deref().unwrap_or_default();
    for (index, (ip, expected)) in ips.iter().zip(families).enumerate() {
        if family(ip) != expected {
            let detail = format!("expected an {expected} value as indicated by `ipFamilies[{index}]`");
            found.invalid(SPEC.field("clusterIPs").index(index), &list[index], &detail);
        }
    }
}

/// S-11: chosen addresses lie in the range of their family, where ranges are given.
fn check_range(list: &[String], ips: &[IpAddr], rules: &Rules, found: &mut FieldErrors) {
    for (index, ip) in ips.iter().enumerate() {
        let mut ranges =
            rules.service_cidrs.iter().filter(|range| family(&range.addr()) == family(ip)).peekable();
        if rules.service_cidrs.is_empty() || ranges.clone().any(|range| range.contains(ip)) {
            continue;
        }
        match ranges.peek() {
            Some(range) => out_of_range(list, ip, range, found),
            None => {
                let detail = format!("{} is not configured on this cluster", family(ip));
                found.invalid(SPEC.field("clusterIPs").index(index), Value::list(list), &detail);
            }
        }
    }
}

fn out_of_range(list: &[String], ip: &IpAddr, range: &IpNet, found: &mut FieldErrors) {
    let detail = format!(
        "failed to allocate IP {ip}: the provided IP is not in the valid range. The range of valid IPs is {range}"
    );
    found.invalid(SPEC.field("clusterIPs"), Value::list(list), &detail);
}

fn family(ip: &IpAddr) -> &'static str {
    match ip {
        IpAddr::V4(_) => "IPv4",
        IpAddr::V6(_) => "IPv6",
    }
}

const NOT_EXTERNAL: &str = "may not be set for ExternalName services";

/// What a headless Service has in place of an address.
/// What asks for no cluster IP.
const NONE: &str = object::NO_CLUSTER_IP;
