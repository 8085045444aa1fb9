//! All watched collections.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use serde_json::value::RawValue;

use super::api::RequestId;
use super::known::{self, Known, PlaceSearch, Reader, Writing};
use super::resource::{Collection, Kind, SliceApi};
use super::watch::Watch;
use crate::address::ServiceName;
use crate::inventory::{Rejection, SliceKey};
use crate::service::{Interner, Rules, Service, Slice};

/// Names a watched collection. Those of Services come first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct WatchKey {
    pub(super) what: What,
    pub(super) scope: Scope,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    Services,
    Slices,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Scope {
    /// Of a namespace.
    All(Arc<str>),
    /// Of one Service.
    One(ServiceName),
}

impl WatchKey {
    pub(super) fn all(what: What, namespace: &Arc<str>) -> WatchKey {
        WatchKey { what, scope: Scope::All(namespace.clone()) }
    }

    pub(super) fn one(what: What, service: &ServiceName) -> WatchKey {
        WatchKey { what, scope: Scope::One(service.clone()) }
    }

    pub(super) fn namespace(&self) -> &Arc<str> {
        match &self.scope {
            Scope::All(namespace) => namespace,
            Scope::One(service) => &service.namespace,
        }
    }

    /// The collection to ask for; `None` until the API version of slices is known.
    pub(super) fn collection(&self, api: Option<SliceApi>) -> Option<Collection> {
        let kind = match self.what {
            What::Services => Kind::Service,
            What::Slices => Kind::Slice(api?),
        };
        let service = match &self.scope {
            Scope::All(_) => None,
            Scope::One(service) => Some(service.name.clone()),
        };
        Some(Collection { kind, namespace: self.namespace().clone(), service })
    }
}

#[derive(Debug)]
struct Watched {
    watch: Watch,
    known: Known,
}

#[derive(Debug)]
pub(super) struct Watches {
    map: BTreeMap<WatchKey, Watched>,
    /// How endpoints are told of, once that is known.
    pub(super) api: Option<SliceApi>,
    pub(super) reader: Reader,
}

impl Watches {
    pub(super) fn new(rules: Rules, place: PlaceSearch) -> Watches {
        let (interner, touched) = (Interner::default(), BTreeSet::new());
        let reader = Reader { rules, interner, touched, rejections_changed: false, place };
        Watches { map: BTreeMap::new(), api: None, reader }
    }

    pub(super) fn add(&mut self, key: WatchKey) {
        self.map.entry(key).or_insert_with(|| Watched { watch: Watch::new(), known: Known::default() });
    }

    /// Removes a collection with its facts. Returns its request, which is to be cancelled.
    pub(super) fn remove(&mut self, key: &WatchKey) -> Option<RequestId> {
        let gone = self.map.remove(key)?;
        self.reader.rejections_changed |= gone.known.rejections().next().is_some();
        self.touch(key, &gone.known);
        self.reader.interner.sweep();
        gone.watch.request()
    }

    /// Removes the facts of a collection.
    pub(super) fn forget(&mut self, key: &WatchKey) {
        let Some(watched) = self.map.get_mut(key) else { return };
        let known = core::mem::take(&mut watched.known);
        self.reader.rejections_changed |= known.rejections().next().is_some();
        self.touch(key, &known);
    }

    /// Marks all Services of a collection as changed.
    pub(super) fn touch_all(&mut self, key: &WatchKey) {
        if let Some(watched) = self.map.get_mut(key) {
            let known = core::mem::take(&mut watched.known);
            self.touch(key, &known);
            if let Some(watched) = self.map.get_mut(key) {
                watched.known = known;
            }
        }
    }

    fn touch(&mut self, key: &WatchKey, known: &Known) {
        let namespace = key.namespace();
        if let Scope::One(service) = &key.scope {
            self.reader.touched.insert(service.clone());
        }
        let name = |service: &Arc<str>| ServiceName::new(namespace.clone(), service.clone());
        self.reader.touched.extend(known.services().map(name));
        if key.scope == Scope::All(namespace.clone()) {
            let services = self.map.get(&WatchKey::all(What::Services, namespace));
            self.reader
                .touched
                .extend(services.iter().flat_map(|services| services.known.services()).map(name));
        }
    }

    /// Lets a watch do something, and its objects change by that.
    pub(super) fn with<R>(
        &mut self,
        key: &WatchKey,
        act: impl FnOnce(&mut Watch, &mut Writing<'_>) -> R,
    ) -> Option<R> {
        let Watched { watch, known } = self.map.get_mut(key)?;
        let of = key.collection(self.api.or(Some(SliceApi::V1)))?;
        Some(act(watch, &mut Writing { of: &of, known, reader: &mut self.reader }))
    }

    /// Looks for the pod's place in a slice of its namespace.
    pub(super) fn look(&mut self, object: &RawValue) {
        known::look(object, self.api.unwrap_or(SliceApi::V1), &mut self.reader);
    }

    pub(super) fn keys(&self) -> Vec<WatchKey> {
        self.map.keys().cloned().collect()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&WatchKey, &Watch)> {
        self.map.iter().map(|(key, watched)| (key, &watched.watch))
    }

    pub(super) fn watch(&self, key: &WatchKey) -> Option<&Watch> {
        self.map.get(key).map(|watched| &watched.watch)
    }

    pub(super) fn rejections(&self) -> Vec<Rejection> {
        let mut rejections: Vec<Rejection> =
            self.map.values().flat_map(|watched| watched.known.rejections().cloned()).collect();
        rejections.sort();
        rejections.dedup();
        rejections
    }

    /// The collection that says whether there is a Service: that of all, once it is whole.
    pub(super) fn about(&self, service: &ServiceName) -> Option<&Watch> {
        self.services(service).map(|watched| &watched.watch)
    }

    /// A Service, if it is known.
    pub(super) fn service(&self, service: &ServiceName) -> Option<&Arc<Service>> {
        let services = self.services(service).filter(|watched| watched.watch.is_synced())?;
        services.known.service(&service.name)
    }

    /// The slices of a Service, where all are known.
    pub(super) fn slices(&self, service: &ServiceName) -> Option<Vec<(SliceKey, Arc<Slice>)>> {
        self.synced_slices(service).map(|watched| watched.known.slices(service))
    }

    /// Whether all slices of a Service are known.
    pub(super) fn knows_slices(&self, service: &ServiceName) -> bool {
        self.synced_slices(service).is_some()
    }

    /// Whether the watches that the slices of a Service would come from are refused.
    pub(super) fn is_refused(&self, service: &ServiceName) -> bool {
        let keys = [WatchKey::one(What::Slices, service), WatchKey::all(What::Slices, &service.namespace)];
        let mut watches = keys.iter().filter_map(|key| self.watch(key)).peekable();
        watches.peek().is_some() && watches.all(Watch::is_refused)
    }

    fn services(&self, service: &ServiceName) -> Option<&Watched> {
        let all = self.map.get(&WatchKey::all(What::Services, &service.namespace));
        let one = self.map.get(&WatchKey::one(What::Services, service));
        all.filter(|all| all.watch.is_synced() || one.is_none()).or(one)
    }

    fn synced_slices(&self, service: &ServiceName) -> Option<&Watched> {
        let keys = [WatchKey::one(What::Slices, service), WatchKey::all(What::Slices, &service.namespace)];
        keys.iter().filter_map(|key| self.map.get(key)).find(|watched| watched.watch.is_synced())
    }
}
