//! `maglev`: by the client's address, and few clients move when endpoints come and go (Eisenbud et al., "Maglev", NSDI 2016, §3.4).
//!
//! Every process deals the same table for the same endpoints: what it hashes with is fixed here, for all versions and machines.

use alloc::boxed::Box;
use alloc::collections::BinaryHeap;
use alloc::vec;
use core::cmp::{Ordering, Reverse};
use core::net::IpAddr;

use super::{Ask, Member};
use crate::address::EndpointAddr;
use crate::draws::split_draw;

/// Which member has which slot.
#[derive(Clone, Debug, Default)]
pub(super) struct Maglev {
    slots: Box<[u16]>,
}

impl Maglev {
    /// In turns that are in proportion to their weights, each member takes the next slot of its own permutation that is still free.
    ///
    /// Costs 1.5 million instructions for 40 members, 8 million for 160 and 33 million (some 10 ms) beyond, once per change.
    pub(super) fn deal(members: &[Member]) -> Maglev {
        let size = slots_for(members.len());
        let mut turns = turns(members, size);
        let mut slots = vec![NOBODY; size].into_boxed_slice();
        for _ in 0..size {
            let Some(mut turn) = turns.peek_mut() else { return Maglev::default() };
            let slot = turn.0.free_slot(&slots);
            slots[slot] = turn.0.member;
            turn.0.taken += 1;
        }
        Maglev { slots }
    }

    /// The member whose slot the client's address falls into, or where that one may not be picked, the next one in the table who may: the
    /// clients of one that fails are spread over all the others.
    pub(super) fn pick(
        &self,
        members: &[Member],
        ask: &Ask<'_>,
        eligible: &impl Fn(&Member) -> bool,
    ) -> Option<usize> {
        let own = split_draw(hash_ip(ask.caller.client), self.slots.len()).0;
        let (before, behind) = self.slots.split_at_checked(own)?;
        let mut owners = behind.iter().chain(before).map(|index| usize::from(*index));
        let may = |index: &usize| members.get(*index).is_some_and(eligible);
        // A look at all the members is cheaper than one at all the slots, for nothing.
        let first = owners.next()?;
        match may(&first) {
            true => Some(first),
            false if !members.iter().any(eligible) => None,
            false => owners.find(may),
        }
    }
}

/// A member who takes slots.
struct MaglevTurn {
    member: u16,
    weight: u64,
    taken: u64,
    /// The slot that it prefers next, and how far the one after that lies behind it.
    next: usize,
    skip: usize,
}

/// Who has the next turn is on top: whose (taken + 1) / weight is the least; among equals, the first in the order of the addresses.
fn turns(members: &[Member], size: usize) -> BinaryHeap<Reverse<MaglevTurn>> {
    let turn = |(member, index): (&Member, u16)| {
        let (next, skip) = permutation(member.addr, size);
        Reverse(MaglevTurn { member: index, weight: u64::from(member.weight), taken: 0, next, skip })
    };
    // 65535 of them: more than any cluster has pods behind a Service.
    members.iter().zip(0..NOBODY).filter(|(member, _)| member.weight > 0).map(turn).collect()
}

impl MaglevTurn {
    fn free_slot(&mut self, slots: &[u16]) -> usize {
        loop {
            let slot = self.next;
            self.next += self.skip;
            // Both are below the number of slots; a division would be most of the work.
            if self.next >= slots.len() {
                self.next -= slots.len();
            }
            if slots[slot] == NOBODY {
                return slot;
            }
        }
    }
}

impl Ord for MaglevTurn {
    fn cmp(&self, other: &MaglevTurn) -> Ordering {
        let (own, others) = ((self.taken + 1) * other.weight, (other.taken + 1) * self.weight);
        own.cmp(&others).then(self.member.cmp(&other.member))
    }
}

impl PartialOrd for MaglevTurn {
    fn partial_cmp(&self, other: &MaglevTurn) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for MaglevTurn {
    fn eq(&self, other: &MaglevTurn) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for MaglevTurn {}

/// Where a member's permutation of the slots begins, and its steps: any step passes all the slots, as their number is prime.
fn permutation(addr: EndpointAddr, size: usize) -> (usize, usize) {
    let hash = mix(hash_ip(addr.0.ip()) ^ u64::from(addr.0.port()));
    let (begin, step) = (hash % size as u64, mix(hash) % (size as u64 - 1) + 1);
    (begin as usize, step as usize)
}

fn hash_ip(address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(address) => mix(u64::from(u32::from(address))),
        IpAddr::V6(address) => {
            let bits = u128::from(address);
            mix(mix((bits >> 64) as u64) ^ bits as u64)
        }
    }
}

/// SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014): each bit out depends on each bit in.
fn mix(bits: u64) -> u64 {
    let bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// How many slots, a prime. With a hundred for each member, shares are even within 1 % (§5.3), which holds here for up to 655 members.
///
/// At 2 bytes a slot: 8 KiB for up to 40 members, 32 KiB for up to 160 (of 1,000 such Services that a worker uses, 32 MiB), 128 KiB
/// beyond. Few sizes, since most clients move when a Service grows from one to the next.
fn slots_for(members: usize) -> usize {
    match members {
        0..=40 => 4_093,
        41..=160 => 16_381,
        _ => 65_537,
    }
}

/// Whose a free slot is.
const NOBODY: u16 = u16::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_mixed_as_splitmix64_is_published() {
        let outputs = [0, 1, 2].map(|n: u64| mix(n.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        assert_eq!(outputs, [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4, 0x06c4_5d18_8009_454f]);
    }

    #[test]
    fn the_numbers_of_slots_are_prime_and_a_hundred_for_each_member() {
        for members in [1, 40, 41, 160, 161, 655] {
            let slots = slots_for(members);
            assert!((2..slots).take_while(|n| n * n <= slots).all(|n| !slots.is_multiple_of(n)), "{slots}");
            assert!(slots >= 100 * members, "{slots} for {members}");
        }
    }
}
