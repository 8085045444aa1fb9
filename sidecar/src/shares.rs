//! Something bounded, of which clients hold as many as they choose: whose have to go when a new one comes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Who holds what, and what of it was used last. What goes for a new one is the holder's with the most of all, and of his what was used
/// least recently: who asks for thousands loses his own. Everything costs O(log n).
#[derive(Debug)]
pub(crate) struct Shares<K> {
    max: usize,
    items: BTreeMap<K, ShareItem>,
    /// What each holder has, in the order of its last use.
    held: BTreeMap<IpAddr, BTreeMap<u64, K>>,
    /// Holders by how much they have.
    sizes: BTreeSet<(usize, IpAddr)>,
    uses: u64,
}

#[derive(Clone, Copy, Debug)]
struct ShareItem {
    holder: IpAddr,
    used: u64,
}

impl<K: Clone + Ord> Shares<K> {
    /// At most `max` things, at least one.
    pub(crate) fn new(max: usize) -> Shares<K> {
        Shares { max, items: BTreeMap::new(), held: BTreeMap::new(), sizes: BTreeSet::new(), uses: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.len() >= self.max
    }

    /// How many this holder has.
    pub(crate) fn of(&self, holder: IpAddr) -> usize {
        self.held.get(&holder).map_or(0, BTreeMap::len)
    }

    /// Adds what is not there yet, or notes that it is used. Returns what has to go for it.
    pub(crate) fn admit(&mut self, key: K, holder: IpAddr) -> Option<K> {
        if self.touch(&key) {
            return None;
        }
        let gone = self.is_full().then(|| self.victim(holder).cloned()).flatten();
        if let Some(gone) = &gone {
            self.remove(gone);
        }
        self.uses += 1;
        self.items.insert(key.clone(), ShareItem { holder, used: self.uses });
        let held = self.held.entry(holder).or_default();
        held.insert(self.uses, key);
        let size = held.len();
        self.resize(holder, size - 1, size);
        gone
    }

    /// What would have to go for one more of `holder`.
    pub(crate) fn victim(&self, holder: IpAddr) -> Option<&K> {
        let (most, greediest) = self.sizes.last()?;
        let own = self.of(holder);
        let loser = if own > 0 && own + 1 > *most { holder } else { *greediest };
        self.held.get(&loser)?.first_key_value().map(|(_, key)| key)
    }

    /// Who holds it.
    pub(crate) fn holder(&self, key: &K) -> Option<IpAddr> {
        self.items.get(key).map(|item| item.holder)
    }

    /// When it was used last, in uses of anything.
    pub(crate) fn used(&self, key: &K) -> Option<u64> {
        self.items.get(key).map(|item| item.used)
    }

    /// Notes that it is used; whether it is there.
    pub(crate) fn touch(&mut self, key: &K) -> bool {
        let Some(item) = self.items.get_mut(key) else { return false };
        self.uses += 1;
        if let Some(held) = self.held.get_mut(&item.holder)
            && let Some(key) = held.remove(&item.used)
        {
            held.insert(self.uses, key);
        }
        item.used = self.uses;
        true
    }

    pub(crate) fn remove(&mut self, key: &K) {
        let Some(ShareItem { holder, used }) = self.items.remove(key) else { return };
        let Some(held) = self.held.get_mut(&holder) else { return };
        held.remove(&used);
        let size = held.len();
        if size == 0 {
            self.held.remove(&holder);
        }
        self.resize(holder, size + 1, size);
    }

    fn resize(&mut self, holder: IpAddr, before: usize, size: usize) {
        self.sizes.remove(&(before, holder));
        if size > 0 {
            self.sizes.insert((size, holder));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    #[test]
    fn who_has_the_most_loses_what_he_has_used_least_recently() {
        let mut shares = Shares::new(4);
        for key in [1, 2, 3] {
            assert_eq!(shares.admit(key, client(1)), None);
        }
        assert_eq!(shares.admit(10, client(2)), None);
        shares.touch(&1);
        assert_eq!(shares.admit(11, client(2)), Some(2));
        assert_eq!((shares.of(client(1)), shares.of(client(2))), (2, 2));
        assert_eq!(shares.admit(12, client(2)), Some(10), "both had as many: it is his own that goes");
        assert_eq!(shares.admit(4, client(1)), Some(3));
        assert!(shares.admit(20, client(3)).is_some());
        assert_eq!(shares.of(client(3)), 1);
    }

    #[test]
    fn a_client_that_asks_for_thousands_takes_nothing_from_one_that_has_a_few() {
        let mut shares = Shares::new(100);
        for key in 0..5 {
            shares.admit(key, client(1));
        }
        for key in 1_000..20_000 {
            shares.admit(key, client(2));
        }
        assert_eq!((shares.len(), shares.of(client(1))), (100, 5));
        for key in 5..50 {
            assert!(shares.admit(key, client(1)).is_some_and(|gone| gone >= 1_000));
        }
        assert_eq!(shares.of(client(1)), 50);
    }

    #[test]
    fn what_is_used_stays_and_what_was_removed_is_no_ones() {
        let mut shares = Shares::new(3);
        for key in 0..1_000 {
            shares.touch(&0);
            shares.admit(key, client(1));
        }
        assert!(shares.holder(&0).is_some() && shares.holder(&999).is_some());
        shares.remove(&0);
        assert!(!shares.touch(&0) && shares.holder(&0).is_none());
        assert_eq!(shares.admit(5_000, client(1)), None);
    }
}
