//! What each policy is, written from its definition: slow and obvious.

use super::*;

mod ipvs;
mod maglev;
mod two_choices;

pub(super) use two_choices::Average;

use ipvs::{Hash, Least, NeverQueue, RoundRobin, WeightedRoundRobin, is_sooner, overhead};
use maglev::Maglev;
use two_choices::TwoChoices;

/// What a model sees of a member, in the order of the list.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) octet: u8,
    pub(super) weight: u64,
    pub(super) active: u64,
    pub(super) inactive: u64,
    /// How long it takes to answer, as far as that is known.
    pub(super) average: Option<Average>,
    /// It has failed for who asks: the kernel would say that it is overloaded.
    pub(super) tried: bool,
}

impl Seen {
    fn is_eligible(&self) -> bool {
        self.weight > 0 && !self.tried
    }
}

pub(super) trait Model {
    /// Somebody came, went, or has another weight.
    fn change(&mut self, _members: &[Seen]) {}

    fn pick(&mut self, members: &[Seen], caller: Caller, draw: u64) -> Option<usize>;

    /// Another answer that would have been as good, but for rounding.
    fn as_good(&self) -> Option<usize> {
        None
    }
}

pub(super) fn model(policy: Policy) -> Box<dyn Model> {
    match policy {
        Policy::DestinationHash => Box::new(Hash { of: |caller| caller.destination, buckets_of: |_| 1 }),
        Policy::LeastConnection => Box::new(Least(|a, b| overhead(a) < overhead(b))),
        Policy::Maglev => Box::new(Maglev::default()),
        Policy::NeverQueue => Box::new(NeverQueue),
        Policy::Random => Box::new(Random),
        Policy::RoundRobin => Box::new(RoundRobin { last: None }),
        Policy::ShortestDelay => Box::new(Least(is_sooner)),
        Policy::SourceHash => {
            Box::new(Hash { of: |caller| caller.client, buckets_of: |member| member.weight })
        }
        Policy::TwoChoices => Box::new(TwoChoices::default()),
        Policy::WeightedRoundRobin => Box::new(WeightedRoundRobin::default()),
    }
}

/// Any of them; if that one may not be picked, any of those who may.
struct Random;

impl Model for Random {
    fn pick(&mut self, members: &[Seen], _caller: Caller, draw: u64) -> Option<usize> {
        let eligible: Vec<usize> = (0..members.len()).filter(|&index| members[index].is_eligible()).collect();
        let (first, rest) = one_of(members.len(), draw);
        match eligible.contains(&first) {
            true => Some(first),
            false => eligible.get(one_of(eligible.len(), rest).0).copied(),
        }
    }
}

/// The first `below` whole numbers share [0, 1) evenly; whose part the draw falls into, and where in it.
pub(super) fn one_of(below: usize, draw: u64) -> (usize, u64) {
    let scaled = draw as u128 * below as u128;
    ((scaled / (1 << 64)) as usize, (scaled % (1 << 64)) as u64)
}
