//! The facts of one watched collection. A malformed object is skipped and reported; its last valid state stays.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::resource::{Collection, Kind, SliceApi};
use super::watch::Objects;
use super::wire::{Head, bytes};
use crate::address::ServiceName;
use crate::endpoints::Here;
use crate::inventory::{Rejection, SliceKey};
use crate::service::{
    Interner, Invalid, Rules, Service, Slice, Valid, object, read_endpoint_slice, read_endpoints,
    read_service,
};

/// The objects of a collection, by their names.
#[derive(Debug, Default)]
pub(super) struct Known {
    facts: Facts,
    /// Of a list that is not whole yet.
    listing: Facts,
}

#[derive(Debug, Default)]
struct Facts {
    objects: BTreeMap<Arc<str>, Fact>,
    /// The slices of each Service.
    of_service: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
    rejected: BTreeMap<Arc<str>, Rejection>,
}

#[derive(Clone, Debug, PartialEq)]
enum Fact {
    Service(Arc<Service>),
    Slices(Vec<Arc<Slice>>),
}

/// What reading needs, and what it leaves behind.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) rules: Rules,
    pub(super) interner: Interner,
    /// The Services of which something else is said than before.
    pub(super) touched: BTreeSet<ServiceName>,
    pub(super) rejections_changed: bool,
    /// Where the pod is looked for.
    pub(super) place: PlaceSearch,
}

/// The search for the pod's own address, which tells its node and zone.
#[derive(Debug)]
pub(super) struct PlaceSearch {
    is_wanted: bool,
    /// The pod's own, once it is known.
    pub(super) address: Option<IpAddr>,
    /// What was found, until it is told.
    pub(super) found: Option<Here>,
}

/// A collection, and a reader of its objects.
pub(super) struct Writing<'a> {
    pub(super) of: &'a Collection,
    pub(super) known: &'a mut Known,
    pub(super) reader: &'a mut Reader,
}

impl Known {
    pub(super) fn service(&self, name: &str) -> Option<&Arc<Service>> {
        match self.facts.objects.get(name)? {
            Fact::Service(service) => Some(service),
            Fact::Slices(_) => None,
        }
    }

    /// The names of the Services of which it has something to say.
    pub(super) fn services(&self) -> impl Iterator<Item = &Arc<str>> {
        let services = self.facts.objects.iter().filter(|(_, fact)| matches!(fact, Fact::Service(_)));
        services.map(|(name, _)| name).chain(self.facts.of_service.keys())
    }

    /// The slices of a Service, in the order of their keys.
    pub(super) fn slices(&self, service: &ServiceName) -> Vec<(SliceKey, Arc<Slice>)> {
        let mut slices = Vec::new();
        for object in self.facts.of_service.get(&service.name).into_iter().flatten() {
            let Some(Fact::Slices(parts)) = self.facts.objects.get(object) else { continue };
            for (part, slice) in (0..).zip(parts) {
                let key = SliceKey {
                    namespace: service.namespace.clone(),
                    name: object.clone(),
                    part,
                    from_endpoints: slice.from_endpoints,
                };
                slices.push((key, slice.clone()));
            }
        }
        slices
    }

    pub(super) fn rejections(&self) -> impl Iterator<Item = &Rejection> {
        self.facts.rejected.values()
    }
}

impl Facts {
    /// Takes a fact in the place of the one before. The Services that this concerns, but for equal ones.
    fn put(&mut self, name: &Arc<str>, fact: Option<Fact>, mut touch: impl FnMut(&Arc<str>)) {
        let before = self.objects.get(name);
        if before == fact.as_ref() {
            return;
        }
        if let Some(before) = self.objects.remove(name) {
            let service = before.service(name);
            if let Some(objects) = self.of_service.get_mut(service) {
                objects.remove(name);
                if objects.is_empty() {
                    self.of_service.remove(service);
                }
            }
            touch(service);
        }
        if let Some(fact) = fact {
            let service = fact.service(name).clone();
            if matches!(fact, Fact::Slices(_)) {
                self.of_service.entry(service.clone()).or_default().insert(name.clone());
            }
            touch(&service);
            self.objects.insert(name.clone(), fact);
        }
    }
}

impl Fact {
    /// The Service that it is about.
    fn service<'a>(&'a self, name: &'a Arc<str>) -> &'a Arc<str> {
        match self {
            Fact::Service(_) => name,
            Fact::Slices(slices) => slices.first().map_or(name, |slice| &slice.service.name),
        }
    }
}

impl Writing<'_> {
    /// The name of an object and what it says; nothing where that does not belong here.
    fn read(&mut self, object: &RawValue) -> (Arc<str>, Result<Option<Fact>, String>) {
        let name = Head::read(object).and_then(|head| head.name).unwrap_or_default();
        let name: Arc<str> = name.into();
        let json = bytes(object);
        let reader = &mut *self.reader;
        let fact = match self.of.kind {
            Kind::Service => parse(json, |object: &object::Service| read_service(object, &reader.rules))
                .map(|service| Fact::Service(Arc::new(service))),
            Kind::Slice(SliceApi::Endpoints) => parse(json, |object: &object::Endpoints| {
                read_endpoints(object, &reader.rules, &mut reader.interner)
            })
            .map(slices),
            Kind::Slice(SliceApi::V1 | SliceApi::V1beta1) => parse(json, |object: &object::EndpointSlice| {
                read_endpoint_slice(object, &reader.rules, &mut reader.interner)
            })
            .map(slices),
        };
        if let Ok(Fact::Slices(slices)) = &fact {
            reader.place.look(slices.iter().map(|slice| &**slice));
        }
        (name, fact.map(|fact| Some(fact).filter(|fact| self.belongs(fact))))
    }

    /// A server says nothing of other namespaces, nor of other Services than those it was asked about.
    fn belongs(&self, fact: &Fact) -> bool {
        let is_ours = |of: &ServiceName| {
            of.namespace == self.of.namespace
                && self.of.service.as_ref().is_none_or(|service| *service == of.name)
        };
        match fact {
            Fact::Service(service) => is_ours(&service.name),
            Fact::Slices(slices) => !slices.is_empty() && slices.iter().all(|slice| is_ours(&slice.service)),
        }
    }

    fn rejection(&self, name: &str, reason: String) -> Rejection {
        let kind = match self.of.kind {
            Kind::Service => "Service",
            Kind::Slice(SliceApi::Endpoints) => "Endpoints",
            Kind::Slice(SliceApi::V1 | SliceApi::V1beta1) => "EndpointSlice",
        };
        let object = format!("{kind} \"{}/{name}\"", self.of.namespace);
        Rejection { object, file: String::new(), reason }
    }

    fn put(&mut self, name: &Arc<str>, fact: Option<Fact>) {
        let Writing { of, known, reader } = self;
        known.facts.put(name, fact, |service| {
            reader.touched.insert(ServiceName::new(of.namespace.clone(), service.clone()));
        });
    }
}

impl Objects for Writing<'_> {
    fn listed(&mut self, object: &RawValue) {
        let (name, read) = self.read(object);
        match read {
            Ok(fact) => self.known.listing.put(&name, fact, |_| {}),
            Err(reason) => {
                let rejection = self.rejection(&name, reason);
                reject(&mut self.known.listing.rejected, &name, rejection);
                let before = self.known.facts.objects.get(&name).cloned();
                self.known.listing.put(&name, before, |_| {});
            }
        }
    }

    fn list_is_whole(&mut self) {
        let listing = core::mem::take(&mut self.known.listing);
        self.reader.rejections_changed |= listing.rejected != self.known.facts.rejected;
        self.known.facts.rejected = listing.rejected;
        let gone = self.known.facts.objects.keys().filter(|name| !listing.objects.contains_key(*name));
        for name in gone.cloned().collect::<Vec<_>>() {
            self.put(&name, None);
        }
        for (name, fact) in listing.objects {
            self.put(&name, Some(fact));
        }
        self.reader.interner.sweep();
    }

    fn list_is_void(&mut self) {
        self.known.listing = Facts::default();
    }

    fn applied(&mut self, object: &RawValue) {
        let (name, read) = self.read(object);
        let rejected = &mut self.known.facts.rejected;
        match read {
            Ok(fact) => {
                self.reader.rejections_changed |= rejected.remove(&name).is_some();
                self.put(&name, fact);
            }
            Err(reason) => {
                let rejection = self.rejection(&name, reason);
                let rejected = &mut self.known.facts.rejected;
                self.reader.rejections_changed |= reject(rejected, &name, rejection);
            }
        }
    }

    fn deleted(&mut self, object: &RawValue) {
        let Some(name) = Head::read(object).and_then(|head| head.name) else { return };
        let name: Arc<str> = name.into();
        self.reader.rejections_changed |= self.known.facts.rejected.remove(&name).is_some();
        self.put(&name, None);
    }
}

/// Looks for the pod in a slice that is not kept.
pub(super) fn look(object: &RawValue, api: SliceApi, reader: &mut Reader) {
    let read = match api {
        SliceApi::Endpoints => parse(bytes(object), |object: &object::Endpoints| {
            read_endpoints(object, &reader.rules, &mut reader.interner)
        }),
        SliceApi::V1 | SliceApi::V1beta1 => parse(bytes(object), |object: &object::EndpointSlice| {
            read_endpoint_slice(object, &reader.rules, &mut reader.interner)
        }),
    };
    if let Ok(slices) = read {
        reader.place.look(slices.iter());
    }
}

impl PlaceSearch {
    pub(super) fn new(is_wanted: bool) -> PlaceSearch {
        PlaceSearch { is_wanted, address: None, found: None }
    }

    /// Whether there is something to look for.
    pub(super) fn is_open(&self) -> bool {
        self.is_wanted && self.address.is_some()
    }

    fn look<'a>(&mut self, slices: impl Iterator<Item = &'a Slice>) {
        if !self.is_open() {
            return;
        }
        let endpoints = slices.flat_map(|slice| &slice.endpoints);
        let own = endpoints.filter(|endpoint| Some(endpoint.address) == self.address);
        let mut places = own.filter_map(|endpoint| endpoint.place.as_ref());
        let place = places.find(|place| place.node.is_some() || place.zone.is_some());
        self.found = place.map(|place| Here { zone: place.zone.clone(), node: place.node.clone() });
        self.is_wanted = self.found.is_none();
    }
}

/// Whether this says something new.
fn reject(rejected: &mut BTreeMap<Arc<str>, Rejection>, name: &Arc<str>, rejection: Rejection) -> bool {
    if rejected.len() >= REJECTED_MAX || rejected.get(name) == Some(&rejection) {
        return false;
    }
    rejected.insert(name.clone(), rejection);
    true
}

fn parse<T: DeserializeOwned, F>(
    json: &[u8],
    read: impl FnOnce(&T) -> Result<Valid<F>, Invalid>,
) -> Result<F, String> {
    let object = serde_json::from_slice(json).map_err(|error| error.to_string())?;
    read(&object).map(|valid| valid.fact).map_err(|invalid| invalid.to_string())
}

fn slices(slices: Vec<Slice>) -> Fact {
    Fact::Slices(slices.into_iter().map(Arc::new).collect())
}

/// Of how many objects of one collection it is told that they are malformed, with 64 mistakes each.
const REJECTED_MAX: usize = 64;
