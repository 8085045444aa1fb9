//! Faults and traps of Services, found in objects of the API: the codes of `kubectl svc check`.
//!
//! A finding is about what the objects say, not about traffic. Objects that cannot be seen (pods, without the permission) are `None`, and their
//! checks are left out.

mod code;
mod endpoints;
mod external;
mod pod;
mod selector;

#[cfg(test)]
mod tests;

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

pub use code::{Code, Severity};
pub use pod::{Container, ContainerPort, Pod, PodSpec, PodStatus};

use crate::address::ServiceName;
use crate::overview::Overview;
use crate::service::object::{EndpointSlice, Metadata, Service, ServiceSpec};
use crate::table::{Entry, Table};

/// Objects of one namespace or of several, and the table that follows from them.
#[derive(Clone, Copy, Debug)]
pub struct Objects<'a> {
    /// All Services of these namespaces.
    pub services: &'a [Service],
    /// All of their slices.
    pub slices: &'a [EndpointSlice],
    /// All of their pods, if they may be listed.
    pub pods: Option<&'a [Pod]>,
    /// The table of these Services and slices.
    pub table: &'a Table,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Its kind, with severity and remedy.
    pub code: Code,
    /// The Service.
    pub service: ServiceName,
    /// What was found: one line.
    pub message: String,
}

/// All findings, the worst first, then by Service.
pub fn find(objects: &Objects<'_>) -> Vec<Finding> {
    let mut found = Findings::default();
    let pods = objects.pods.map(|pods| by_namespace(pods));
    for service in objects.services {
        let Some(subject) = Subject::of(service, objects.table) else { continue };
        if let Some(pods) = &pods {
            let pods = pods.get(&*subject.name.namespace).map(Vec::as_slice).unwrap_or_default();
            selector::check(&subject, pods, &mut found);
        }
        external::check(&subject, &mut found);
        endpoints::check(&subject, objects.slices, &mut found);
    }
    endpoints::check_owners(objects, &mut found);
    found.0.sort_by(|a, b| {
        (a.code.severity(), &a.service, a.code).cmp(&(b.code.severity(), &b.service, b.code))
    });
    found.0
}

/// Findings as they are collected.
#[derive(Debug, Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, code: Code, service: &ServiceName, message: String) {
        self.0.push(Finding { code, service: service.clone(), message });
    }

    fn has(&self, code: Code, service: &ServiceName) -> bool {
        self.0.iter().any(|finding| finding.code == code && finding.service == *service)
    }
}

/// A Service that is checked.
struct Subject<'a> {
    name: &'a ServiceName,
    spec: &'a ServiceSpec,
    entry: &'a Entry,
    overview: Overview,
}

impl<'a> Subject<'a> {
    /// `None`: the object is invalid, and its reader has told so.
    fn of(service: &'a Service, table: &'a Table) -> Option<Subject<'a>> {
        let name = name_of(service.metadata.as_ref()?)?;
        let entry = table.by_name(&name)?;
        Some(Subject {
            name: &entry.service.name,
            spec: service.spec.as_ref()?,
            entry,
            overview: Overview::of(entry),
        })
    }

    /// Its selector, where it has one that counts.
    fn selector(&self) -> Option<&'a BTreeMap<String, String>> {
        let selector = self.spec.selector.as_ref().filter(|selector| !selector.is_empty());
        selector.filter(|_| self.entry.service.external_name.is_none())
    }
}

fn name_of(metadata: &Metadata) -> Option<ServiceName> {
    Some(ServiceName::new(namespace_of(metadata), metadata.name.as_deref()?))
}

fn namespace_of(metadata: &Metadata) -> &str {
    metadata.namespace.as_deref().unwrap_or("default")
}

fn by_namespace(pods: &[Pod]) -> BTreeMap<&str, Vec<&Pod>> {
    let mut known: BTreeMap<&str, Vec<&Pod>> = BTreeMap::new();
    for pod in pods.iter().filter(|pod| pod.is_alive()) {
        known.entry(namespace_of(&pod.metadata)).or_default().push(pod);
    }
    known
}
