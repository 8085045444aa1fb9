//! `wrr`: one after the other, the heavier ones more often (`ip_vs_wrr.c`).
//!
//! A threshold falls from the highest weight to the lowest in rounds over the list; who weighs less sits a round out. It starts with
//! the heaviest, and again from the top of the list after each change, as IPVS does: of many clients with few connections each, most
//! would go there, and `random` or `p2c` serves them better.

use super::Member;

/// Of weights 3, 2, 1, the turns are a, a b, a b c.
#[derive(Clone, Debug)]
pub(super) struct WeightedRoundRobin {
    /// How many members have been asked in this round.
    asked: usize,
    /// What a member must weigh in this round.
    threshold: u32,
    /// The threshold of the first round; 0 where nobody has a weight.
    highest: u32,
    /// How much the threshold falls from round to round: what all weights are multiples of, so that no two rounds are alike for nothing.
    step: u32,
}

impl Default for WeightedRoundRobin {
    fn default() -> WeightedRoundRobin {
        WeightedRoundRobin { asked: 0, threshold: 0, highest: 0, step: 1 }
    }
}

impl WeightedRoundRobin {
    /// The members, or their weights, have changed.
    pub(super) fn meet(&mut self, members: &[Member]) {
        let weights = members.iter().map(|member| u32::from(member.weight));
        self.step = weights.clone().fold(0, greatest_common_divisor).max(1);
        self.highest = (weights.max().unwrap_or(0) + 1).saturating_sub(self.step);
        self.asked = 0;
        if self.threshold > self.highest || self.threshold == 0 {
            self.threshold = self.highest;
        } else if self.step > 1 {
            self.threshold = self.threshold / self.step * self.step + 1;
        }
    }

    pub(super) fn pick(&mut self, members: &[Member], eligible: &impl Fn(&Member) -> bool) -> Option<usize> {
        let heavy = |member: &Member, threshold| u32::from(member.weight) >= threshold && eligible(member);
        let rest = members.get(self.asked..)?;
        let index = match rest.iter().position(|member| heavy(member, self.threshold)) {
            Some(ahead) => self.asked + ahead,
            None => {
                self.begin_round(members.iter().filter(|member| eligible(member)))?;
                members.iter().position(|member| heavy(member, self.threshold))?
            }
        };
        self.asked = index + 1;
        Some(index)
    }

    /// Goes on to the next round in which somebody has a turn. IPVS walks through the rounds between; with weights of 65535 and 1 that
    /// could be 65534 of them.
    fn begin_round<'a>(&mut self, eligible: impl Iterator<Item = &'a Member>) -> Option<()> {
        let Some(heaviest) = eligible.map(|member| u32::from(member.weight)).max() else {
            self.give_up();
            return None;
        };
        let next = self.threshold.checked_sub(self.step).filter(|&threshold| threshold > 0);
        let next = next.unwrap_or(self.highest);
        let rounds = next.saturating_sub(heaviest).div_ceil(self.step);
        self.asked = 0;
        self.threshold = next - rounds * self.step;
        Some(())
    }

    /// Where IPVS's walk ends when nobody may be picked: before the first round, unless it began inside the last.
    fn give_up(&mut self) {
        if self.asked == 0 || self.threshold > self.step {
            self.asked = 0;
            self.threshold = self.highest;
        }
    }
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    match b {
        0 => a,
        _ => greatest_common_divisor(b, a % b),
    }
}
