//! What one connection or request has behind it.

use crate::endpoints::EndpointId;

/// The endpoints that a connection or request has already failed on; none of them is picked for it again.
#[derive(Clone, Copy, Debug)]
pub struct Tried {
    ids: [EndpointId; ATTEMPTS_MAX],
    count: u8,
}

/// With the default connect timeout of 1 s, 16 dead endpoints are 16 s: no client waits for the seventeenth.
const ATTEMPTS_MAX: usize = 16;

impl Tried {
    /// None yet.
    pub const NONE: Tried = Tried { ids: [EndpointId(0); ATTEMPTS_MAX], count: 0 };

    /// Remembers a failure. Once [`Tried::is_full`], further ones change nothing.
    pub fn insert(&mut self, id: EndpointId) {
        if !self.is_full() && !self.contains(id) {
            self.ids[usize::from(self.count)] = id;
            self.count += 1;
        }
    }

    /// Whether it failed there.
    pub fn contains(&self, id: EndpointId) -> bool {
        self.ids[..usize::from(self.count)].contains(&id)
    }

    /// Whether it has had all the attempts it gets.
    pub fn is_full(&self) -> bool {
        usize::from(self.count) == ATTEMPTS_MAX
    }
}

impl Default for Tried {
    fn default() -> Tried {
        Tried::NONE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_endpoint_counts_once() {
        let mut tried = Tried::NONE;
        (0..100).for_each(|_| tried.insert(EndpointId(7)));
        assert!(tried.contains(EndpointId(7)) && !tried.contains(EndpointId(0)) && !tried.is_full());
    }

    #[test]
    fn a_full_list_forgets_nothing() {
        let mut tried = Tried::NONE;
        (0..100).for_each(|id| tried.insert(EndpointId(id)));
        assert!(tried.is_full());
        assert!((0..16).all(|id| tried.contains(EndpointId(id))) && !tried.contains(EndpointId(16)));
    }
}
