//! What all kinds share: names, ports' protocols and `appProtocol`, annotations.

use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use svc_proto::names::annotation;

use super::invalid::{FieldError, FieldErrors, Path, Value};
use super::object::Metadata;
use super::paths::{ANNOTATIONS, METADATA};
use super::weights::Weights;
use super::{Rules, grammar, labels};
use crate::address::{ServiceName, Transport};

/// The names of an object, and what is wrong with the rest of its metadata; `name_grammar` is what its kind demands.
pub(super) fn read(
    metadata: &Metadata,
    name_grammar: fn(&str) -> Vec<&'static str>,
    rules: &Rules,
    found: &mut FieldErrors,
) -> ServiceName {
    if let Some(base) = metadata.generate_name.as_deref().filter(|base| !base.is_empty()) {
        found.invalid_each(METADATA.field("generateName"), base, name_grammar(&as_a_name(base)));
    }
    let name = metadata.name.as_deref().unwrap_or_default();
    match name {
        "" => found.required(METADATA.field("name"), "name or generateName is required"),
        name => found.invalid_each(METADATA.field("name"), name, name_grammar(name)),
    }
    labels::check_all(metadata.labels.as_ref(), METADATA.field("labels"), found);
    labels::check_annotations(metadata.annotations.as_ref(), found);
    check_bonds(metadata, found);
    let namespace = match metadata.namespace.as_deref() {
        None | Some("") => return ServiceName::new(rules.default_namespace.clone(), name),
        Some(namespace) => namespace,
    };
    found.invalid_each(METADATA.field("namespace"), namespace, grammar::dns_label(namespace));
    ServiceName::new(namespace, name)
}

/// What is wrong with the metadata of an object whose name is a DNS name, as that of a Secret is, and of which nothing else is read here.
pub fn check_metadata(metadata: &Metadata, rules: &Rules) -> Vec<FieldError> {
    let mut found = FieldErrors::default();
    read(metadata, grammar::dns_subdomain, rules, &mut found);
    found.verdict("", "").err().map(|invalid| invalid.mistakes).unwrap_or_default()
}

/// The dash at the end of a name's beginning is not the name's end.
fn as_a_name(base: &str) -> Cow<'_, str> {
    match base.strip_suffix('-') {
        Some(name) if !name.is_empty() => Cow::Owned([name, "a"].concat()),
        Some(_) | None => Cow::Borrowed(base),
    }
}

/// Owners and finalizers.
fn check_bonds(metadata: &Metadata, found: &mut FieldErrors) {
    let at = METADATA.field("ownerReferences");
    let owners = metadata.owner_references.as_deref().unwrap_or_default();
    for (index, owner) in owners.iter().enumerate() {
        let at = at.index(index);
        for (field, value, expected) in [
            ("apiVersion", &owner.api_version, "version must not be empty"),
            ("kind", &owner.kind, "must not be empty"),
            ("name", &owner.name, "must not be empty"),
            ("uid", &owner.uid, "must not be empty"),
        ] {
            if value.as_deref().unwrap_or_default().is_empty() {
                found.invalid(at.field(field), "", expected);
            }
        }
    }
    if owners.iter().filter(|owner| owner.controller == Some(true)).count() > 1 {
        found.invalid(at, Value::Json("[…]".into()), "Only one reference can have Controller set to true");
    }
    for finalizer in metadata.finalizers.iter().flatten() {
        found.invalid_each(METADATA.field("finalizers"), finalizer, grammar::qualified_name(finalizer));
    }
}

/// Annotations by their keys, as written.
type Honoured = BTreeMap<Arc<str>, Arc<str>>;

/// The annotations of a Service that a data plane honours. Of AWS's an empty one counts as absent (S-23).
pub(super) fn annotations(metadata: &Metadata) -> Honoured {
    let mut honoured = Honoured::new();
    for (key, value) in metadata.annotations.iter().flatten() {
        if is_ours(key) || (is_of_aws(key) && !value.is_empty()) {
            honoured.insert(key.as_str().into(), value.as_str().into());
        }
    }
    honoured
}

/// Annotations that are spelt like ours, and are none of a Service's.
pub(super) fn misspelt(metadata: &Metadata) -> impl Iterator<Item = &str> {
    let keys = metadata.annotations.iter().flat_map(BTreeMap::keys);
    keys.map(String::as_str).filter(|key| key.starts_with(annotation::PREFIX) && !is_ours(key))
}

fn is_ours(key: &str) -> bool {
    annotation::ON_SERVICES.contains(&key)
}

fn is_of_aws(key: &str) -> bool {
    annotation::aws::ON_SERVICES.contains(&key)
}

/// `svcmesh.dev/weights` of an object, as written.
pub(super) fn weights(metadata: &Metadata, found: &mut FieldErrors) -> Option<Arc<str>> {
    let value = metadata.annotations.as_ref()?.get(annotation::WEIGHTS)?;
    check_weights(value, found);
    Some(value.as_str().into())
}

fn check_weights(value: &str, found: &mut FieldErrors) {
    if let Err(bad) = Weights::parse(value) {
        found.invalid(
            ANNOTATIONS.key(annotation::WEIGHTS),
            &bad.entry,
            &alloc::string::ToString::to_string(&bad),
        );
    }
}

/// `protocol` of a port at `at`; TCP where the object does not say. Whether an empty one says nothing depends on the kind.
pub(super) fn transport(protocol: Option<&String>, at: Path<'_>, found: &mut FieldErrors) -> Transport {
    match protocol.map(String::as_str) {
        None | Some("TCP") => Transport::Tcp,
        Some("UDP") => Transport::Udp,
        Some("SCTP") => Transport::Sctp,
        Some(other) => {
            found.unsupported(at.field("protocol"), other, &["SCTP", "TCP", "UDP"]);
            Transport::Tcp
        }
    }
}

/// `appProtocol` of a port at `at` (S-06).
pub(super) fn app_protocol(
    value: Option<&String>,
    at: Path<'_>,
    found: &mut FieldErrors,
) -> Option<Arc<str>> {
    let value = value?;
    found.invalid_each(at.field("appProtocol"), value, grammar::qualified_name(value));
    Some(value.as_str().into())
}
