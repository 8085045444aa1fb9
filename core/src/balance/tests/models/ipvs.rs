//! The schedulers of IPVS, as Linux 6.1 has them.

use core::net::IpAddr;

use super::{Caller, Model, Seen, one_of};

/// Who comes behind the last one in the list, else the first; at first any.
pub(super) struct RoundRobin {
    pub(super) last: Option<u8>,
}

impl Model for RoundRobin {
    fn pick(&mut self, members: &[Seen], _caller: Caller, draw: u64) -> Option<usize> {
        let is_behind = |index: &usize| match self.last {
            Some(last) => members[*index].octet > last,
            None => *index >= one_of(members.len(), draw).0,
        };
        let eligible: Vec<usize> = (0..members.len()).filter(|&index| members[index].is_eligible()).collect();
        let picked = eligible.iter().copied().find(is_behind).or(eligible.first().copied())?;
        self.last = Some(members[picked].octet);
        Some(picked)
    }
}

/// Walks the list; keeps the one it has unless the next is better.
pub(super) struct Least(pub(super) fn(&Seen, &Seen) -> bool);

impl Model for Least {
    fn pick(&mut self, members: &[Seen], _caller: Caller, _draw: u64) -> Option<usize> {
        let mut least: Option<usize> = None;
        for (index, member) in members.iter().enumerate() {
            if member.is_eligible() && least.is_none_or(|least| (self.0)(member, &members[least])) {
                least = Some(index);
            }
        }
        least
    }
}

pub(super) fn overhead(member: &Seen) -> u64 {
    member.active * 256 + member.inactive
}

pub(super) fn is_sooner(a: &Seen, b: &Seen) -> bool {
    (b.active + 1) * a.weight > (a.active + 1) * b.weight
}

pub(super) struct NeverQueue;

impl Model for NeverQueue {
    fn pick(&mut self, members: &[Seen], caller: Caller, draw: u64) -> Option<usize> {
        for (index, member) in members.iter().enumerate() {
            if member.is_eligible() && member.active == 0 {
                return Some(index);
            }
        }
        Least(is_sooner).pick(members, caller, draw)
    }
}

/// A table of 256 buckets, filled anew for each question.
pub(super) struct Hash {
    pub(super) of: fn(Caller) -> IpAddr,
    pub(super) buckets_of: fn(&Seen) -> u64,
}

impl Model for Hash {
    fn pick(&mut self, members: &[Seen], caller: Caller, _draw: u64) -> Option<usize> {
        if members.is_empty() {
            return None;
        }
        let mut table = Vec::new();
        let (mut index, mut count) = (0, 0);
        while table.len() < 256 {
            table.push(index);
            count += 1;
            if count >= (self.buckets_of)(&members[index]) {
                (index, count) = ((index + 1) % members.len(), 0);
            }
        }
        let hash = hash((self.of)(caller));
        let own = table[hash];
        match () {
            () if members[own].weight == 0 => None,
            () if members[own].is_eligible() => Some(own),
            () => (0..256)
                .map(|offset| table[((offset + hash) % 256 + hash) % 256])
                .find(|&index| members[index].is_eligible()),
        }
    }
}

/// 32 bits of address times the constant, of which the upper 8 of the lower 32 bits count.
fn hash(address: IpAddr) -> usize {
    let words: Vec<u32> = match address {
        IpAddr::V4(address) => Vec::from([u32::from_be_bytes(address.octets())]),
        IpAddr::V6(address) => {
            let octets = address.octets();
            octets.chunks(4).map(|word| u32::from_be_bytes(word.try_into().unwrap())).collect()
        }
    };
    let folded = words.into_iter().fold(0, |a, b| a ^ b);
    let product = (u64::from(folded) * 0x61c8_8647) % (1 << 32);
    (product / (1 << 24)) as usize
}

/// Walks the list round after round, as long as it takes.
#[derive(Default)]
pub(super) struct WeightedRoundRobin {
    /// How far the walk is: 0 is before the first.
    place: usize,
    current: i64,
    max: i64,
    gcd: i64,
}

impl Model for WeightedRoundRobin {
    fn change(&mut self, members: &[Seen]) {
        let weights = || members.iter().map(|member| member.weight as i64).filter(|weight| *weight > 0);
        let highest = weights().max().unwrap_or(0);
        self.gcd = (1..=highest).rev().find(|n| weights().all(|weight| weight % n == 0)).unwrap_or(1);
        self.max = highest - (self.gcd - 1);
        self.place = 0;
        if self.current > self.max || self.current == 0 {
            self.current = self.max;
        } else if self.gcd > 1 {
            self.current = (self.current / self.gcd) * self.gcd + 1;
        }
    }

    /// Nobody is left when all have been asked with the lowest threshold: at the end of the list, where the walk goes on at the top; or
    /// where it began, if it came round to there from below.
    fn pick(&mut self, members: &[Seen], _caller: Caller, _draw: u64) -> Option<usize> {
        if self.max == 0 {
            return None;
        }
        let (began, mut came_round) = (self.place, false);
        let mut asked_at_the_lowest = vec![false; members.len()];
        loop {
            if self.place == members.len() {
                self.place = 0;
                self.current -= self.gcd;
                if self.current <= 0 {
                    self.current = self.max;
                    if asked_at_the_lowest.iter().all(|asked| *asked) {
                        return None;
                    }
                    came_round = true;
                }
                continue;
            }
            let (index, member) = (self.place, &members[self.place]);
            self.place += 1;
            if member.is_eligible() && member.weight as i64 >= self.current {
                return Some(index);
            }
            if self.current <= self.gcd {
                asked_at_the_lowest[index] = true;
                if came_round && self.place == began && asked_at_the_lowest.iter().all(|asked| *asked) {
                    return None;
                }
            }
        }
    }
}
