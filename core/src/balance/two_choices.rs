//! `p2c`: the better of two: who is likely to answer sooner, going by its latency, its load and its weight.
//!
//! Two are enough to avoid the slow and the busy, and since each sidecar draws other pairs, they do not all run after the same one, as
//! with `lc`.

use alloc::boxed::Box;

use super::Member;
use crate::draws::{split_draw, split_weights};

/// How to draw.
///
/// Among members of the same weight, two different ones, evenly. Where weights differ, each of the two by weight, which may be the same
/// one twice: of two who are alike a light one must be able to lose to itself, or it would be drawn against the heavier one each time.
#[derive(Clone, Debug, Default)]
pub(super) struct TwoChoices {
    /// Where the part of each member ends when they lie side by side, as long as they are heavy; empty where all weigh the same.
    ends: Box<[u64]>,
    /// What a member weighs on average, those of weight 0 left out.
    mean_weight: u64,
}

impl TwoChoices {
    pub(super) fn prepare(members: &[Member]) -> TwoChoices {
        let weights = || members.iter().map(|member| member.weight);
        let (total, count) =
            (weights().map(u64::from).sum::<u64>(), weights().filter(|weight| *weight > 0).count());
        let mean_weight = total.checked_div(count as u64).unwrap_or(0);
        if weights().all(|weight| Some(weight) == weights().next()) {
            return TwoChoices { ends: Box::default(), mean_weight };
        }
        let end = |end: &mut u64, weight| {
            *end += u64::from(weight);
            Some(*end)
        };
        TwoChoices { ends: weights().scan(0, end).collect(), mean_weight }
    }

    /// `eligible` gives the same answer whenever it is asked about the same member. Among equals, the first one drawn.
    pub(super) fn pick(
        &self,
        members: &[Member],
        eligible: &impl Fn(&Member) -> bool,
        draw: u64,
    ) -> Option<usize> {
        let (first, second, rest) = self.draw(members.len(), draw);
        match (members.get(first), members.get(second)) {
            (Some(one), Some(other)) if eligible(one) && eligible(other) => {
                Some(if self.is_cheaper(other, one) { second } else { first })
            }
            _ => self.pick_among(members, eligible, rest),
        }
    }

    fn draw(&self, members: usize, draw: u64) -> (usize, usize, u64) {
        let Some(total) = self.ends.last() else { return two_of(members, draw) };
        let (first, rest) = split_weights(draw, *total);
        let (second, rest) = split_weights(rest, *total);
        let whose = |place: u64| self.ends.partition_point(|end| *end <= place);
        (whose(first), whose(second), rest)
    }

    /// Draws again, so that nobody gets the share of one who may not be picked.
    fn pick_among(
        &self,
        members: &[Member],
        eligible: &impl Fn(&Member) -> bool,
        draw: u64,
    ) -> Option<usize> {
        let candidates = || members.iter().enumerate().filter(|(_, member)| eligible(member));
        let (first, second) = match self.ends.is_empty() {
            true => {
                let (first, second, _) = two_of(candidates().count(), draw);
                (candidates().nth(first), candidates().nth(second))
            }
            false => {
                let total = candidates().map(|(_, member)| u64::from(member.weight)).sum();
                let (first, rest) = split_weights(draw, total);
                (whose(candidates(), first), whose(candidates(), split_weights(rest, total).0))
            }
        };
        let (first, one) = first?;
        let better = second.filter(|(_, other)| self.is_cheaper(other, one));
        Some(better.map_or(first, |(second, _)| second))
    }

    fn is_cheaper(&self, one: &Member, other: &Member) -> bool {
        let (latency, other_latency) = one.stats.latency.reading().abreast(other.stats.latency.reading());
        self.cost(latency, one, other) < self.cost(other_latency, other, one)
    }

    /// Latency × (active + share) / share, where the share of a member of average weight is 1. Who has nothing to do costs its latency,
    /// however light it is; who is busy is the costlier the lighter it is.
    ///
    /// Times the weight of the other one instead of divided by its own: exact, and 39 bits by 64 fit into 128.
    fn cost(&self, latency: u64, member: &Member, beside: &Member) -> u128 {
        let load = u64::from(member.stats.load.active()) * self.mean_weight + u64::from(member.weight);
        u128::from(latency.max(1)) * u128::from(load * u64::from(beside.weight))
    }
}

/// Two different indices below `below`, each pair as likely as any other, and the rest of the draw. Where there are not two, the second
/// lies beyond; where there is none, both do.
fn two_of(below: usize, draw: u64) -> (usize, usize, u64) {
    let (first, rest) = split_draw(draw, below);
    let (second, rest) = split_draw(rest, below.saturating_sub(1));
    (first, second + usize::from(second >= first), rest)
}

/// Into whose part a place falls.
fn whose<'m>(
    mut members: impl Iterator<Item = (usize, &'m Member)>,
    place: u64,
) -> Option<(usize, &'m Member)> {
    let mut end = 0;
    members.find(|(_, member)| {
        end += u64::from(member.weight);
        place < end
    })
}
