//! What all sources say, best first, and the [`Table`] that follows from it.

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;

use crate::address::ServiceName;
use crate::endpoints::EndpointIds;
use crate::table::{Entry, Source, Table};

mod addresses;
mod build;
mod change;
mod decision;
mod facts;
mod names;
mod publish;
mod rejections;
mod settings;

pub use change::{Change, SliceKey};
pub use rejections::Rejection;
pub use settings::{LoopbackVips, Settings};

use addresses::ServiceAddresses;
use build::{Builder, Endings};
use decision::decide;
use facts::SourceFacts;
use names::{Names, Way, name_of};
use publish::{EntryUpdate, publish};
use rejections::Rejections;

/// Knows what every source says, and keeps the table that follows from it.
///
/// The first source that knows a Service decides about it: what later ones say of it, endpoints included, counts for nothing, even
/// where the first knows no endpoint.
#[derive(Debug)]
pub struct Inventory {
    settings: Settings,
    sources: Vec<(Source, SourceFacts)>,
    addresses: ServiceAddresses,
    names: Names,
    ids: EndpointIds,
    rejections: Rejections,
    table: Arc<Table>,
}

impl Inventory {
    /// Knows nothing yet.
    pub fn new(settings: Settings) -> Inventory {
        let table = Table {
            namespace: Arc::clone(&settings.namespace),
            cluster_domain: Arc::clone(&settings.cluster_domain),
            ..Table::default()
        };
        Inventory {
            sources: settings.sources.iter().map(|&source| (source, SourceFacts::default())).collect(),
            addresses: ServiceAddresses::new(&settings),
            names: Names::default(),
            ids: EndpointIds::default(),
            rejections: Rejections::default(),
            table: Arc::new(table),
            settings,
        }
    }

    /// Takes in what a source has learned, all at once: there is no table with half of it. Returns the new table, or `None` where
    /// the present one is still right. A source that [`Settings::sources`] does not name is not listened to.
    ///
    /// Costs what the Services concerned cost, and the cloning of the table's maps: the entries of all others are shared.
    pub fn apply(&mut self, source: Source, changes: Vec<Change>) -> Option<Arc<Table>> {
        let mut touched = self.learn(source, changes);
        if touched.is_empty() {
            return None;
        }
        // What was refused for another's sake may be right now.
        touched.extend(self.rejections.found.iter().map(|(service, _)| service.clone()));
        self.rejections = Rejections::default();
        let new_addresses = self.assign_addresses(&mut touched);
        touched.extend(self.services_with_endpoints_at(&new_addresses));
        self.note_names(&touched);
        self.names.extend_to_aliases(&mut touched, &self.settings.cluster_domain);
        let updates = self.build(touched);

        let changed = updates.iter().any(EntryUpdate::is_change);
        let mut table = Table::clone(&self.table);
        publish(&mut table, &updates, &self.settings, &mut self.rejections);
        self.rejections.settle();
        changed.then(|| {
            self.table = Arc::new(table);
            self.table()
        })
    }

    /// What the operator, and the system, have decided.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The table that follows from everything so far.
    pub fn table(&self) -> Arc<Table> {
        Arc::clone(&self.table)
    }

    /// What does not serve because of what else there is, by Service. (What is wrong in itself never gets here: its source
    /// reports it.) May change where [`Inventory::apply`] returns `None`.
    pub fn rejections(&self) -> impl Iterator<Item = &Rejection> {
        self.rejections.found.iter().map(|(_, rejection)| rejection)
    }

    fn learn(&mut self, source: Source, changes: Vec<Change>) -> BTreeSet<ServiceName> {
        let mut touched = BTreeSet::new();
        if let Some((_, facts)) = self.sources.iter_mut().find(|(known, _)| *known == source) {
            for change in changes {
                match change {
                    Change::Service(name, service) => facts.learn_service(name, service, &mut touched),
                    Change::Slice(key, slice) => facts.learn_slice(key, slice, &mut touched),
                    Change::Endpoints(name, known) => facts.learn_complete(name, known, &mut touched),
                    Change::Name(name, records) => self.names.learn(name, records, &mut touched),
                    Change::Here(here) => {
                        if self.settings.here.fill(here) {
                            for entry in self.table.entries() {
                                touched.insert(entry.service.name.clone());
                            }
                        }
                    }
                }
            }
        }
        touched
    }

    /// What only DNS knows holds no address: clients choose its name, and many names share one address.
    fn assign_addresses(&mut self, touched: &mut BTreeSet<ServiceName>) -> Vec<IpAddr> {
        for name in self.outdated(touched) {
            self.addresses.release(&name);
            touched.insert(name);
        }
        let (mut services, mut of_environment) = (Vec::with_capacity(touched.len()), Vec::new());
        for name in &*touched {
            let decision = decide(&self.sources, name).filter(|decision| decision.source != Source::Dns);
            match decision {
                Some(decision) if decision.source == Source::Environment => {
                    of_environment.push((name, Some(decision.service)));
                }
                decision => services.push((name, decision.map(|decision| decision.service))),
            }
        }
        services.append(&mut of_environment); // which has what the others leave
        self.addresses.assign(&services, &mut self.rejections)
    }

    /// Services of the environment that hold an address of one of these: it tells what was when the pod started, and the API
    /// server gives the address of a deleted Service to another.
    fn outdated(&self, touched: &BTreeSet<ServiceName>) -> Vec<ServiceName> {
        let mut outdated = Vec::new();
        for name in touched {
            let Some(decision) = decide(&self.sources, name) else { continue };
            if matches!(decision.source, Source::Environment | Source::Dns) {
                continue;
            }
            for &address in &decision.service.cluster_ips {
                if let Some(holder) = self.addresses.holder(address)
                    && decide(&self.sources, holder).is_some_and(|it| it.source == Source::Environment)
                {
                    outdated.push(holder.clone());
                }
            }
        }
        outdated
    }

    /// Those that would send traffic to an address that is a cluster IP now (S-04). Looks into every entry, though only when a
    /// Service is new: an index of 1,000,000 endpoints would cost memory all the time.
    fn services_with_endpoints_at(&self, addresses: &[IpAddr]) -> Vec<ServiceName> {
        if addresses.is_empty() {
            return Vec::new();
        }
        let concerned = |entry: &&Arc<Entry>| {
            let mut sets = entry.targets.iter().map(|target| &target.endpoints);
            matches!(entry.source, Source::Manifests | Source::Kubernetes | Source::Services)
                && sets.any(|endpoints| endpoints.has_any(addresses))
        };
        self.table.entries().filter(concerned).map(|entry| entry.service.name.clone()).collect()
    }

    fn build(&mut self, touched: BTreeSet<ServiceName>) -> Vec<EntryUpdate> {
        let mut builder = Builder {
            settings: &self.settings,
            sources: &self.sources,
            addresses: &self.addresses,
            names: &self.names,
            ids: &mut self.ids,
            rejections: &mut self.rejections,
        };
        let (mut updates, mut aliases) = (Vec::with_capacity(touched.len()), Vec::new());
        for name in touched {
            let decision = decide(&self.sources, &name);
            match decision.as_ref().map(|decision| decision.way(&self.sources, &self.settings)) {
                Some(Way::Alias(of)) => aliases.push((name, of)),
                way => {
                    let before = self.table.by_name(&name).cloned();
                    let after = decision.zip(way).and_then(|(decision, way)| {
                        builder.build(&decision, &Endings::Of(&way), before.as_ref())
                    });
                    updates.push(EntryUpdate { name, before, after });
                }
            }
        }
        // The Services that they are other names of are as they will be.
        let settled = updates.len();
        for (name, of) in aliases {
            let before = self.table.by_name(&name).cloned();
            let updated = updates[..settled].binary_search_by(|update: &EntryUpdate| update.name.cmp(&of));
            let original = match updated {
                Ok(index) => updates[index].after.as_ref(),
                Err(_) => self.table.by_name(&of),
            };
            let after = decide(&self.sources, &name).and_then(|decision| {
                builder.build(&decision, &Endings::Same(&of, original), before.as_ref())
            });
            updates.push(EntryUpdate { name, before, after });
        }
        updates.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        updates
    }

    /// Keeps account of who is reached by which name.
    fn note_names(&mut self, touched: &BTreeSet<ServiceName>) {
        for service in touched {
            let name = decide(&self.sources, service).and_then(|decision| {
                name_of(decision.source, decision.service, &self.settings.cluster_domain)
            });
            self.names.note(service, name);
        }
    }
}

#[cfg(test)]
mod tests;
