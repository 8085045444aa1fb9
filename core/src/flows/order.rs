//! An order of places, of which any can go to the end at once.

use super::FlowSlot;

/// A list through the slots themselves: a queue of its own would grow with every datagram.
#[derive(Debug)]
pub(super) struct Order {
    first: u32,
    last: u32,
}

/// The neighbours of a slot.
#[derive(Clone, Copy, Debug)]
pub(super) struct OrderLink {
    before: u32,
    after: u32,
}

/// No place: there are never that many.
const NONE: u32 = u32::MAX;

impl Default for Order {
    fn default() -> Order {
        Order { first: NONE, last: NONE }
    }
}

impl Default for OrderLink {
    fn default() -> OrderLink {
        OrderLink { before: NONE, after: NONE }
    }
}

impl Order {
    pub(super) fn first(&self) -> Option<u32> {
        (self.first != NONE).then_some(self.first)
    }

    /// Puts a place that is not in the list at its end.
    pub(super) fn push<V>(&mut self, slots: &mut [FlowSlot<V>], place: u32) {
        slots[place as usize].link = OrderLink { before: self.last, after: NONE };
        match self.last {
            NONE => self.first = place,
            last => slots[last as usize].link.after = place,
        }
        self.last = place;
    }

    /// Takes a place out of the list.
    pub(super) fn take<V>(&mut self, slots: &mut [FlowSlot<V>], place: u32) {
        let OrderLink { before, after } = slots[place as usize].link;
        match before {
            NONE => self.first = after,
            before => slots[before as usize].link.after = after,
        }
        match after {
            NONE => self.last = before,
            after => slots[after as usize].link.before = before,
        }
    }

    pub(super) fn move_to_end<V>(&mut self, slots: &mut [FlowSlot<V>], place: u32) {
        if self.last != place {
            self.take(slots, place);
            self.push(slots, place);
        }
    }
}
