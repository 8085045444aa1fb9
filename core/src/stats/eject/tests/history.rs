//! Random histories, beside a model.

use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::stats::recent::{OUTCOMES_MIN, SECONDS, SUCCESS_PERCENT_MIN};

/// What happens, to one of [`MEMBERS`].
#[derive(Clone, Copy, Debug)]
enum Event {
    /// A worker looks for a probe, in the order of the members, else it sends its request to this one.
    Begin {
        member: usize,
        replayable: bool,
    },
    /// What was sent at some time ends.
    End {
        attempt: usize,
        how: How,
    },
    Passes {
        ms: u64,
    },
    /// An endpoint goes, or is another one with a clean sheet.
    Leaves(usize),
    Arrives(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Well,
    Badly,
    Untold,
}

fn event() -> impl Strategy<Value = Event> {
    let how = || prop_oneof![2 => Just(How::Well), 4 => Just(How::Badly), 1 => Just(How::Untold)];
    prop_oneof![
        20 => (0..MEMBERS, any::<bool>()).prop_map(|(member, replayable)| Event::Begin { member, replayable }),
        20 => (any::<usize>(), how()).prop_map(|(attempt, how)| Event::End { attempt, how }),
        4 => prop_oneof![0..50_u64, 0..3_000_u64, 0..15_000_u64].prop_map(|ms| Event::Passes { ms }),
        1 => (0..MEMBERS).prop_map(Event::Leaves),
        1 => (0..MEMBERS).prop_map(Event::Arrives),
    ]
}

/// An endpoint as the definition has it: every outcome kept, everything counted anew each time.
#[derive(Clone, Debug, Default)]
struct Model {
    /// Since the sheet was last clean.
    outcomes: Vec<(u64, bool)>,
    ejected: Option<Ejected>,
    returned_ms: u64,
    strikes: u32,
    is_away: bool,
}

#[derive(Clone, Copy, Debug)]
struct Ejected {
    due_ms: u64,
    /// Which attempt is the probe, and when it is given up.
    probe: Option<(usize, u64)>,
}

impl Model {
    fn penalty_ms(&self) -> u64 {
        let whole = 1_000_u64 * 2_u64.pow(self.strikes.clamp(1, 20) - 1);
        whole.min(6_000)
    }

    fn is_due(&self, replayable: bool, now_ms: u64) -> bool {
        let Some(ejected) = self.ejected else { return false };
        let due_ms = ejected.probe.map_or(ejected.due_ms, |(_, given_up_ms)| given_up_ms);
        let due_ms = if replayable { due_ms } else { due_ms + self.penalty_ms() };
        now_ms >= due_ms
    }

    fn deserves_ejection(&self, now_ms: u64) -> Option<Reason> {
        let in_a_row = self.outcomes.iter().rev().take_while(|(_, well)| !well).count();
        if in_a_row as u32 >= POLICY.consecutive {
            return Some(Reason::Consecutive);
        }
        let recent = self.outcomes.iter().filter(|(ms, _)| ms / 1_000 + SECONDS > now_ms / 1_000);
        let (well, all) = (recent.clone().filter(|(_, well)| *well).count() as u64, recent.count() as u64);
        (all >= OUTCOMES_MIN && well * 100 < all * SUCCESS_PERCENT_MIN).then_some(Reason::SuccessRate)
    }

    fn fails(&mut self, begun_ms: u64, has_room: bool, now_ms: u64) -> Option<EjectionChange> {
        if self.ejected.is_none() && begun_ms < self.returned_ms {
            return None;
        }
        self.outcomes.push((now_ms, false));
        if self.ejected.is_some() || self.is_away || !has_room {
            return None;
        }
        let reason = self.deserves_ejection(now_ms)?;
        self.strikes = if now_ms - self.returned_ms >= 6_000 { 1 } else { self.strikes + 1 };
        let penalty = Duration::from_millis(self.penalty_ms());
        self.ejected = Some(Ejected { due_ms: now_ms + self.penalty_ms(), probe: None });
        Some(EjectionChange::Ejected { reason, penalty })
    }

    fn comes_back(&mut self, now_ms: u64) -> EjectionChange {
        self.ejected = None;
        self.returned_ms = now_ms;
        self.outcomes.clear();
        EjectionChange::Returned
    }

    fn stays_out(&mut self, strikes: u32, now_ms: u64) -> EjectionChange {
        self.strikes += strikes;
        self.ejected = Some(Ejected { due_ms: now_ms + self.penalty_ms(), probe: None });
        EjectionChange::Kept { penalty: Duration::from_millis(self.penalty_ms()) }
    }
}

/// One request under way.
#[derive(Debug)]
struct Attempt {
    number: usize,
    member: usize,
    begun_ms: u64,
    probe: Option<Probe>,
}

/// The ejectors of a port and their models, side by side.
struct History {
    port: PortStats,
    stats: Vec<EndpointStats>,
    models: Vec<Model>,
    under_way: Vec<Attempt>,
    begun: usize,
    now_ms: u64,
}

impl History {
    fn new() -> History {
        let (port, stats) = port(MEMBERS, POLICY);
        let models = std::vec![Model::default(); MEMBERS];
        History { port, stats, models, under_way: Vec::new(), begun: 0, now_ms: 0 }
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::Passes { ms } => self.now_ms += ms,
            Event::Begin { member, replayable } => self.begins(member, replayable),
            Event::End { .. } if self.under_way.is_empty() => {}
            Event::End { attempt, how } => {
                let attempt = self.under_way.swap_remove(attempt % self.under_way.len());
                self.ends(attempt, how);
            }
            Event::Leaves(member) => {
                self.stats[member].leave(&self.port);
                self.models[member] = Model { is_away: true, ..Model::default() };
                self.follow();
            }
            Event::Arrives(member) => {
                assert_eq!(self.stats[member].arrive(), self.models[member].is_away);
                if self.models[member].is_away {
                    self.models[member] = Model::default();
                }
                self.follow();
            }
        }
        self.check();
    }

    fn follow(&mut self) {
        let present = || (0..MEMBERS).filter(|&member| !self.models[member].is_away);
        self.port.follow(&asking(POLICY), present().map(|member| &self.stats[member]), at(self.now_ms));
        let limit = present().count() / 2;
        let due_ms = |model: &Model| {
            let ejected = model.ejected?;
            Some(ejected.probe.map_or(ejected.due_ms, |(_, given_up_ms)| given_up_ms))
        };
        while self.models.iter().filter(|model| model.ejected.is_some()).count() > limit {
            let ejected = self.models.iter_mut().filter(|model| model.ejected.is_some());
            ejected.min_by_key(|model| due_ms(model)).unwrap().comes_back(self.now_ms);
        }
    }

    fn begins(&mut self, member: usize, replayable: bool) {
        let number = self.begun;
        self.begun += 1;
        let expected = self.models.iter().position(|model| model.is_due(replayable, self.now_ms));
        let claim =
            |stats: &EndpointStats| stats.ejector.claim_probe(replayable, &self.port, at(self.now_ms));
        let found = self.stats.iter().enumerate().find_map(|(index, stats)| Some((index, claim(stats)?)));
        assert_eq!(found.as_ref().map(|(index, _)| *index), expected, "who is due");
        let (member, probe) = found.map_or((member, None), |(index, probe)| (index, Some(probe)));
        if probe.is_some() {
            let model = &mut self.models[member];
            let given_up_ms = self.now_ms + model.penalty_ms().max(10_000);
            model.ejected.as_mut().unwrap().probe = Some((number, given_up_ms));
        }
        self.under_way.push(Attempt { number, member, begun_ms: self.now_ms, probe });
    }

    fn ends(&mut self, attempt: Attempt, how: How) {
        let (ejector, now) = (&self.stats[attempt.member].ejector, at(self.now_ms));
        let has_room = self.models.iter().filter(|model| model.ejected.is_some()).count()
            < self.models.iter().filter(|model| !model.is_away).count() / 2;
        let model = &mut self.models[attempt.member];
        let is_probe = model
            .ejected
            .is_some_and(|ejected| ejected.probe.is_some_and(|(number, _)| number == attempt.number));
        let (change, expected) = match (attempt.probe, how) {
            (None, How::Untold) => (None, None),
            (None, How::Well) => {
                ejector.succeeded(&self.port, now);
                model.outcomes.push((self.now_ms, true));
                (None, None)
            }
            (None, How::Badly) => {
                let change = ejector.failed(at(attempt.begun_ms), &self.port, now, 0);
                (change, model.fails(attempt.begun_ms, has_room, self.now_ms))
            }
            (Some(probe), How::Well) => {
                let change = ejector.probe_succeeded(probe, &self.port, now);
                (change, is_probe.then(|| model.comes_back(self.now_ms)))
            }
            (Some(probe), How::Badly) => {
                let change = ejector.probe_failed(probe, &self.port, now, 0);
                (change, is_probe.then(|| model.stays_out(1, self.now_ms)))
            }
            (Some(probe), How::Untold) => {
                ejector.probe_abandoned(probe, &self.port, now, 0);
                let _ = is_probe.then(|| model.stays_out(0, self.now_ms));
                (None, None)
            }
        };
        assert_eq!(change, expected, "{how:?}");
    }

    fn check(&self) {
        let ejected: Vec<bool> = self.stats.iter().map(EndpointStats::is_out).collect();
        let expected: Vec<bool> = self.models.iter().map(|model| model.ejected.is_some()).collect();
        assert_eq!(ejected, expected, "who is ejected at {} ms", self.now_ms);
        let count = expected.iter().filter(|ejected| **ejected).count();
        assert_eq!((self.port.ejected(), self.port.is_quiet()), (count, count == 0));
        assert!(count * 2 <= self.models.iter().filter(|model| !model.is_away).count());
    }
}

proptest! {
    #[test]
    fn an_ejector_does_what_its_definition_says(events in proptest::collection::vec(event(), 0..250)) {
        let mut history = History::new();
        events.into_iter().for_each(|event| history.happens(event));
    }
}
