//! A hash map that costs little code for each type of key.
//!
//! hashbrown's is 2 kB for each, most of which moves entries from one table to another. This one has its entries in a vector and one type of
//! table for all, of their places. What each request to the sidecar looks at is in maps of hashbrown's own.

use alloc::vec::Vec;
use core::borrow::Borrow;
use core::hash::{BuildHasher, Hash};
use core::mem;

use foldhash::fast::FixedState;

mod index;

#[cfg(test)]
mod tests;

use index::Index;

/// Values by their keys, in no order. All that looks at one key is O(1).
#[derive(Clone, Debug)]
pub struct HashedMap<K, V> {
    entries: Vec<(K, V)>,
    index: Index,
}

impl<K, V> HashedMap<K, V> {
    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The values.
    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.entries.iter().map(|(_, value)| value)
    }

    /// Keys and values.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.entries.iter().map(|(key, value)| (key, value))
    }

    /// The same, the values to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&K, &mut V)> {
        self.entries.iter_mut().map(|(key, value)| (&*key, value))
    }

    /// Takes out what `goes`.
    pub(crate) fn extract(&mut self, goes: impl Fn(&K, &V) -> bool) -> Vec<V> {
        let mut gone = Vec::new();
        for place in (0..self.entries.len()).rev() {
            let (key, value) = &self.entries[place];
            if goes(key, value) {
                gone.push(self.remove_at(place)); // the last comes here, and has been looked at
            }
        }
        gone
    }

    fn remove_at(&mut self, place: usize) -> V {
        self.index.swap_remove(place);
        self.entries.swap_remove(place).1
    }
}

impl<K: Hash + Eq, V> HashedMap<K, V> {
    /// The value of a key.
    pub fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.find(key, hash(key)).map(|place| &self.entries[place].1)
    }

    /// The same, to be changed.
    pub(crate) fn get_mut<Q: Hash + Eq + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        self.find(key, hash(key)).map(|place| &mut self.entries[place].1)
    }

    /// The key as it was inserted.
    pub(crate) fn get_key<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<&K>
    where
        K: Borrow<Q>,
    {
        self.find(key, hash(key)).map(|place| &self.entries[place].0)
    }

    /// Whether there is such a key.
    pub fn contains_key<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.find(key, hash(key)).is_some()
    }

    /// Gives a key its value; returns the one before.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let hash = hash(&key);
        match self.find(&key, hash) {
            Some(place) => Some(mem::replace(&mut self.entries[place].1, value)),
            None => {
                self.push(key, value, hash);
                None
            }
        }
    }

    /// The value of a key, the default where it has none yet.
    pub fn get_or_default(&mut self, key: K) -> &mut V
    where
        V: Default,
    {
        let hash = hash(&key);
        let place = self.find(&key, hash).unwrap_or_else(|| self.push(key, V::default(), hash));
        &mut self.entries[place].1
    }

    /// Takes a key out; returns its value.
    pub(crate) fn remove<Q: Hash + Eq + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.find(key, hash(key)).map(|place| self.remove_at(place))
    }

    fn find<Q: Eq + ?Sized>(&self, key: &Q, hash: u64) -> Option<usize>
    where
        K: Borrow<Q>,
    {
        self.index.find(hash, &|place| self.entries[place].0.borrow() == key)
    }

    /// Returns the place.
    fn push(&mut self, key: K, value: V, hash: u64) -> usize {
        self.entries.push((key, value));
        self.index.push(hash)
    }
}

impl<K, V> Default for HashedMap<K, V> {
    fn default() -> HashedMap<K, V> {
        HashedMap { entries: Vec::new(), index: Index::default() }
    }
}

fn hash<Q: Hash + ?Sized>(key: &Q) -> u64 {
    FixedState::default().hash_one(key)
}
