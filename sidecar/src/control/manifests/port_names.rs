//! Ports of slices go with those of their Service by their names: one that has another name serves nobody.

use std::collections::{BTreeSet, HashMap};

use svc_core::address::ServiceName;
use svc_core::service::{Service, ServiceType};

use super::objects::{ObjectFacts, ObjectKey};

/// Which slices each Service has.
#[derive(Debug, Default)]
pub(super) struct Slices(HashMap<ServiceName, BTreeSet<ObjectKey>>);

impl Slices {
    pub(super) fn add(&mut self, service: ServiceName, slices: &ObjectKey) {
        self.0.entry(service).or_default().insert(slices.clone());
    }

    pub(super) fn remove(&mut self, service: &ServiceName, slices: &ObjectKey) {
        let Some(known) = self.0.get_mut(service) else { return };
        known.remove(slices);
        if known.is_empty() {
            self.0.remove(service);
        }
    }

    /// Those of the Service with this key; none where it is another object's.
    pub(super) fn of(&self, key: &ObjectKey) -> impl Iterator<Item = &ObjectKey> {
        let service = (key.kind == super::ObjectKind::Service)
            .then(|| ServiceName::new(key.namespace.clone(), key.name.clone()));
        service.and_then(|service| self.0.get(&service)).into_iter().flatten()
    }
}

/// Whose slices these are.
pub(super) fn service_of(facts: &ObjectFacts) -> Option<ServiceName> {
    match facts {
        ObjectFacts::Slices(slices) => Some(slices.first()?.service.clone()),
        ObjectFacts::Service(_) | ObjectFacts::Secret(_) => None,
    }
}

/// What is wrong with a port called `name` in a slice of `service`; nothing where the Service has one of that name.
pub(crate) fn unknown_to(service: &Service, name: &str) -> Option<String> {
    if service.kind == ServiceType::ExternalName
        || service.ports.is_empty()
        || service.ports.iter().any(|port| &*port.name == name)
    {
        return None;
    }
    let quoted: Vec<String> = service.ports.iter().map(|port| format!("{:?}", port.name)).collect();
    let has = match service.ports.as_slice() {
        [only] if only.name.is_empty() => "has one without a name".to_owned(),
        _ => format!("has {}", quoted.join(", ")),
    };
    let what = if name.is_empty() { "a port without a name".to_owned() } else { format!("a port {name:?}") };
    Some(format!("{what} is none of Service \"{}\", which {has}: it serves nobody", service.name))
}
