//! Services that are reached by a name: what DNS has said of names, and whom that concerns.

use alloc::collections::BTreeSet;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::decision::{Decision, decide};
use super::facts::SourceFacts;
use super::settings::Settings;
use crate::address::ServiceName;
use crate::dns::answer::{ALIAS_HOPS_MAX, Record};
use crate::dns::names::{full_name, is_address, service_of};
use crate::hash::HashMap;
use crate::outcome::Failure;
use crate::service::{Service, ServiceType};
use crate::table::Source;

/// Where the endpoints of a Service come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Its source tells them.
    Own,
    /// It is another name of this Service, which has endpoints of its own.
    Alias(ServiceName),
    /// They are what DNS says of this name.
    Name(Arc<str>),
    /// There is none, and never will be as things are.
    Nowhere(Failure),
}

/// What DNS has said of names, and the Services whose external name is one that changes.
#[derive(Debug, Default)]
pub(super) struct Names {
    known: HashMap<Arc<str>, KnownName>,
    /// The name that each Service goes by; those that go by none are not in it.
    of_service: HashMap<ServiceName, Arc<str>>,
}

/// What is known of one name.
#[derive(Debug, Default)]
struct KnownName {
    records: Option<Arc<[Record]>>,
    /// The Services that go by it.
    users: BTreeSet<ServiceName>,
}

impl Names {
    /// What DNS says of a name, if it has been asked.
    pub(super) fn records(&self, name: &str) -> Option<&[Record]> {
        self.known.get(name)?.records.as_deref()
    }

    /// Notes an answer, and whom it concerns: nobody when it says nothing new.
    pub(super) fn learn(
        &mut self,
        name: Arc<str>,
        records: Option<Arc<[Record]>>,
        touched: &mut BTreeSet<ServiceName>,
    ) {
        let known = self.known.entry(name.clone()).or_default();
        if known.records != records {
            touched.extend(known.users.iter().cloned());
            known.records = records;
        }
        self.forget_idle(&name);
    }

    /// Notes by which name a Service is reached now.
    pub(super) fn note(&mut self, service: &ServiceName, name: Option<Arc<str>>) {
        if self.of_service.get(service) == name.as_ref() {
            return;
        }
        if let Some(old) = self.of_service.remove(service) {
            if let Some(known) = self.known.get_mut(&old) {
                known.users.remove(service);
            }
            self.forget_idle(&old);
        }
        if let Some(name) = name {
            self.known.entry(name.clone()).or_default().users.insert(service.clone());
            self.of_service.insert(service.clone(), name);
        }
    }

    /// Forgets a name that nobody goes by, and of which DNS has said nothing.
    fn forget_idle(&mut self, name: &Arc<str>) {
        if self.known.get(name).is_some_and(|known| known.records.is_none() && known.users.is_empty()) {
            self.known.remove(name);
        }
    }

    /// Adds the Services that are other names of those in `touched`, and their other names in turn.
    pub(super) fn extend_to_aliases(&self, touched: &mut BTreeSet<ServiceName>, cluster_domain: &str) {
        if self.of_service.is_empty() {
            return; // nearly always: a name is not made up for each of 10,000 Services
        }
        let mut latest: Vec<ServiceName> = touched.iter().cloned().collect();
        while let Some(service) = latest.pop() {
            for user in self.other_names_of(&service, cluster_domain) {
                if touched.insert(user.clone()) {
                    latest.push(user.clone());
                }
            }
        }
    }

    fn other_names_of(
        &self,
        service: &ServiceName,
        cluster_domain: &str,
    ) -> impl Iterator<Item = &ServiceName> {
        let name = match service.namespace.is_empty() {
            true => service.name.to_string(), // a host that only DNS knows
            false => full_name(service, cluster_domain),
        };
        self.known.get(&*name).into_iter().flat_map(|known| &known.users)
    }
}

/// The name that DNS knows a Service's endpoints by, or that leads to another Service.
pub(super) fn name_of(source: Source, service: &Service, cluster_domain: &str) -> Option<Arc<str>> {
    match (service.kind, source) {
        (ServiceType::ExternalName, _) => service.external_name.clone(),
        (_, Source::Dns) => Some(full_name(&service.name, cluster_domain).into()),
        (_, Source::Manifests | Source::Kubernetes | Source::Environment | Source::Services) => None,
    }
}

/// Follows the external names of Services to where their endpoints are.
fn way(sources: &[(Source, SourceFacts)], source: Source, service: &Service, cluster_domain: &str) -> Way {
    let Some(mut name) = name_of(source, service, cluster_domain) else { return Way::Own };
    if source == Source::Dns {
        return Way::Name(name); // DNS has followed it
    }
    let mut seen = Vec::new();
    while seen.len() <= ALIAS_HOPS_MAX {
        if is_address(&name) {
            return Way::Nowhere(Failure::NameIsAddress);
        }
        if seen.contains(&name) {
            return Way::Nowhere(Failure::NameLoop);
        }
        seen.push(Arc::clone(&name));
        let next = service_of(&name, cluster_domain).and_then(|next| decide(sources, &next));
        match next {
            Some(next) if next.source == Source::Dns => return Way::Name(name),
            None => return Way::Name(name),
            Some(next) => match &next.service.external_name {
                Some(further) if next.service.kind == ServiceType::ExternalName => name = further.clone(),
                Some(_) | None => return Way::Alias(next.service.name.clone()),
            },
        }
    }
    Way::Nowhere(Failure::NameFailed) // too long for anybody, though no circle
}

impl Decision<'_> {
    pub(super) fn way(&self, sources: &[(Source, SourceFacts)], settings: &Settings) -> Way {
        way(sources, self.source, self.service, &settings.cluster_domain)
    }
}
