//! One allocation for a text that many facts repeat.

use alloc::sync::Arc;

use hashbrown::HashSet;

use super::Hints;

/// Hands out one shared copy of equal texts and equal hints. A million endpoints name a few hundred nodes and a handful of zones.
#[derive(Debug, Default)]
pub struct Interner {
    texts: HashSet<Arc<str>, foldhash::fast::FixedState>,
    hints: HashSet<Arc<Hints>, foldhash::fast::FixedState>,
}

impl Interner {
    /// The shared copy of `text`.
    pub fn text(&mut self, text: &str) -> Arc<str> {
        self.texts.get_or_insert_with(text, |text| Arc::from(text)).clone()
    }

    /// The shared copy of `hints`.
    pub fn hints(&mut self, hints: Hints) -> Arc<Hints> {
        self.hints.get_or_insert_with(&hints, |hints| Arc::new(hints.clone())).clone()
    }

    /// Forgets what no fact uses any more.
    pub fn sweep(&mut self) {
        self.texts.retain(|text| Arc::strong_count(text) > 1);
        self.hints.retain(|hints| Arc::strong_count(hints) > 1);
    }

    /// How many texts and hints are kept.
    pub fn len(&self) -> usize {
        self.texts.len() + self.hints.len()
    }

    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
