//! Places in a vector by hashes.

use alloc::vec::Vec;

use hashbrown::HashTable;

/// Where each entry of a vector is.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    places: HashTable<usize>,
    /// Of the entries, in their order.
    hashes: Vec<u64>,
}

impl Index {
    /// The place of the entry with this hash that `is_it`.
    pub(super) fn find(&self, hash: u64, is_it: &dyn Fn(usize) -> bool) -> Option<usize> {
        self.places.find(hash, |&place| is_it(place)).copied()
    }

    /// Adds an entry at the end, and returns its place.
    pub(super) fn push(&mut self, hash: u64) -> usize {
        let place = self.hashes.len();
        self.hashes.push(hash);
        self.places.insert_unique(hash, place, |&place| self.hashes[place]);
        place
    }

    /// Takes an entry out, and puts the last one into its place.
    pub(super) fn swap_remove(&mut self, place: usize) {
        let hash = self.hashes.swap_remove(place);
        if let Ok(entry) = self.places.find_entry(hash, |&known| known == place) {
            entry.remove();
        }
        let last = self.hashes.len();
        if let Some(&moved) = self.hashes.get(place)
            && let Some(known) = self.places.find_mut(moved, |&known| known == last)
        {
            *known = place;
        }
    }
}
