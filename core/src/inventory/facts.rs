//! What one source says.

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::change::SliceKey;
use crate::address::ServiceName;
use crate::hash::{HashMap, HashSet};
use crate::service::{Service, Slice};

#[derive(Debug, Default)]
pub(super) struct SourceFacts {
    services: HashMap<ServiceName, Arc<Service>>,
    slices: HashMap<SliceKey, Arc<Slice>>,
    /// Sorted, so that what is merged from them does not depend on the order in which they came.
    slices_of: HashMap<ServiceName, Vec<SliceKey>>,
    /// The Services whose slices are all here, where a source tells those of some only.
    complete: HashSet<ServiceName>,
}

impl SourceFacts {
    pub(super) fn service(&self, name: &ServiceName) -> Option<&Arc<Service>> {
        self.services.get(name)
    }

    /// The slices of a Service, in the order of their keys.
    pub(super) fn slices(&self, service: &ServiceName) -> impl Iterator<Item = &Slice> + Clone {
        let keys = self.slices_of.get(service).into_iter().flatten();
        keys.filter_map(|key| self.slices.get(key).map(|slice| &**slice))
    }

    /// Whether the slices of a Service are all here, as far as its source tells.
    pub(super) fn is_complete(&self, service: &ServiceName) -> bool {
        self.complete.contains(service)
    }

    /// Notes whether the slices of a Service are all here.
    pub(super) fn learn_complete(
        &mut self,
        service: ServiceName,
        complete: bool,
        touched: &mut BTreeSet<ServiceName>,
    ) {
        let changed = match complete {
            true => self.complete.insert(service.clone()),
            false => self.complete.remove(&service),
        };
        if changed {
            touched.insert(service);
        }
    }

    /// Notes what is said of a Service, and that it concerns it: not when it says nothing new.
    pub(super) fn learn_service(
        &mut self,
        name: ServiceName,
        service: Option<Arc<Service>>,
        touched: &mut BTreeSet<ServiceName>,
    ) {
        if self.services.get(&name) == service.as_ref() {
            return;
        }
        match service {
            Some(service) => self.services.insert(name.clone(), service),
            None => self.services.remove(&name),
        };
        touched.insert(name);
    }

    /// A slice may move from one Service to another: both change.
    pub(super) fn learn_slice(
        &mut self,
        key: SliceKey,
        slice: Option<Arc<Slice>>,
        touched: &mut BTreeSet<ServiceName>,
    ) {
        if self.slices.get(&key) == slice.as_ref() {
            return;
        }
        if let Some(old) = self.slices.remove(&key) {
            self.disown(&old.service, &key);
            touched.insert(old.service.clone());
        }
        if let Some(new) = slice {
            let keys = self.slices_of.entry(new.service.clone()).or_default();
            if let Err(place) = keys.binary_search(&key) {
                keys.insert(place, key.clone());
            }
            touched.insert(new.service.clone());
            self.slices.insert(key, new);
        }
    }

    fn disown(&mut self, service: &ServiceName, key: &SliceKey) {
        if let Some(keys) = self.slices_of.get_mut(service) {
            keys.retain(|known| known != key);
            if keys.is_empty() {
                self.slices_of.remove(service);
            }
        }
    }
}
