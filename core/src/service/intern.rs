//! One allocation for a text that many facts repeat.

use alloc::sync::Arc;
use core::hash::Hash;

use super::Locality;
use crate::hash::HashSet;

/// Hands out one shared copy of equal texts and equal places. A million endpoints name a few hundred nodes and a handful of zones.
#[derive(Debug, Default)]
pub struct Interner {
    texts: HashSet<Arc<str>>,
    places: HashSet<Arc<Locality>>,
}

impl Interner {
    /// The shared copy of `text`.
    pub fn text(&mut self, text: &str) -> Arc<str> {
        shared(&mut self.texts, text, || text.into())
    }

    /// The shared copy of `place`; none of one that says nothing.
    pub fn place(&mut self, place: Locality) -> Option<Arc<Locality>> {
        if place == Locality::default() {
            return None;
        }
        Some(shared(&mut self.places, &place, || place.clone().into()))
    }

    /// Forgets what no fact uses any more.
    pub fn sweep(&mut self) {
        self.places.retain(|place| Arc::strong_count(place) > 1); // first: places hold texts
        self.texts.retain(|text| Arc::strong_count(text) > 1);
    }

    /// How many texts and places are kept.
    pub fn len(&self) -> usize {
        self.texts.len() + self.places.len()
    }

    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn shared<T: Hash + Eq + ?Sized>(
    known: &mut HashSet<Arc<T>>,
    wanted: &T,
    new: impl FnOnce() -> Arc<T>,
) -> Arc<T> {
    known.get_or_insert_with(wanted, |_| new()).clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_places_share_memory_and_a_place_that_says_nothing_is_none() {
        let mut interner = Interner::default();
        assert_eq!(interner.place(Locality::default()), None);
        let place = Locality { node: Some(interner.text("node-1")), ..Locality::default() };
        let (first, second) = (interner.place(place.clone()).unwrap(), interner.place(place).unwrap());
        assert!(Arc::ptr_eq(&first, &second));
        drop((first, second));
        interner.sweep();
        assert!(interner.is_empty());
    }

    #[test]
    fn equal_texts_share_memory_until_nobody_holds_them() {
        let mut interner = Interner::default();
        let first = interner.text("node-1");
        assert!(Arc::ptr_eq(&first, &interner.text("node-1")));
        drop(interner.text("node-2"));
        interner.sweep();
        assert_eq!(interner.len(), 1);
        drop(first);
        interner.sweep();
        assert!(interner.is_empty());
    }
}
