//! Services by name, however the name is spelt.

use alloc::sync::Arc;
use core::hash::{BuildHasher, Hasher};

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry as Slot;

use super::entry::Entry;

/// DNS does not tell upper from lower case (RFC 4343), so neither does a look-up; it allocates nothing. The key is the name in
/// the entry itself: a second copy would be most of what cloning a table costs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Services {
    by_name: HashTable<Arc<Entry>>,
}

impl Services {
    pub(crate) fn get(&self, namespace: &str, name: &str) -> Option<&Arc<Entry>> {
        self.by_name.find(hash(namespace, name), |entry| is_called(entry, namespace, name))
    }

    /// Puts an entry in the place of the one of its name, if any.
    pub(crate) fn insert(&mut self, entry: Arc<Entry>) {
        let name = &entry.service.name;
        let (namespace, name) = (Arc::clone(&name.namespace), Arc::clone(&name.name));
        let hash_entry = |entry: &Arc<Entry>| hash(&entry.service.name.namespace, &entry.service.name.name);
        let slot = self.by_name.entry(
            hash(&namespace, &name),
            |entry| is_called(entry, &namespace, &name),
            hash_entry,
        );
        match slot {
            Slot::Occupied(mut slot) => *slot.get_mut() = entry,
            Slot::Vacant(slot) => {
                slot.insert(entry);
            }
        }
    }

    pub(crate) fn remove(&mut self, namespace: &str, name: &str) {
        let slot = self.by_name.find_entry(hash(namespace, name), |entry| is_called(entry, namespace, name));
        if let Ok(slot) = slot {
            slot.remove();
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.by_name.iter()
    }
}

fn is_called(entry: &Entry, namespace: &str, name: &str) -> bool {
    let own = &entry.service.name;
    own.name.eq_ignore_ascii_case(name) && own.namespace.eq_ignore_ascii_case(namespace)
}

fn hash(namespace: &str, name: &str) -> u64 {
    let mut hasher = FixedState::default().build_hasher();
    for part in [namespace, name] {
        write_lower(part, &mut hasher);
        hasher.write_u8(0xff); // no byte of UTF-8: `a` in `bc` is not `ab` in `c`
    }
    hasher.finish()
}

/// Writes whole chunks: a call for each letter would cost more than everything else here.
fn write_lower(text: &str, hasher: &mut impl Hasher) {
    let mut lower = [0; CHUNK_BYTES];
    for chunk in text.as_bytes().chunks(CHUNK_BYTES) {
        let lower = &mut lower[..chunk.len()];
        lower.copy_from_slice(chunk);
        lower.make_ascii_lowercase();
        hasher.write(lower);
    }
}

const CHUNK_BYTES: usize = 64; // a label is at most 63
