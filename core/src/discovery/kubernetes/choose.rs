//! The collections to watch, for the Services in use.

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Kubernetes;
use super::watch::Watch;
use super::watches::{WatchKey, What};
use crate::address::ServiceName;
use crate::service::ServiceType;

impl Kubernetes {
    /// Starts and ends watches, so that they match the Services in use.
    pub(super) fn choose_watches(&mut self) {
        let mut wanted = BTreeSet::from([WatchKey::all(What::Services, &self.namespace)]);
        let mut namespaces: Vec<(Arc<str>, Vec<ServiceName>)> = Vec::new();
        for service in self.interests.map.keys() {
            match namespaces.last_mut() {
                Some((namespace, services)) if *namespace == service.namespace => {
                    services.push(service.clone());
                }
                Some(_) | None => {
                    namespaces.push((service.namespace.clone(), Vec::from([service.clone()])));
                }
            }
        }
        self.whole.retain(|whole| namespaces.iter().any(|(namespace, _)| namespace == whole));
        for (namespace, services) in namespaces {
            self.choose_watches_in(&namespace, &services, &mut wanted);
        }
        for key in self.watches.keys() {
            if !wanted.contains(&key) {
                self.watches.remove(&key).into_iter().for_each(|id| self.cancel(id));
            }
        }
        wanted.into_iter().for_each(|key| self.watches.add(key));
    }

    fn choose_watches_in(
        &mut self,
        namespace: &Arc<str>,
        services: &[ServiceName],
        wanted: &mut BTreeSet<WatchKey>,
    ) {
        let is_own = *namespace == self.namespace;
        let most = if is_own { OWN_MAX } else { FOREIGN_MAX };
        if services.len() > most {
            self.whole.insert(namespace.clone());
        } else if services.len() <= most / 2 {
            self.whole.remove(namespace);
        }
        let whole = self.whole.contains(namespace);
        for what in [What::Services, What::Slices] {
            if what == What::Services && is_own {
                continue;
            }
            let needs = |service: &&ServiceName| {
                what == What::Services
                    || self.watches.service(service).is_some_and(|of| of.kind != ServiceType::ExternalName)
            };
            let all = WatchKey::all(what, namespace);
            let each: Vec<WatchKey> =
                services.iter().filter(needs).map(|service| WatchKey::one(what, service)).collect();
            let synced = |key: &WatchKey| self.watches.watch(key).is_some_and(Watch::is_synced);
            match whole {
                // The others stay until this one is there.
                true if synced(&all) => {}
                true => wanted.extend(each.into_iter().filter(|key| self.watches.watch(key).is_some())),
                false => {
                    if each.iter().all(synced) || self.watches.watch(&all).is_none() {
                        wanted.extend(each);
                        continue;
                    }
                    wanted.extend(each);
                }
            }
            wanted.insert(all);
        }
    }
}

/// Services of our own namespace whose slices are watched one by one; with more in use, those of all are. One watch costs the server 0.3 MB.
const OWN_MAX: usize = 60;

/// The same of another namespace, whose Services are watched one by one too.
const FOREIGN_MAX: usize = 8;
