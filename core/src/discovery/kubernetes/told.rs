//! The facts in the inventory, and the changes that bring them up to date.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::address::ServiceName;
use crate::hash::HashMap;
use crate::inventory::{Change, SliceKey};
use crate::service::{Service, Slice};

/// The facts of one Service.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Saying {
    pub(super) service: Option<Arc<Service>>,
    /// Whether all its endpoints are known.
    pub(super) complete: bool,
    /// In the order of their keys.
    pub(super) slices: Vec<(SliceKey, Arc<Slice>)>,
}

/// The facts that the inventory has.
#[derive(Debug, Default)]
pub(super) struct Told {
    sayings: BTreeMap<ServiceName, Saying>,
    /// Whose each slice is to the inventory: one that moves from Service to Service is told of by two watches, in any order.
    owners: HashMap<SliceKey, ServiceName>,
}

impl Told {
    /// What changes with these sayings, all of it at once.
    pub(super) fn say(&mut self, sayings: Vec<(ServiceName, Saying)>) -> Vec<Change> {
        let (mut changes, mut gone) = (Vec::new(), Vec::new());
        for (name, saying) in &sayings {
            let before = self.sayings.get(name).map_or(&[][..], |before| &before.slices);
            gone.extend(before.iter().map(|(key, _)| key).filter(|key| saying.slice(key).is_none()).cloned());
        }
        gone.retain(|key| sayings.iter().any(|(name, _)| self.owners.get(key) == Some(name)));
        for (name, saying) in sayings {
            self.say_one(name, saying, &mut changes);
        }
        for key in gone {
            self.disown(key, &mut changes);
        }
        changes
    }

    fn say_one(&mut self, name: ServiceName, saying: Saying, changes: &mut Vec<Change>) {
        let before = self.sayings.get(&name);
        if before.map(|before| &before.service) != Some(&saying.service)
            && (before.is_some() || saying.service.is_some())
        {
            changes.push(Change::Service(name.clone(), saying.service.clone()));
        }
        for (key, slice) in &saying.slices {
            let same = before.and_then(|before| before.slice(key)) == Some(slice);
            if !same || self.owners.get(key) != Some(&name) {
                changes.push(Change::Slice(key.clone(), Some(slice.clone())));
                self.owners.insert(key.clone(), name.clone());
            }
        }
        if before.is_some_and(|before| before.complete) != saying.complete {
            changes.push(Change::Endpoints(name.clone(), saying.complete));
        }
        match saying == Saying::default() {
            true => self.sayings.remove(&name),
            false => self.sayings.insert(name, saying),
        };
    }

    /// Gives a slice that has left its Service to another Service that has it, else removes it.
    fn disown(&mut self, key: SliceKey, changes: &mut Vec<Change>) {
        let has_none =
            |owner: &ServiceName| self.sayings.get(owner).and_then(|saying| saying.slice(&key)).is_none();
        if !self.owners.get(&key).is_some_and(has_none) {
            return; // another took it in the same breath
        }
        let other = self.sayings.iter().find_map(|(name, saying)| Some((name, saying.slice(&key)?)));
        let other = other.map(|(name, slice)| (name.clone(), slice.clone()));
        changes.push(Change::Slice(key.clone(), other.as_ref().map(|(_, slice)| slice.clone())));
        match other {
            Some((name, _)) => self.owners.insert(key, name),
            None => self.owners.remove(&key),
        };
    }
}

impl Saying {
    fn slice(&self, key: &SliceKey) -> Option<&Arc<Slice>> {
        let index = self.slices.binary_search_by(|(known, _)| known.cmp(key)).ok()?;
        self.slices.get(index).map(|(_, slice)| slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(service: &str) -> ServiceName {
        ServiceName::new("shop", service)
    }

    fn key(object: &str) -> SliceKey {
        SliceKey { namespace: "shop".into(), name: object.into(), part: 0, from_endpoints: false }
    }

    fn slice(object: &str, service: &str) -> Arc<Slice> {
        Arc::new(Slice {
            name: object.into(),
            service: name(service),
            from_endpoints: false,
            weights: None,
            ports: Vec::new(),
            endpoints: Vec::new(),
        })
    }

    fn with(service: &str, objects: &[&str]) -> (ServiceName, Saying) {
        let slices = objects.iter().map(|object| (key(object), slice(object, service))).collect();
        (name(service), Saying { service: None, complete: true, slices })
    }

    #[test]
    fn a_slice_that_moves_is_never_lost_in_whatever_order_its_services_tell_of_it() {
        let moved = Change::Slice(key("x"), Some(slice("x", "b")));
        // The new one first, then the old one; the other way round; both at once.
        let mut told = Told::default();
        told.say(Vec::from([with("a", &["x"]), with("b", &[])]));
        assert_eq!(told.say(Vec::from([with("b", &["x"])])), core::slice::from_ref(&moved));
        assert_eq!(told.say(Vec::from([with("a", &[])])), []);

        let mut told = Told::default();
        told.say(Vec::from([with("a", &["x"]), with("b", &[])]));
        assert_eq!(told.say(Vec::from([with("a", &[])])), [Change::Slice(key("x"), None)]);
        assert_eq!(told.say(Vec::from([with("b", &["x"])])), core::slice::from_ref(&moved));

        for both in [[with("a", &[]), with("b", &["x"])], [with("b", &["x"]), with("a", &[])]] {
            let mut told = Told::default();
            told.say(Vec::from([with("a", &["x"]), with("b", &[])]));
            assert_eq!(told.say(Vec::from(both)), core::slice::from_ref(&moved));
        }
    }

    #[test]
    fn a_slice_that_came_back_before_it_was_seen_to_go_is_told_again() {
        let mut told = Told::default();
        told.say(Vec::from([with("a", &["x"]), with("b", &[])]));
        told.say(Vec::from([with("b", &["x"])]));
        let back = Change::Slice(key("x"), Some(slice("x", "a")));
        assert_eq!(told.say(Vec::from([with("b", &[])])), [back]);
        assert_eq!(told.say(Vec::from([with("a", &[])])), [Change::Slice(key("x"), None)]);
        assert!(told.owners.is_empty());
    }

    #[test]
    fn nothing_new_is_no_change() {
        let mut told = Told::default();
        assert_eq!(told.say(Vec::from([(name("a"), Saying::default())])), []);
        assert_eq!(told.say(Vec::from([with("a", &["x"])])).len(), 2);
        assert_eq!(told.say(Vec::from([with("a", &["x"])])), []);
    }
}
