//! `kubectl svc endpoints NAME`: the endpoints of a Service, with their pods and states.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use svc_core::address::ServiceName;
use svc_core::describe::describe_service;
use svc_core::endpoints::Endpoint;
use svc_core::service::{Locality, Slice};
use svc_core::table::Entry;

use crate::args::{ClusterArgs, EndpointsArgs};
use crate::cluster;
use crate::error::Error;
use crate::objects::{self, Scope};
use crate::output::{Answer, Format, Table, document};

pub(crate) async fn run(args: &ClusterArgs, options: &EndpointsArgs) -> Result<Answer, Error> {
    let cluster = Box::pin(cluster::connect(args)).await?;
    let scope = Scope {
        namespace: Some(cluster.namespace.clone()),
        fields: Some(format!("metadata.name={}", options.name)),
        service: Some(options.name.clone()),
        ..Scope::default()
    };
    let facts = objects::read(&Box::pin(objects::list(&cluster, &scope)).await?);
    let name = ServiceName::new(cluster.namespace.as_str(), options.name.as_str());
    let Some(entry) = facts.table.by_name(&name) else {
        let found =
            Error::new(format!("Service `{}` not found in namespace `{}`", options.name, cluster.namespace));
        return Err(found.hint("`kubectl svc list -A` lists those of all namespaces"));
    };
    let slices = facts.slices.get(&name).map(Vec::as_slice).unwrap_or_default();
    Ok(Answer { text: text(entry, slices, options)?, warnings: facts.warnings, ..Answer::default() })
}

fn text(entry: &Entry, slices: &[Arc<Slice>], options: &EndpointsArgs) -> Result<String, Error> {
    let pods = pods(slices);
    match options.output.output {
        format @ (Format::Json | Format::Yaml) => {
            document(format, &describe_service(entry, &BTreeSet::new()))
        }
        Format::Name => {
            let names: BTreeSet<&str> = pods.values().copied().collect();
            Ok(names.iter().map(|name| format!("pod/{name}\n")).collect())
        }
        format @ (Format::Table | Format::Wide) => {
            Ok(table(entry, &pods, format == Format::Wide).text(!options.output.no_headers))
        }
    }
}

/// The names of pods, by address.
fn pods(slices: &[Arc<Slice>]) -> BTreeMap<IpAddr, &str> {
    let endpoints = slices.iter().flat_map(|slice| &slice.endpoints);
    endpoints.filter_map(|endpoint| Some((endpoint.address, endpoint.pod.as_deref()?))).collect()
}

fn table(entry: &Entry, pods: &BTreeMap<IpAddr, &str>, is_wide: bool) -> Table {
    let mut heads = vec!["ADDRESS", "PORT-NAME", "POD", "ZONE", "STATE"];
    if is_wide {
        heads.extend(["NODE", "WEIGHT", "HINTS"]);
    }
    let mut table = Table::new(heads);
    for target in &entry.targets {
        for endpoint in target.endpoints.all() {
            let place = endpoint.place.as_deref();
            let text = |text: Option<&Arc<str>>| text.map(ToString::to_string).unwrap_or_default();
            table.row([
                endpoint.addr.0.to_string(),
                target.port.name.to_string(),
                pods.get(&endpoint.addr.0.ip()).map(ToString::to_string).unwrap_or_default(),
                text(place.and_then(|place| place.zone.as_ref())),
                state(endpoint).to_owned(),
                text(place.and_then(|place| place.node.as_ref())),
                endpoint.weight.to_string(),
                place.map(hints).unwrap_or_default(),
            ]);
        }
    }
    table
}

fn state(endpoint: &Endpoint) -> &'static str {
    match (endpoint.terminating, endpoint.ready, endpoint.serving) {
        (true, _, true) => "Terminating (serving)",
        (true, _, false) => "Terminating",
        (false, true, _) => "Ready",
        (false, false, _) => "NotReady",
    }
}

/// The zones and nodes that an endpoint is meant for.
fn hints(place: &Locality) -> String {
    let hints = place.hints.zones.iter().chain(&place.hints.nodes);
    hints.map(ToString::to_string).collect::<Vec<_>>().join(",")
}
