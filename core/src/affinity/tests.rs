use core::cell::Cell;
use core::net::Ipv4Addr;
use core::time::Duration;

use super::*;

mod history;

/// A table, and the time.
struct World {
    pins: Pins,
    timeout: Duration,
    now: Now,
}

impl World {
    fn new(entries_max: usize) -> World {
        World { pins: Pins::new(entries_max, 1), timeout: TIMEOUT, now: Now::default() }
    }

    fn wait(&mut self, time: Duration) {
        self.now = Now(self.now.0 + time);
    }

    /// Where client `number` goes when whoever is not pinned is sent to `next`.
    fn visit(&mut self, number: u32, next: u64) -> u64 {
        self.visit_without(number, next, &[]).endpoint().0
    }

    /// The same while some endpoints are not for it.
    fn visit_without(&mut self, number: u32, next: u64, unusable: &[u64]) -> Pin {
        let usable = |id: EndpointId| (!unusable.contains(&id.0)).then_some(id.0 as usize);
        let choose = || Some((next as usize, EndpointId(next)));
        let picked = self.pins.pick(client(number), self.timeout, usable, choose, self.now);
        let (member, pin) = picked.expect("there is always somebody to choose");
        assert_eq!(member as u64, pin.endpoint().0);
        pin
    }

    fn bytes(&self) -> usize {
        let slots = self.pins.slots.capacity() * size_of::<PinSlot>();
        let counts_and_handle = 3 * size_of::<usize>();
        slots
            + self.pins.stamps.len() * (size_of::<Chunk>() + counts_and_handle)
            + self.pins.index.allocation_size()
    }
}

fn client(number: u32) -> IpAddr {
    Ipv4Addr::from_bits(0x0a00_0000 + number).into()
}

const TIMEOUT: Duration = Duration::from_secs(10);
const MS: Duration = Duration::from_millis(1);

#[test]
fn a_client_comes_back_to_its_endpoint_whoever_else_comes() {
    let mut world = World::new(100);
    for number in 0..50 {
        assert_eq!(world.visit(number, number.into()), u64::from(number));
    }
    for number in 0..50 {
        assert_eq!(world.visit(number, 99), u64::from(number));
    }
    assert_eq!(world.pins.len(), 50);
}

#[test]
fn a_pin_used_exactly_the_timeout_ago_is_over() {
    let mut world = World::new(100);
    assert_eq!(world.visit(1, 1), 1);
    world.wait(TIMEOUT - MS);
    assert_eq!(world.visit(1, 2), 1);
    world.wait(TIMEOUT);
    assert_eq!(world.visit(1, 3), 3);
}

#[test]
fn each_use_moves_the_timeout_on_with_a_lock_or_without() {
    let mut world = World::new(100);
    let pin = world.visit_without(1, 1, &[]);
    for _ in 0..5 {
        world.wait(TIMEOUT - MS);
        assert_eq!(world.visit(1, 2), 1);
        world.wait(TIMEOUT - MS);
        assert!(pin.hold(TIMEOUT, world.now));
    }
    world.wait(TIMEOUT);
    assert!(!pin.hold(TIMEOUT, world.now));
    assert_eq!(world.visit(1, 2), 2);
    assert!(!pin.hold(TIMEOUT, world.now), "that is another pin");
}

#[test]
fn a_late_look_at_the_clock_does_not_take_back_a_use() {
    let mut world = World::new(100);
    let (earlier, pin) = (world.now, world.visit_without(1, 1, &[]));
    world.wait(TIMEOUT - MS);
    assert!(pin.hold(TIMEOUT, world.now));
    assert!(pin.hold(TIMEOUT, earlier), "another worker's time");
    world.wait(TIMEOUT - MS);
    assert_eq!(world.visit(1, 2), 1);
}

#[test]
fn a_changed_timeout_applies_to_pins_that_are_there() {
    let mut world = World::new(100);
    assert_eq!(world.visit(1, 1), 1);
    world.timeout = TIMEOUT * 2;
    world.wait(TIMEOUT * 2 - MS);
    assert_eq!(world.visit(1, 2), 1);
    world.timeout = TIMEOUT / 2;
    world.wait(TIMEOUT / 2);
    assert_eq!(world.visit(1, 2), 2);
}

#[test]
fn a_client_whose_endpoint_is_not_for_it_is_pinned_to_the_next_for_good() {
    let mut world = World::new(100);
    let pin = world.visit_without(1, 1, &[]);
    assert_eq!(world.visit_without(1, 2, &[1]).endpoint().0, 2);
    assert!(!pin.hold(TIMEOUT, world.now), "whoever remembers the first has to ask");
    assert_eq!(world.visit(1, 3), 2, "although the first may be used again");
}

#[test]
fn while_there_is_nobody_to_choose_the_pin_stays() {
    let mut world = World::new(100);
    assert_eq!(world.visit(1, 1), 1);
    let nobody = |_| None::<()>;
    assert!(world.pins.pick(client(1), TIMEOUT, nobody, || None, world.now).is_none());
    assert_eq!(world.visit(1, 2), 1);
    assert!(world.pins.pick(client(2), TIMEOUT, nobody, || None, world.now).is_none());
    assert_eq!(world.pins.len(), 1);
}

#[test]
fn whoever_is_pinned_is_not_chosen_for() {
    let mut world = World::new(100);
    let (asked, now) = (Cell::new(0), world.now);
    for _ in 0..3 {
        let choose = || {
            asked.set(asked.get() + 1);
            Some((0, EndpointId(1)))
        };
        assert!(world.pins.pick(client(1), TIMEOUT, |_| Some(0), choose, now).is_some());
    }
    assert_eq!(asked.get(), 1, "nobody's turn is lost");
}

#[test]
fn an_endpoint_that_goes_takes_only_its_own_clients_and_does_not_get_them_back() {
    let mut world = World::new(10_000);
    for number in 0..9_000 {
        world.visit(number, u64::from(number % 3) + 1);
    }
    world.pins.forget(|id| id == EndpointId(2));
    assert_eq!(world.pins.len(), 6_000);
    for number in 0..9_000 {
        let before = u64::from(number % 3) + 1;
        assert_eq!(world.visit(number, 7), if before == 2 { 7 } else { before });
    }
}

#[test]
fn an_ipv4_client_is_told_from_every_ipv6_client_but_itself() {
    let mut world = World::new(100);
    let pick = |world: &mut World, client: &str, next: u64| {
        let choose = || Some((0, EndpointId(next)));
        let client = client.parse::<IpAddr>().unwrap().to_canonical();
        let (_, pin) = world.pins.pick(client, TIMEOUT, |_| Some(0), choose, world.now).unwrap();
        pin.endpoint().0
    };
    for (next, client) in ["192.0.2.1", "::c000:201", "2001:db8::1", "2001:db8::2"].into_iter().enumerate() {
        assert_eq!(pick(&mut world, client, next as u64), next as u64);
    }
    assert_eq!(pick(&mut world, "::ffff:192.0.2.1", 9), 0);
}

#[test]
fn a_full_table_gives_up_what_was_not_used_for_long() {
    const MAX: u32 = 1_000;
    let mut world = World::new(MAX as usize);
    let regulars = 0..100; // who came together, and lie together
    for number in 0..20_000 {
        world.visit(number, 1);
        world.wait(MS / 10);
        if number >= 100 && number % 50 == 0 {
            regulars.clone().for_each(|number| assert_eq!(world.visit(number, 2), 1, "client {number}"));
        }
        assert!(world.pins.len() <= MAX as usize);
    }
    assert_eq!(world.pins.len(), MAX as usize);
    let kept = (0..20_000).filter(|&number| world.pins.place_of(in_ipv6_clothes(client(number))).is_some());
    let recent = kept.filter(|&number| number >= 20_000 - 2 * MAX).count();
    assert!(recent > 600, "{recent} of 900 others are among the last 2,000 to come");
}

#[test]
fn new_clients_sweep_out_those_that_stay_away() {
    let mut world = World::new(1_000_000);
    for number in 0..30_000 {
        world.visit(number, 1);
        world.wait(TIMEOUT / 1_000);
    }
    assert!(world.pins.len() <= 2_000, "{} of 1,000 that are not over", world.pins.len());
}

#[test]
fn a_crowd_that_has_gone_leaves_nothing_behind() {
    let mut world = World::new(1_000_000);
    (0..20_000).for_each(|number| assert_eq!(world.visit(number, 1), 1));
    let crowded = world.bytes();
    world.visit(20_000, 2);
    world.wait(TIMEOUT - MS);
    assert_eq!(world.visit(20_000, 3), 2);
    world.wait(MS);
    while world.pins.len() > 1 {
        world.pins.sweep(100, TIMEOUT, world.now);
    }
    assert_eq!(world.visit(20_000, 4), 2);
    assert!(world.bytes() * 20 < crowded, "{} of {crowded} bytes", world.bytes());
    world.wait(TIMEOUT);
    world.pins.sweep(1, TIMEOUT, world.now);
    assert!(world.pins.is_empty());
}

#[test]
fn a_pin_is_64_bytes_at_most_however_full_the_table() {
    assert_eq!(size_of::<PinSlot>(), 24);
    let mut world = World::new(1_000_000);
    let mut most = 0;
    for number in 0..50_000 {
        world.visit(number, 1);
        if number >= 1_000 {
            most = most.max(world.bytes() * 100 / world.pins.len());
        }
    }
    println!(
        "an entry takes {} bytes at 50,000, and {}.{:02} at most",
        world.bytes() / 50_000,
        most / 100,
        most % 100
    );
    assert!(most <= 64 * 100, "{most} hundredths of a byte");
}
