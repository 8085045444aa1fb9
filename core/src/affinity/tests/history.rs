//! Histories of clients and endpoints, beside a model that keeps everything for ever and compares exact times.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    /// A new connection of a client, which some endpoints have failed already.
    Connect {
        client: u32,
        failed: BTreeSet<u64>,
    },
    /// One more request on a connection of before.
    Ask {
        connection: usize,
    },
    Ready(u64),
    NotReady(u64),
    Timeout {
        seconds: u64,
    },
    Wait {
        ms: u64,
    },
    Sweep {
        steps: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let failed = prop_oneof![3 => Just(BTreeSet::new()), 1 => prop::collection::btree_set(ENDPOINTS, 0..3)];
    let ms = prop_oneof![0..20_u64, 900..1_100_u64, 0..4_000_u64, Just(1_000), Just(2_000), Just(100_000)];
    prop_oneof![
        6 => (0..12_u32, failed).prop_map(|(client, failed)| Step::Connect { client, failed }),
        6 => any::<prop::sample::Index>().prop_map(|index| Step::Ask { connection: index.index(1_000) }),
        2 => ENDPOINTS.prop_map(Step::Ready),
        2 => ENDPOINTS.prop_map(Step::NotReady),
        1 => (1..4_u64).prop_map(|seconds| Step::Timeout { seconds }),
        4 => ms.prop_map(|ms| Step::Wait { ms }),
        1 => (1..10_usize).prop_map(|steps| Step::Sweep { steps }),
    ]
}

const ENDPOINTS: core::ops::RangeInclusive<u64> = 1..=5;

/// What is to be: by client the endpoint, when it was used, and whether anybody could have seen that it was over since.
#[derive(Default)]
struct Model {
    pins: BTreeMap<u32, (u64, Duration, bool)>,
}

impl Model {
    /// The endpoint that a client must go back to.
    fn pinned(&self, client: u32, timeout: Duration, now: Duration) -> Option<u64> {
        let (endpoint, used, _) = self.pins.get(&client)?;
        ((now - *used).as_secs() < timeout.as_secs()).then_some(*endpoint) // as kube-proxy compares
    }

    /// Whether the table may have forgotten a pin that a longer timeout has made good again.
    fn may_be_forgotten(&self, client: u32) -> bool {
        self.pins.get(&client).is_some_and(|(_, _, was_over)| *was_over)
    }

    fn note_what_is_over(&mut self, timeout: Duration, now: Duration) {
        for (_, used, was_over) in self.pins.values_mut() {
            *was_over |= now - *used >= timeout;
        }
    }
}

struct Trial {
    world: World,
    model: Model,
    ready: BTreeSet<u64>,
    connections: Vec<(u32, Pin)>,
    turn: u64,
}

impl Trial {
    fn take(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Connect { client, failed } => self.request(client, &failed, None)?,
            Step::Ask { connection } if !self.connections.is_empty() => {
                let (client, pin) = self.connections[connection % self.connections.len()].clone();
                self.request(client, &BTreeSet::new(), Some(&pin))?;
            }
            Step::Ask { .. } => {}
            Step::Ready(endpoint) => drop(self.ready.insert(endpoint)),
            Step::NotReady(endpoint) => {
                self.ready.remove(&endpoint);
                self.world.pins.forget(|id| id.0 == endpoint);
                self.model.pins.retain(|_, (pinned, _, _)| *pinned != endpoint);
            }
            Step::Timeout { seconds } => self.world.timeout = Duration::from_secs(seconds),
            Step::Wait { ms } => self.world.wait(MS * ms as u32),
            Step::Sweep { steps } => self.world.pins.sweep(steps, self.world.timeout, self.world.now),
        }
        self.model.note_what_is_over(self.world.timeout, self.world.now.0);
        prop_assert!(self.world.pins.len() <= self.model.pins.len());
        Ok(())
    }

    /// One request, as the sidecar makes it: by what its connection remembers, if that will do, else by the table.
    fn request(
        &mut self,
        client: u32,
        failed: &BTreeSet<u64>,
        remembered: Option<&Pin>,
    ) -> Result<(), TestCaseError> {
        let (timeout, now) = (self.world.timeout, self.world.now);
        let usable = |id: EndpointId| (self.ready.contains(&id.0) && !failed.contains(&id.0)).then_some(0);
        let expected =
            self.model.pinned(client, timeout, now.0).filter(|&id| usable(EndpointId(id)).is_some());
        let next = {
            let candidates: Vec<u64> = self.ready.difference(failed).copied().collect();
            (!candidates.is_empty()).then(|| candidates[self.turn as usize % candidates.len()])
        };
        self.turn += 1;
        let held =
            remembered.filter(|pin| usable(pin.endpoint()).is_some() && pin.hold(timeout, now)).cloned();
        let went = match held {
            Some(pin) => {
                prop_assert_eq!(expected, Some(pin.endpoint().0), "what is remembered is what is");
                Some(pin)
            }
            None => {
                let choose = || next.map(|id| (0, EndpointId(id)));
                self.world.pins.pick(super::client(client), timeout, usable, choose, now).map(|(_, pin)| pin)
            }
        };
        let went_to = went.as_ref().map(|pin| pin.endpoint().0);
        let forgotten = self.model.may_be_forgotten(client) && went_to == next;
        prop_assert!(went_to == expected.or(next) || forgotten, "{went_to:?}, not {expected:?} or {next:?}");
        if let Some(pin) = went {
            self.model.pins.insert(client, (pin.endpoint().0, now.0, false));
            self.connections.push((client, pin));
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn clients_go_where_the_model_sends_them_in_every_history(steps in prop::collection::vec(step(), 1..200)) {
        let mut trial = Trial {
            world: World::new(1_000),
            model: Model::default(),
            ready: [1, 2, 3].into(),
            connections: Vec::new(),
            turn: 0,
        };
        for step in steps {
            trial.take(step)?;
        }
    }
}
