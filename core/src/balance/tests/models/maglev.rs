//! Maglev, as the paper has it.

use core::net::IpAddr;

use super::{Caller, Model, Seen, one_of};

/// A table of the 4,093 slots that up to 40 members share.
#[derive(Default)]
pub(super) struct Maglev {
    table: Vec<usize>,
}

impl Model for Maglev {
    fn change(&mut self, members: &[Seen]) {
        self.table.clear();
        let takers: Vec<usize> = (0..members.len()).filter(|&index| members[index].weight > 0).collect();
        if takers.is_empty() {
            return;
        }
        let mut table = vec![None; 4093];
        let mut taken = vec![0; members.len()];
        let mut wishes: Vec<_> = members.iter().map(|member| permutation(member.octet)).collect();
        for _ in 0..4093 {
            let sooner =
                |a: usize, b: usize| (taken[a] + 1) * members[b].weight < (taken[b] + 1) * members[a].weight;
            let next = takers.iter().copied().reduce(|a, b| if sooner(b, a) { b } else { a }).unwrap();
            let slot = wishes[next].find(|&slot| table[slot].is_none()).unwrap();
            table[slot] = Some(next);
            taken[next] += 1;
        }
        self.table = table.into_iter().map(Option::unwrap).collect();
    }

    fn pick(&mut self, members: &[Seen], caller: Caller, _draw: u64) -> Option<usize> {
        let slot = one_of(self.table.len(), hash64(caller.client)).0;
        let mut round = self.table.iter().cycle().skip(slot).take(self.table.len());
        round.find(|&&index| members[index].is_eligible()).copied()
    }
}

/// All slots, in the order in which the endpoint 10.0.0.OCTET:80 wants them.
fn permutation(octet: u8) -> impl Iterator<Item = usize> {
    let first = split_mix(hash64(IpAddr::from([10, 0, 0, octet])) ^ 80);
    let second = split_mix(first);
    (0..4093).map(move |n| ((first % 4093 + n * (second % 4092 + 1)) % 4093) as usize)
}

fn hash64(address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(address) => split_mix(u32::from_be_bytes(address.octets()).into()),
        IpAddr::V6(address) => {
            let word =
                |half: usize| u64::from_be_bytes(address.octets()[8 * half..][..8].try_into().unwrap());
            split_mix(split_mix(word(0)) ^ word(1))
        }
    }
}

/// The number that SplitMix64 gives first after this seed.
fn split_mix(seed: u64) -> u64 {
    let times = |a: u64, b: u64| (u128::from(a) * u128::from(b) % (1 << 64)) as u64;
    let z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = times(z ^ (z >> 30), 0xbf58_476d_1ce4_e5b9);
    let z = times(z ^ (z >> 27), 0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
