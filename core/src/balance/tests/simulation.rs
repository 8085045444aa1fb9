//! Clients that each send one request after the other, to endpoints that take their time.

use alloc::collections::BinaryHeap;
use core::cmp::Reverse;
use core::time::Duration;

use super::*;

struct Simulation {
    balancer: Balancer,
    members: Vec<Member>,
    clients: usize,
    /// Requests under way: when each ends, whose it is, and when it began, in µs.
    under_way: BinaryHeap<Reverse<(u64, usize, u64)>>,
    now_us: u64,
    /// The state of xorshift64*, as the sidecar draws.
    draws: u64,
}

impl Simulation {
    fn new(policy: Policy, members: Vec<Member>, seed: u64) -> Simulation {
        let mut balancer = Balancer::new(policy);
        balancer.meet(&members);
        Simulation {
            balancer,
            members,
            clients: 32,
            under_way: BinaryHeap::new(),
            now_us: 0,
            draws: seed + 1,
        }
    }

    fn now(&self) -> Now {
        Now(Duration::from_micros(self.now_us))
    }

    /// How many requests each member gets until `until_ms`, when it takes `takes_ms` for one, give or take a tenth.
    fn run(&mut self, until_ms: u64, takes_ms: impl Fn(usize) -> u64) -> Vec<u32> {
        let mut counts = vec![0; self.members.len()];
        while self.now_us < until_ms * 1_000 {
            if self.under_way.len() == self.clients {
                self.finish_one();
                continue;
            }
            let draw = self.draw();
            let ask = Ask { caller: CALLER, tried: &Tried::NONE, replayable: true };
            let index = self.balancer.pick(&self.members, &ask, self.now(), draw).unwrap();
            counts[index] += 1;
            self.members[index].stats.load.begin();
            let takes_us = takes_ms(index) * 1_000 * (900 + self.draw() % 200) / 1_000;
            self.under_way.push(Reverse((self.now_us + takes_us, index, self.now_us)));
        }
        counts
    }

    fn draw(&mut self) -> u64 {
        self.draws ^= self.draws >> 12;
        self.draws ^= self.draws << 25;
        self.draws ^= self.draws >> 27;
        self.draws.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn finish_one(&mut self) {
        let Reverse((ends_us, index, began_us)) = self.under_way.pop().unwrap();
        self.now_us = ends_us;
        let stats = &self.members[index].stats;
        stats.load.end();
        stats.latency.observe(Duration::from_micros(ends_us - began_us), self.now());
    }
}

/// What each of `counts` is of all of them, in %.
fn shares(counts: &[u32]) -> Vec<u32> {
    counts.iter().map(|count| count * 100 / counts.iter().sum::<u32>()).collect()
}

#[test]
fn p2c_gives_a_slow_endpoint_a_tenth_of_a_share_within_three_seconds_and_its_own_when_it_is_fast_again() {
    for seed in 0..10 {
        let mut simulation = Simulation::new(Policy::TwoChoices, group([1, 2, 3, 4]), seed);
        let counts = simulation.run(3_000, |index| if index == 0 { 200 } else { 5 });
        assert!(shares(&counts)[0] < 2, "{counts:?} with seed {seed}");
        simulation.run(45_000, |_| 5);
        let counts = simulation.run(50_000, |_| 5);
        assert!(shares(&counts)[0] >= 20, "{counts:?} with seed {seed}");
    }
}

#[test]
fn p2c_neither_floods_nor_starves_who_is_new() {
    for seed in 0..10 {
        let mut simulation = Simulation::new(Policy::TwoChoices, group([1, 2, 3, 4]), seed);
        simulation.run(5_000, |_| 20);
        simulation.members.push(member(5, 1));
        simulation.balancer.meet(&simulation.members);
        // It is asked before it has answered, but by no more than its share of the 32 clients.
        let mut at_most = 0;
        for ms in 0..20 {
            simulation.run(5_000 + ms, |_| 20);
            at_most = at_most.max(simulation.members[4].stats.load.active());
        }
        assert!((3..=10).contains(&at_most), "{at_most} at once with seed {seed}");
        let counts = simulation.run(8_000, |_| 20);
        assert!((17..=23).contains(&shares(&counts)[4]), "{counts:?} with seed {seed}");
    }
}

#[test]
fn p2c_gives_shares_by_weight_to_many_clients_and_starves_nobody_of_one() {
    for seed in 0..10 {
        let weighted = || Vec::from([member(1, 1), member(2, 3)]);
        let mut simulation = Simulation::new(Policy::TwoChoices, weighted(), seed);
        let shares_of_32 = shares(&simulation.run(20_000, |_| 10));
        assert!((70..80).contains(&shares_of_32[1]), "{shares_of_32:?}");

        let mut simulation = Simulation::new(Policy::TwoChoices, weighted(), seed);
        simulation.clients = 1;
        let shares_of_one = shares(&simulation.run(100_000, |_| 10));
        assert!((60..90).contains(&shares_of_one[1]), "{shares_of_one:?}");
    }
}
