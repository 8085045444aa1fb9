use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;

use super::*;
use crate::address::ServiceName;
use crate::balance::{Ask, Caller, Tried};
use crate::inventory::{Change, Inventory, Settings, SliceKey};
use crate::outcome::Failure;
use crate::port::AttemptHandle;
use crate::samples::{ip, service, slice};
use crate::service::{Policy, Service, Unit};
use crate::stats::{AnswerHead, Reason};
use crate::table::Source;

const PINNING: Pinning = Pinning { entries_max: 100, seed: 7 };

/// A worker and what discovery tells it of the namespace `shop`.
struct World {
    inventory: Inventory,
    ports: WorkerPorts,
    now: Now,
    draws: crate::draws::Draws,
}

fn world() -> World {
    let settings = Settings { sources: [Source::Manifests].into(), ..Settings::default() };
    World {
        inventory: Inventory::new(settings),
        ports: WorkerPorts::new(PINNING),
        now: Now(Duration::from_secs(1)),
        draws: crate::draws::Draws::new(1),
    }
}

impl World {
    /// `name` is this Service with these endpoints from now on, and the worker has heard of it.
    fn serves(&mut self, name: &str, change: impl FnOnce(&mut Service), addresses: &[&str]) {
        let mut service = service("shop", name);
        change(&mut service);
        let slice = slice(&service.name, name, 8080, addresses);
        self.learns([
            Change::Service(service.name.clone(), Some(Arc::new(service))),
            Change::Slice(key(name), Some(Arc::new(slice))),
        ]);
    }

    fn is_gone(&mut self, name: &str) {
        self.learns([Change::Service(ServiceName::new("shop", name), None), Change::Slice(key(name), None)]);
    }

    fn learns(&mut self, changes: impl IntoIterator<Item = Change>) {
        if let Some(table) = self.inventory.apply(Source::Manifests, changes.into_iter().collect()) {
            self.ports.follow(&table, self.now);
        }
    }

    fn port(&mut self, name: &str) -> &mut WorkerPort {
        self.ports.of(&self.target(name), self.now)
    }

    fn target(&self, name: &str) -> Arc<Target> {
        let table = self.inventory.table();
        table.by_host(&format!("{name}.shop")).expect("it is served").targets[0].clone()
    }

    /// Begins a request of a client.
    fn asks(&mut self, name: &str, client: IpAddr) -> Result<AttemptHandle, Failure> {
        let caller = Caller { client, destination: IpAddr::V4(Ipv4Addr::UNSPECIFIED) };
        let ask = Ask { caller, tried: &Tried::NONE, replayable: true };
        let port = self.ports.of(&self.target(name), self.now);
        let choice = port.choose(Unit::Request, &ask, self.now, || self.draws.draw())?;
        Ok(port.begin(choice, self.now))
    }

    /// The endpoint that answers a request of a client with this status.
    fn answered(&mut self, name: &str, client: &str, status: u16) -> Result<String, Failure> {
        let mut attempt = self.asks(name, ip(client))?;
        let head = AnswerHead { status, is_grpc: false, field: |_: &str| None };
        let _changed = attempt.hears(head, || 0, self.now, || 0);
        attempt.succeeded(self.now);
        let addr = attempt.addr().0.ip().to_string();
        attempt.end(self.now, || 0);
        Ok(addr)
    }

    fn passes(&mut self, time: Duration) {
        self.now = Now(self.now.0 + time);
    }
}

fn key(name: &str) -> SliceKey {
    SliceKey { namespace: "shop".into(), name: name.into(), part: 0, from_endpoints: false }
}

fn in_turn(service: &mut Service) {
    service.handling.policy = Some(Policy::RoundRobin);
}

fn sticky(service: &mut Service) {
    service.affinity = Some(Duration::from_secs(60));
}

const CLIENT: &str = "10.9.0.1";

#[test]
fn turns_go_round_and_are_kept_while_endpoints_come_and_go() {
    let mut world = world();
    world.serves("web", in_turn, &["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
    let mut counts = BTreeMap::new();
    for _ in 0..30 {
        *counts.entry(world.answered("web", CLIENT, 200).unwrap()).or_insert(0) += 1;
    }
    assert_eq!(counts.into_values().collect::<Vec<_>>(), [10; 3]);
    let last = world.answered("web", CLIENT, 200).unwrap();
    world.serves("web", in_turn, &["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"]);
    let rest: BTreeSet<String> = (0..3).map(|_| world.answered("web", CLIENT, 200).unwrap()).collect();
    assert!(rest.len() == 3 && !rest.contains(&last), "{last} had its turn, then {rest:?}");
}

#[test]
fn a_service_that_changes_its_mind_is_chosen_for_by_its_new_policy() {
    let mut world = world();
    let addresses = ["10.0.0.1", "10.0.0.2", "10.0.0.3"];
    world.serves("web", in_turn, &addresses);
    let _first = world.answered("web", CLIENT, 200);
    world.serves("web", |web| web.handling.policy = Some(Policy::SourceHash), &addresses);
    let went: BTreeSet<_> = (0..6).map(|_| world.answered("web", CLIENT, 200).unwrap()).collect();
    assert_eq!(went.len(), 1);
}

#[test]
fn who_is_pinned_takes_no_draw() {
    let mut world = world();
    world.serves("web", sticky, &["10.0.0.1", "10.0.0.2"]);
    let first = world.answered("web", CLIENT, 200);
    let before = world.draws.clone();
    assert_eq!(world.answered("web", CLIENT, 200), first);
    assert_eq!(world.draws.draw(), before.draw());
}

#[test]
fn a_client_stays_until_its_endpoint_goes_and_is_not_given_back() {
    let mut world = world();
    let (one, other) = ("10.0.0.1", "10.0.0.2");
    world.serves("web", sticky, &[one, other]);
    let place = world.answered("web", CLIENT, 200).unwrap();
    let rest = if place == one { other } else { one };
    for _ in 0..10 {
        assert_eq!(world.answered("web", CLIENT, 200), Ok(place.clone()));
    }
    world.serves("web", sticky, &[rest]);
    assert_eq!(world.port("web").pinned(), 0);
    assert_eq!(world.answered("web", CLIENT, 200), Ok(rest.into()));
    world.serves("web", sticky, &[one, other]);
    assert_eq!(world.answered("web", CLIENT, 200), Ok(rest.into()));
    world.serves("web", |_| (), &[one, other]);
    assert_eq!(world.port("web").pinned(), 0, "the Service asks for no affinity any more");
}

#[test]
fn pins_that_are_over_are_swept_and_never_more_than_there_may_be() {
    let mut world = world();
    world.serves("web", sticky, &["10.0.0.1"]);
    for client in 0..1_000_u32 {
        world.asks("web", Ipv4Addr::from(0x0a09_0000 + client).into()).unwrap().end(world.now, || 0);
    }
    assert_eq!(world.port("web").pinned(), PINNING.entries_max);
    world.passes(Duration::from_secs(60));
    world.ports.sweep(1_000, world.now);
    assert_eq!(world.port("web").pinned(), 0);
}

#[test]
fn an_endpoint_that_fails_is_left_out_and_tried_again_when_its_penalty_is_over() {
    let mut world = world();
    let (ill, well) = ("10.0.0.1", "10.0.0.2");
    world.serves("web", in_turn, &[ill, well]);
    for _ in 0..10 {
        let mut attempt = world.asks("web", ip(CLIENT)).unwrap();
        if attempt.addr().0.ip() == ip(ill) {
            let _ejected = attempt.failed(world.now, || 0);
        }
        attempt.end(world.now, || 0);
    }
    assert_eq!(world.port("web").stats().ejections()[Reason::Consecutive as usize], 1);
    assert_eq!(world.port("web").registry().out().count(), 1);
    let went: BTreeSet<_> = (0..10).map(|_| world.answered("web", CLIENT, 200).unwrap()).collect();
    assert_eq!(went, [well.to_string()].into());
    world.passes(Duration::from_secs(2));
    assert_eq!(world.answered("web", CLIENT, 200), Ok(ill.into()), "the probe");
    assert_eq!(world.port("web").registry().out().count(), 0);
}

#[test]
fn who_cannot_be_chosen_fails_for_what_is_known_of_it() {
    let mut world = world();
    world.serves("web", |_| (), &[]);
    assert_eq!(world.asks("web", ip(CLIENT)).unwrap_err(), Failure::NoEndpoints);
    world.serves("web", |web| web.handling.max_connections = Some(1), &["10.0.0.1"]);
    let only = world.asks("web", ip(CLIENT)).unwrap();
    assert_eq!(world.asks("web", ip(CLIENT)).unwrap_err(), Failure::TooManyConnections);
    only.end(world.now, || 0);
    world.asks("web", ip(CLIENT)).unwrap().end(world.now, || 0);
    let mut target = Target::clone(world.port("web").target());
    (target.endpoints, target.failure) = (Default::default(), Some(Failure::NameIsAddress));
    let now = world.now;
    let port = world.ports.of(&Arc::new(target), now);
    let ask = Ask {
        caller: Caller { client: ip(CLIENT), destination: ip(CLIENT) },
        tried: &Tried::NONE,
        replayable: true,
    };
    assert_eq!(port.choose(Unit::Request, &ask, now, || 0).unwrap_err(), Failure::NameIsAddress);
}

#[test]
fn a_visit_outlives_its_port_and_tells_nothing_to_another_of_its_name() {
    let mut world = world();
    world.serves("web", |_| (), &["10.0.0.1"]);
    let attempt = world.asks("web", ip(CLIENT)).unwrap();
    assert_eq!(world.port("web").members()[0].stats.load.active(), 1);
    world.is_gone("web");
    assert_eq!(world.ports.iter().count(), 0);
    world.serves("web", |_| (), &["10.0.0.1"]);
    assert_eq!(world.port("web").members()[0].stats.load.active(), 0);
    attempt.end(world.now, || 0);
    assert_eq!(world.port("web").members()[0].stats.load.active(), 0);
}

#[test]
fn ten_thousand_updates_leave_behind_what_the_last_one_has() {
    let mut world = world();
    for round in 0..10_000_u32 {
        let address = |nth: u32| Ipv4Addr::from(0x0a01_0000 + round * 3 + nth).to_string();
        let addresses = [address(0), address(1), address(2)];
        let name = format!("web-{}", round % 7);
        world.serves(&name, sticky, &addresses.each_ref().map(String::as_str));
        world.asks(&name, Ipv4Addr::from(round).into()).unwrap().end(world.now, || 0);
        if round % 5 == 0 {
            world.is_gone(&name);
        }
    }
    assert!(world.ports.iter().count() <= 7);
    assert!(world.ports.by_name.capacity() <= 7 * SPARE_MAX + SPARE_MAX);
    for port in world.ports.iter() {
        assert_eq!((port.registry().len(), port.members().len()), (3, 3));
        assert!(port.pinned() <= 1, "the others were pinned to endpoints that are gone");
    }
    (0..7).for_each(|nth| world.is_gone(&format!("web-{nth}")));
    assert_eq!(world.ports.iter().count(), 0);
}
