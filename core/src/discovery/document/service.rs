//! A Service of a document → facts.
//!
//! The sidecar that wrote it has held the object to the API server's rules. People write Services in this language too, so what would make a
//! table wrong is looked for all the same: names that are none, ports that are told twice, addresses that nobody may claim, words that
//! mean nothing.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use svc_proto::json::Mistake;
use svc_proto::services as document;
use svc_proto::values::Quoted;
use svc_proto::values::{self, Expected};

use crate::address::{ServiceName, Transport};
use crate::balance::Policy;
use crate::hash::HashSet;
use crate::service::{Ingress, Kind, Port, Rules, Scope, Service, TargetPort, read_annotations, special_ip};

/// What the Service says, or why it is refused.
pub(super) fn read(written: &document::Service<'_>, rules: &Rules, scope: Scope) -> Result<Service, String> {
    let kind = word("type", &written.kind, &KINDS)?;
    let annotations = written.annotations.0.iter().map(|(key, value)| (&**key, &**value));
    let (annotations, handling) =
        read_annotations(annotations, scope).map_err(|mistake| mistake.to_string())?;
    let mut service = Service {
        name: name(written)?,
        kind,
        cluster_ips: cluster_ips(&written.cluster_ips, kind, rules)?,
        headless: written.cluster_ips.is_empty() && kind != Kind::ExternalName,
        external_ips: external_ips(&written.external_ips)?,
        ingress: ingress(&written.ingress)?,
        external_name: external_name(written, kind)?,
        affinity: affinity(&written.session_affinity)?,
        internal_traffic_local: word(
            "internalTrafficPolicy",
            &written.internal_traffic_policy,
            &[("Cluster", false), ("Local", true)],
        )?,
        traffic_distribution: traffic_distribution(written)?,
        publish_not_ready: false, // its endpoints are told as ready
        annotations,
        handling,
        ports: ports(&written.ports, kind)?,
    };
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
        kind: if is_host { Kind::ExternalName } else { Kind::ClusterIp },
        external_name: is_host.then(|| known_as.to_ascii_lowercase().into()),
        headless: !is_host && written.cluster_ips.is_empty(),
        cluster_ips: if is_host { Vec::new() } else { written.cluster_ips.clone() },
        ..Service::plain(name, ports(&written.ports, Kind::ExternalName)?)
    })
}

fn name(written: &document::Service<'_>) -> Result<ServiceName, String> {
    let label =
        |field, written: &str| values::label(written).map_err(|expected| wrong(field, written, expected));
    Ok(ServiceName::new(label("namespace", &written.namespace)?, label("name", &written.name)?))
}

/// One of each family at most, in their ranges where ranges are given (S-11).
fn cluster_ips(ips: &[IpAddr], kind: Kind, rules: &Rules) -> Result<Vec<IpAddr>, String> {
    let ranges = &rules.service_cidrs;
    let is_stray = |ip: &&IpAddr| !ranges.is_empty() && !ranges.iter().any(|range| range.contains(*ip));
    let stray = ips.iter().find(is_stray);
    let problem = match ips {
        [_, ..] if kind == Kind::ExternalName => "of type ExternalName have none",
        [first, second] if first.is_ipv4() == second.is_ipv4() => "have at most one of each family",
        [_, _, _, ..] => "have at most one of each family",
        _ if stray.is_some() => "have them in `serviceCIDR`",
        _ => return Ok(ips.to_vec()),
    };
    let mut told = String::new();
    for ip in ips {
        told += if told.is_empty() { "" } else { ", " };
        told += &ip.to_string();
    }
    Err(format!("clusterIPs: Services {problem}, not [{told}]"))
}

fn external_ips(ips: &[IpAddr]) -> Result<Vec<IpAddr>, String> {
    let problem = ips.iter().find_map(|ip| Some((ip, special_ip(*ip, false)?)));
    match problem {
        Some((ip, problem)) => Err(format!("externalIPs: {ip} {problem}")),
        None => Ok(ips.to_vec()),
    }
}

fn ingress(written: &[document::Ingress<'_>]) -> Result<Vec<Ingress>, String> {
    let mut read = Vec::with_capacity(written.len());
    for written in written {
        let hostname = written.hostname.as_deref().map(Arc::from);
        let proxied = word("ingress.ipMode", &written.ip_mode, &[("VIP", false), ("Proxy", true)])?;
        read.push(Ingress { ip: written.ip, hostname, proxied });
    }
    Ok(read)
}

fn external_name(written: &document::Service<'_>, kind: Kind) -> Result<Option<Arc<str>>, String> {
    if kind != Kind::ExternalName {
        return Ok(None);
    }
    let name = written.external_name.as_deref().unwrap_or_default();
    let name = values::dns_subdomain(name).map_err(|expected| wrong("externalName", name, expected))?;
    Ok(Some(name.into()))
}

/// S-10: 3 hours where nobody says how long, a day at most.
fn affinity(written: &document::SessionAffinity<'_>) -> Result<Option<Duration>, String> {
    let wanted = word("sessionAffinity.type", &written.kind, &[("None", false), ("ClientIP", true)])?;
    let seconds = written.timeout_seconds.unwrap_or(10_800);
    match wanted {
        true if !(1..=86_400).contains(&seconds) => {
            let at = "sessionAffinity.timeoutSeconds";
            Err(wrong(at, &seconds.to_string(), "a number from 1 to 86400"))
        }
        wanted => Ok(wanted.then(|| Duration::from_secs(seconds))),
    }
}

fn traffic_distribution(written: &document::Service<'_>) -> Result<Option<Arc<str>>, String> {
    const KNOWN: [(&str, ()); 3] = [("PreferClose", ()), ("PreferSameNode", ()), ("PreferSameZone", ())];
    let Some(wanted) = written.traffic_distribution.as_deref() else { return Ok(None) };
    word("trafficDistribution", wanted, &KNOWN)?;
    Ok(Some(wanted.into()))
}

/// Names tell ports apart (S-03): of several that have none each gets one such as `port-81-tcp`, as those of the environment do. Those of a name
/// elsewhere need none.
fn ports(written: &[document::Port<'_>], kind: Kind) -> Result<Vec<Port>, String> {
    let unnamed = written.iter().filter(|port| port.name.is_empty()).count();
    let needs_names = unnamed > 1 && kind != Kind::ExternalName;
    let mut ports = Vec::with_capacity(written.len());
    for written in written {
        ports.push(port(written, needs_names)?);
    }
    check_repeated(&ports)?;
    Ok(ports)
}

fn check_repeated(ports: &[Port]) -> Result<(), String> {
    let (mut numbers, mut names) = (HashSet::default(), HashSet::default());
    for Port { name, port, transport, .. } in ports {
        if !numbers.insert((*transport, *port)) {
            return Err(format!("ports: {} port {port} is told more than once", transport.as_str()));
        }
        if !name.is_empty() && !names.insert(&**name) {
            return Err(format!("ports: the name {} is told more than once", Quoted(name)));
        }
    }
    Ok(())
}

fn port(written: &document::Port<'_>, needs_name: bool) -> Result<Port, String> {
    let transport = word("ports.protocol", &written.protocol, &TRANSPORTS)?;
    let number = written.port;
    let name = match needs_name && written.name.is_empty() {
        true => format!("port-{number}-{}", transport.as_str().to_ascii_lowercase()).into(),
        false => (&*written.name).into(),
    };
    Ok(Port {
        name,
        port: number,
        transport,
        target: TargetPort::Number(number),
        node_port: written.node_port,
        app_protocol: written.app_protocol.as_deref().map(Arc::from),
    })
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
    values::one_of(word, words).map_err(|expected| wrong(field, written, expected))
}

fn wrong(field: &str, value: &str, expected: impl Into<Expected>) -> String {
    let mistake = Mistake { field: field.into(), value: Some(value.into()), expected: expected.into() };
    mistake.to_string()
}

const KINDS: [(&str, Kind); 4] = [
    ("ClusterIP", Kind::ClusterIp),
    ("NodePort", Kind::NodePort),
    ("LoadBalancer", Kind::LoadBalancer),
    ("ExternalName", Kind::ExternalName),
];

const TRANSPORTS: [(&str, Transport); 3] =
    [("TCP", Transport::Tcp), ("UDP", Transport::Udp), ("SCTP", Transport::Sctp)];

const HOST_BYTES_MAX: usize = 253; // RFC 1035 §2.3.4: 255 on the wire, less the first length and the root
