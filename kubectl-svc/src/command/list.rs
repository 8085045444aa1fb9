//! `kubectl svc list`: Services with their ready endpoints.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use svc_core::describe::{ServiceFilter, describe};
use svc_core::overview::Overview;
use svc_core::service::{Policy, Port, Service, ServiceType};
use svc_core::table::{Entry, Table as Services};

use crate::args::{ClusterArgs, ListArgs};
use crate::cluster::{self, Cluster};
use crate::error::Error;
use crate::objects::{self, Scope};
use crate::output::{Answer, Format, Table, document};

pub(crate) async fn run(args: &ClusterArgs, options: &ListArgs) -> Result<Answer, Error> {
    let cluster = Box::pin(cluster::connect(args)).await?;
    let facts = objects::read(&Box::pin(objects::list(&cluster, &scope(&cluster, options))).await?);
    let note = facts.table.entries().next().is_none().then(|| match options.all_namespaces {
        true => "No Services found.".to_owned(),
        false => format!("No Services found in namespace `{}`.", cluster.namespace),
    });
    let text = if note.is_some() && is_table(options) { String::new() } else { text(&facts.table, options)? };
    Ok(Answer { text, warnings: facts.warnings, note, ..Answer::default() })
}

/// Whether an empty answer is no document.
fn is_table(options: &ListArgs) -> bool {
    matches!(options.output.output, Format::Table | Format::Wide | Format::Name)
}

fn scope(cluster: &Cluster, options: &ListArgs) -> Scope {
    Scope {
        namespace: (!options.all_namespaces).then(|| cluster.namespace.clone()),
        labels: options.selector.clone(),
        fields: options.field_selector.clone(),
        service: None,
    }
}

fn text(services: &Services, options: &ListArgs) -> Result<String, Error> {
    let mut entries: Vec<&Arc<Entry>> = services.entries().collect();
    entries.sort_by(|a, b| a.service.name.cmp(&b.service.name));
    match options.output.output {
        Format::Name => {
            Ok(entries.iter().map(|entry| format!("service/{}\n", entry.service.name.name)).collect())
        }
        format @ (Format::Json | Format::Yaml) => {
            let nobody = BTreeSet::new();
            document(format, &describe(services, [], ServiceFilter::default(), &nobody))
        }
        format @ (Format::Table | Format::Wide) => {
            let table = table(&entries, options.all_namespaces, format == Format::Wide);
            Ok(table.text(!options.output.no_headers))
        }
    }
}

fn table(entries: &[&Arc<Entry>], with_namespaces: bool, is_wide: bool) -> Table {
    let mut heads = vec!["NAME", "TYPE", "CLUSTER-IP", "PORTS", "STATE", "READY", "ZONES"];
    if with_namespaces {
        heads.insert(0, "NAMESPACE");
    }
    if is_wide {
        heads.extend(["TERMINATING", "POLICY", "AFFINITY", "TRAFFIC"]);
    }
    let mut table = Table::new(heads);
    for entry in entries {
        let (service, overview) = (&entry.service, Overview::of(entry));
        let namespace = with_namespaces.then(|| service.name.namespace.to_string());
        let ready = match service.kind {
            ServiceType::ExternalName => String::new(),
            ServiceType::ClusterIp | ServiceType::NodePort | ServiceType::LoadBalancer => {
                format!("{}/{}", overview.ready, overview.total)
            }
        };
        let cells = [
            service.name.name.to_string(),
            kind(service).to_owned(),
            address(service),
            service.ports.iter().map(port).collect::<Vec<_>>().join(","),
            overview.state.as_str().to_owned(),
            ready,
            zones(&overview.zones),
            overview.terminating.to_string(),
            Policy::shown(service).as_str().to_owned(),
            service.affinity.map_or("None", |_| "ClientIP").to_owned(),
            traffic(service),
        ];
        table.row(namespace.into_iter().chain(cells));
    }
    table
}

fn kind(service: &Service) -> &'static str {
    if service.headless { "Headless" } else { service.kind.as_str() }
}

/// The first cluster IP, or the external name.
fn address(service: &Service) -> String {
    match (&service.external_name, service.cluster_ips.first()) {
        (Some(name), _) => name.to_string(),
        (None, Some(address)) => address.to_string(),
        (None, None) => "None".to_owned(),
    }
}

/// `80`, `53/UDP`, `http:80`.
fn port(port: &Port) -> String {
    let name = if port.name.is_empty() { String::new() } else { format!("{}:", port.name) };
    let protocol = match port.transport.as_str() {
        "TCP" => String::new(),
        other => format!("/{other}"),
    };
    format!("{name}{}{protocol}", port.port)
}

/// Ready endpoints by zone, `a:3,b:2,c:0`.
fn zones(zones: &BTreeMap<Arc<str>, usize>) -> String {
    zones.iter().map(|(zone, ready)| format!("{zone}:{ready}")).collect::<Vec<_>>().join(",")
}

/// `internalTrafficPolicy` and `trafficDistribution`, where they are not the default.
fn traffic(service: &Service) -> String {
    match (service.internal_traffic_local, &service.traffic_distribution) {
        (true, _) => "Local".to_owned(),
        (false, Some(distribution)) => distribution.to_string(),
        (false, None) => "Cluster".to_owned(),
    }
}
