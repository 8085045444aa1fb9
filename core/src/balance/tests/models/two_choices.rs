//! `p2c`, in floating-point numbers.

use core::time::Duration;

use super::{Caller, Model, Seen, one_of};

/// The better of two; from those who may be picked, if one of the two may not.
#[derive(Default)]
pub(super) struct TwoChoices {
    as_good: Option<usize>,
}

impl Model for TwoChoices {
    fn pick(&mut self, members: &[Seen], _caller: Caller, draw: u64) -> Option<usize> {
        self.as_good = None;
        let are_alike = members.iter().all(|member| member.weight == members[0].weight);
        let two_of = |candidates, draw| match are_alike {
            true => two_different(candidates, draw),
            false => two_by_weight(members, &candidates, draw),
        };
        let (drawn, rest) = two_of((0..members.len()).collect(), draw);
        let is_eligible = |index: &usize| members[*index].is_eligible();
        let drawn = match drawn.len() == 2 && drawn.iter().all(is_eligible) {
            true => drawn,
            false => two_of((0..members.len()).filter(is_eligible).collect(), rest).0,
        };
        let [first, second] = drawn[..] else { return drawn.first().copied() };
        let (one, other) = (&members[first], &members[second]);
        let heavy = members.iter().filter(|member| member.weight > 0);
        let average = heavy.clone().map(|member| member.weight).sum::<u64>() / heavy.count() as u64;
        let (cost, other_cost) = (cost(one, other, average), cost(other, one, average));
        let (better, worse) = if other_cost < cost { (second, first) } else { (first, second) };
        let is_close = (other_cost - cost).abs() < 1e-4 * cost;
        self.as_good = is_close.then_some(worse);
        Some(better)
    }

    fn as_good(&self) -> Option<usize> {
        self.as_good
    }
}

/// Without putting the first one back.
fn two_different(mut candidates: Vec<usize>, draw: u64) -> (Vec<usize>, u64) {
    let (mut drawn, mut rest) = (Vec::new(), draw);
    while drawn.len() < 2 && !candidates.is_empty() {
        let (which, left) = one_of(candidates.len(), rest);
        drawn.push(candidates.remove(which));
        rest = left;
    }
    (drawn, rest)
}

/// From an urn that has as many balls of each as it weighs, putting the first ball back.
fn two_by_weight(members: &[Seen], candidates: &[usize], draw: u64) -> (Vec<usize>, u64) {
    let balls = |index: &usize| vec![*index; members[*index].weight as usize];
    let urn: Vec<usize> = candidates.iter().flat_map(balls).collect();
    if urn.is_empty() {
        return (Vec::new(), draw);
    }
    let (first, rest) = one_of(urn.len(), draw);
    let (second, rest) = one_of(urn.len(), rest);
    (Vec::from([urn[first], urn[second]]), rest)
}

fn cost(member: &Seen, beside: &Seen, average_weight: u64) -> f64 {
    let latency = match (member.average, beside.average) {
        (None, None) => 1.0,
        (None, Some(known)) | (Some(known), None) => known.nanos,
        (Some(own), Some(other)) if own.tick < other.tick && own.nanos > other.nanos => {
            (own.nanos * left_after(other.tick - own.tick)).max(other.nanos)
        }
        (Some(own), Some(_)) => own.nanos,
    };
    let share = member.weight as f64 / average_weight as f64;
    latency * (member.active as f64 + share) / share
}

/// Answers of one endpoint, averaged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::balance::tests) struct Average {
    nanos: f64,
    /// In sixteenths of a second.
    tick: u64,
}

impl Average {
    pub(in crate::balance::tests) fn after(
        before: Option<Average>,
        took: Duration,
        now: Duration,
    ) -> Average {
        let (nanos, tick) = (took.as_nanos() as f64, (now.as_millis() * 16 / 1000) as u64);
        match before {
            Some(average) if nanos <= average.nanos => {
                let left = (average.nanos - nanos) * left_after(tick - average.tick);
                Average { nanos: nanos + left, tick }
            }
            Some(_) | None => Average { nanos, tick },
        }
    }
}

/// What is left of 1 after some sixteenths of a second, when it halves every 6.93 s, along a parabola between two halvings.
fn left_after(ticks: u64) -> f64 {
    let ln_2 = core::f64::consts::LN_2;
    let halvings = ticks as f64 / 16.0 / (10.0 * ln_2);
    let x = halvings.fract();
    (1.0 - ln_2 * x + (ln_2 - 0.5) * x * x) / halvings.floor().exp2()
}
