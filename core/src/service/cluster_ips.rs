//! `spec.clusterIP`, `spec.clusterIPs` and `spec.ipFamilies` of a Service (S-11, S-14).

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use ipnet::IpNet;

use super::invalid::{Mistakes, Value};
use super::object::ServiceSpec;
use super::validate::SPEC;
use super::{Kind, Rules, grammar};

#[derive(Default)]
pub(super) struct ClusterIps {
    pub(super) ips: Vec<IpAddr>,
    pub(super) headless: bool,
}

/// Reads them in the order of the API server's `ValidateServiceClusterIPsRelatedFields`, then as its allocator would.
pub(super) fn read(spec: &ServiceSpec, kind: Kind, rules: &Rules, found: &mut Mistakes) -> ClusterIps {
    let list_at = SPEC.field("clusterIPs");
    let first = spec.cluster_ip.as_ref().filter(|ip| !ip.is_empty());
    let list = match (spec.cluster_ips.as_deref(), first) {
        (None | Some([]), Some(first)) => core::slice::from_ref(first),
        (list, _) => list.unwrap_or_default(),
    };
    if kind == Kind::ExternalName {
        if !list.is_empty() {
            found.forbidden(list_at, "may not be set for ExternalName services");
        }
        return ClusterIps::default();
    }
    let before = found.len();
    check_families(spec, found);
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

fn check_headless(list: &[String], kind: Kind, found: &mut Mistakes) {
    let list_at = SPEC.field("clusterIPs");
    if list.len() > 1 {
        found.invalid(list_at, Value::list(list), "'None' must be the first and only value");
    }
    if matches!(kind, Kind::NodePort | Kind::LoadBalancer) {
        let detail = format!("may not be set to 'None' for {} services", kind.as_str());
        found.invalid(list_at.index(0), NONE, &detail);
    }
}

fn check_families(spec: &ServiceSpec, found: &mut Mistakes) {
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

fn parse(list: &[String], found: &mut Mistakes) -> Vec<IpAddr> {
    let list_at = SPEC.field("clusterIPs");
    let mut ips = Vec::with_capacity(list.len());
    for (index, text) in list.iter().enumerate() {
        match grammar::ip(text) {
            Ok(ip) => ips.push(ip),
            Err(problem) => found.invalid(list_at.index(index), text, problem),
        }
    }
    if list.len() > 2 {
        found.invalid(list_at, Value::list(list), "may only hold up to 2 values");
    }
    ips
}

fn check_pair(list: &[String], ips: &[IpAddr], found: &mut Mistakes) {
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

fn check_expected_families(spec: &ServiceSpec, list: &[String], ips: &[IpAddr], found: &mut Mistakes) {
    let families = spec.ip_families.as_deref().unwrap_or_default();
    for (index, (ip, expected)) in ips.iter().zip(families).enumerate() {
        if family(ip) != expected {
            let detail = format!("expected an {expected} value as indicated by `ipFamilies[{index}]`");
            found.invalid(SPEC.field("clusterIPs").index(index), &list[index], &detail);
        }
    }
}

/// S-11: chosen addresses lie in the range of their family, where ranges are given.
fn check_range(list: &[String], ips: &[IpAddr], rules: &Rules, found: &mut Mistakes) {
    for (index, ip) in ips.iter().enumerate() {
        let mut ranges =
            rules.service_cidrs.iter().filter(|range| family(&range.addr()) == family(ip)).peekable();
        if rules.service_cidrs.is_empty() || ranges.clone().any(|range| range.contains(ip)) {
            continue;
        }
        match ranges.peek() {
            Some(range) => out_of_range(list, ip, range, found),
            None => {
                found.invalid(
                    SPEC.field("ipFamilies").index(index),
                    family(ip),
                    "not configured on this cluster",
                );
            }
        }
    }
}

fn out_of_range(list: &[String], ip: &IpAddr, range: &IpNet, found: &mut Mistakes) {
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

/// What a headless Service has in place of an address.
const NONE: &str = "None";
