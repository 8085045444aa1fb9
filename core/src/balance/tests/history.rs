//! Random histories of a Service port, in which each policy answers as its model does.

use alloc::sync::Arc;
use core::time::Duration;

use proptest::prelude::*;

use super::models::{Average, Seen, model};
use super::*;
use crate::stats::EndpointStats;

/// One endpoint, as the history has made it. It counts for itself, so that nobody has to believe the stats.
#[derive(Clone)]
struct Sim {
    id: u64,
    weight: u16,
    active: u64,
    inactive: u64,
    average: Option<Average>,
    stats: Arc<EndpointStats>,
}

/// By their last octets.
#[derive(Default)]
struct World {
    endpoints: BTreeMap<u8, Sim>,
    ids: u64,
    now: Duration,
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Comes(u8, u16),
    Goes(u8),
    Weighs(u8, u16),
    Begins(u8),
    HalfCloses(u8),
    Ends(u8),
    /// It answers after some µs.
    Answers(u8, u64),
    /// Some ms pass.
    Passes(u64),
}

/// Who asks, where it has failed, and whether what it asks for then begins.
#[derive(Clone, Debug)]
struct Question {
    caller: Caller,
    failed: Vec<u8>,
    draw: u64,
    begins: bool,
}

impl World {
    fn apply(&mut self, event: Event) {
        match event {
            Event::Comes(octet, weight) => {
                self.ids += 1;
                self.endpoints.entry(octet).or_insert(Sim::new(self.ids, weight));
            }
            Event::Goes(octet) => drop(self.endpoints.remove(&octet)),
            Event::Weighs(octet, weight) => self.with(octet, |sim| sim.weight = weight),
            Event::Begins(octet) => self.with(octet, Sim::begin),
            Event::HalfCloses(octet) => self.with(octet, Sim::half_close),
            Event::Ends(octet) => self.with(octet, Sim::end),
            Event::Answers(octet, took_us) => {
                let now = self.now;
                self.with(octet, |sim| sim.answer(Duration::from_micros(took_us), now));
            }
            Event::Passes(ms) => self.now += Duration::from_millis(ms),
        }
    }

    fn with(&mut self, octet: u8, change: impl FnOnce(&mut Sim)) {
        self.endpoints.get_mut(&octet).map(change);
    }

    fn members(&self) -> Vec<Member> {
        let member = |(&octet, sim): (&u8, &Sim)| Member {
            id: EndpointId(sim.id),
            stats: sim.stats.clone(),
            ..member(octet, sim.weight)
        };
        self.endpoints.iter().map(member).collect()
    }

    fn seen(&self, failed: &[u8]) -> Vec<Seen> {
        let seen = |(&octet, sim): (&u8, &Sim)| Seen {
            octet,
            weight: u64::from(sim.weight),
            active: sim.active,
            inactive: sim.inactive,
            average: sim.average,
            tried: failed.contains(&octet),
        };
        self.endpoints.iter().map(seen).collect()
    }

    fn tried(&self, failed: &[u8]) -> Tried {
        let mut tried = Tried::NONE;
        let failed = failed.iter().filter_map(|octet| self.endpoints.get(octet));
        failed.for_each(|sim| tried.insert(EndpointId(sim.id)));
        tried
    }
}

impl Sim {
    fn new(id: u64, weight: u16) -> Sim {
        Sim { id, weight, active: 0, inactive: 0, average: None, stats: Arc::default() }
    }

    fn begin(&mut self) {
        self.stats.load.begin();
        self.active += 1;
    }

    fn half_close(&mut self) {
        if self.active > 0 {
            self.stats.load.half_close();
            (self.active, self.inactive) = (self.active - 1, self.inactive + 1);
        }
    }

    fn end(&mut self) {
        if self.active > 0 {
            self.stats.load.end();
            self.active -= 1;
        } else if self.inactive > 0 {
            self.stats.load.end_half_closed();
            self.inactive -= 1;
        }
    }

    fn answer(&mut self, took: Duration, now: Duration) {
        self.stats.latency.observe(took, Now(now));
        self.average = Some(Average::after(self.average, took, now));
    }
}

/// Lives through the history with a balancer and with its model.
fn check(policy: Policy, history: &[(Vec<Event>, Question)]) {
    let (mut world, mut balancer, mut model) = (World::default(), Balancer::new(policy), model(policy));
    let mut known = Vec::new();
    for (events, question) in history {
        events.iter().for_each(|event| world.apply(*event));
        let (members, seen) = (world.members(), world.seen(&question.failed));
        let changed: Vec<_> = members.iter().map(|member| (member.id, member.weight)).collect();
        if changed != known {
            model.change(&seen);
            known = changed;
        }
        balancer.meet(&members);
        let ask = Ask { caller: question.caller, tried: &world.tried(&question.failed), replayable: true };
        let picked = balancer.pick(&members, &ask, Now(world.now), question.draw);
        let expected = model.pick(&seen, question.caller, question.draw);
        let is_as_good = picked.is_some() && picked == model.as_good();
        assert!(picked == expected || is_as_good, "{policy:?}: {picked:?}, not {expected:?} of {seen:?}");
        if let (Some(picked), true) = (picked, question.begins) {
            world.apply(Event::Begins(seen[picked].octet));
        }
    }
}

/// 200 histories with 50 questions each are the 10,000 draws that every policy answers.
fn histories() -> impl Strategy<Value = Vec<(Vec<Event>, Question)>> {
    let moment = (prop::collection::vec(event(), 0..4), question());
    prop::collection::vec(moment, 50)
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (octet(), weight()).prop_map(|(octet, weight)| Event::Comes(octet, weight)),
        2 => octet().prop_map(Event::Goes),
        1 => (octet(), weight()).prop_map(|(octet, weight)| Event::Weighs(octet, weight)),
        2 => octet().prop_map(Event::Begins),
        2 => octet().prop_map(Event::HalfCloses),
        2 => octet().prop_map(Event::Ends),
        4 => (octet(), 4..30u32).prop_map(|(octet, power)| Event::Answers(octet, (1 << power) + u64::from(power))),
        2 => prop_oneof![3 => 1..3_000u64, 1 => 1..100_000u64].prop_map(Event::Passes),
    ]
}

fn question() -> impl Strategy<Value = Question> {
    let failed = prop_oneof![
        3 => Just(Vec::new()),
        2 => prop::collection::vec(octet(), 1..3),
        1 => prop::collection::vec(octet(), 15), // often all there are
    ];
    (address(), address(), failed, any::<u64>(), any::<bool>()).prop_map(
        |(client, destination, failed, draw, begins)| Question {
            caller: Caller { client, destination },
            failed,
            draw,
            begins,
        },
    )
}

fn octet() -> impl Strategy<Value = u8> {
    0..12u8
}

/// Alike often enough, sometimes with a common divisor, sometimes more than there are buckets.
fn weight() -> impl Strategy<Value = u16> {
    prop_oneof![2 => Just(0), 5 => 1..4u16, 2 => (1..4u16).prop_map(|n| n * 60), 1 => 200..1000u16]
}

fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![any::<[u8; 4]>().prop_map(IpAddr::from), any::<[u8; 16]>().prop_map(IpAddr::from)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_policy_answers_as_its_model(history in histories()) {
        Policy::ALL.into_iter().for_each(|policy| check(policy, &history));
    }
}
