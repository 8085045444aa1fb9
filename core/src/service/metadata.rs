//! What all kinds share: names, ports' protocols and `appProtocol`, annotations.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use svc_proto::names::annotation;

use super::invalid::{Mistakes, Path};
use super::object::Metadata;
use super::{Rules, grammar};
use crate::address::{ServiceName, Transport};
use crate::balance::Policy;
use crate::endpoints::Weights;

pub(super) const METADATA: Path<'_> = Path::root("metadata");

/// The names of an object; `name_grammar` is what its kind demands.
pub(super) fn names(
    metadata: &Metadata,
    name_grammar: fn(&str) -> Vec<&'static str>,
    rules: &Rules,
    found: &mut Mistakes,
) -> ServiceName {
    let name = metadata.name.as_deref().unwrap_or_default();
    match name {
        "" => found.required(METADATA.field("name"), "name or generateName is required"),
        name => found.invalid_each(METADATA.field("name"), name, name_grammar(name)),
    }
    let namespace = match metadata.namespace.as_deref() {
        None | Some("") => return ServiceName::new(rules.default_namespace.clone(), name),
        Some(namespace) => namespace,
    };
    found.invalid_each(METADATA.field("namespace"), namespace, grammar::dns_label(namespace));
    ServiceName::new(namespace, name)
}

/// The annotations that a data plane honours, with their values where those are checked already.
pub(super) fn annotations(metadata: &Metadata, found: &mut Mistakes) -> BTreeMap<Arc<str>, Arc<str>> {
    let written = metadata.annotations.iter().flatten();
    let honoured = written.filter(|(key, _)| annotation::ON_SERVICES.contains(&key.as_str()));
    honoured.map(|(key, value)| check_annotation(key, value, found)).collect()
}

fn check_annotation(key: &str, value: &str, found: &mut Mistakes) -> (Arc<str>, Arc<str>) {
    match key {
        annotation::LOAD_BALANCER if Policy::parse(value).is_none() => {
            let supported = Policy::ALL.map(Policy::as_str);
            found.unsupported(METADATA.field("annotations").key(key), value, &supported);
        }
        annotation::WEIGHTS => check_weights(value, found),
        _ => {}
    }
    (key.into(), value.into())
}

/// `svcmesh.dev/weights` of a slice, as written.
pub(super) fn weights(metadata: &Metadata, found: &mut Mistakes) -> Option<Arc<str>> {
    let value = metadata.annotations.as_ref()?.get(annotation::WEIGHTS)?;
    check_weights(value, found);
    Some(value.as_str().into())
}

fn check_weights(value: &str, found: &mut Mistakes) {
    if let Err(bad) = Weights::parse(value) {
        let at = METADATA.field("annotations");
        found.invalid(at.key(annotation::WEIGHTS), &bad.entry, &bad.to_string());
    }
}

/// `protocol` of a port at `at`; TCP where the object does not say.
pub(super) fn transport(protocol: Option<&String>, at: Path<'_>, found: &mut Mistakes) -> Transport {
    match protocol.map(String::as_str) {
        None | Some("" | "TCP") => Transport::Tcp,
        Some("UDP") => Transport::Udp,
        Some("SCTP") => Transport::Sctp,
        Some(other) => {
            found.unsupported(at.field("protocol"), other, &["SCTP", "TCP", "UDP"]);
            Transport::Tcp
        }
    }
}

/// `appProtocol` of a port at `at` (S-06).
pub(super) fn app_protocol(value: Option<&String>, at: Path<'_>, found: &mut Mistakes) -> Option<Arc<str>> {
    let value = value?;
    found.invalid_each(at.field("appProtocol"), value, grammar::qualified_name(value));
    Some(value.as_str().into())
}
