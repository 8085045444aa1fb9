//! Faults and traps of Services, found in objects of the API: the codes of `kubectl svc check`.
//!
//! A finding is about what the objects say, not about traffic. Objects that cannot be seen (pods, without the permission) are `None`, and their
//! checks are left out.

mod code;
mod endpoints;
mod external;
mod pod;
mod selector;
mod subject;

#[cfg(test)]
mod tests;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

pub use code::{Code, Severity};
pub use pod::{Container, ContainerPort, Pod, PodSpec, PodStatus};
pub use subject::Finding;

use crate::service::object::{EndpointSlice, Service};
use crate::table::Table;
use subject::{Findings, Subject, namespace_of};

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
    endpoints::check_owners(objects.services, objects.slices, &mut found);
    found.0.sort_by(|a, b| {
        (a.code.severity(), &a.service, a.code).cmp(&(b.code.severity(), &b.service, b.code))
    });
    found.0
}

fn by_namespace(pods: &[Pod]) -> BTreeMap<&str, Vec<&Pod>> {
    let mut known: BTreeMap<&str, Vec<&Pod>> = BTreeMap::new();
    for pod in pods.iter().filter(|pod| pod.is_alive()) {
        known.entry(namespace_of(&pod.metadata)).or_default().push(pod);
    }
    known
}
