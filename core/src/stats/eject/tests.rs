use std::vec::Vec;

use super::*;
use crate::service::Handling;
use crate::stats::EndpointStats;

mod history;

const POLICY: EjectPolicy =
    EjectPolicy { consecutive: 3, base: Duration::from_millis(1_000), max: Duration::from_millis(6_000) };

fn at(ms: u64) -> Now {
    Now(Duration::from_millis(ms))
}

/// A port with `count` members, of which nobody is out.
fn port(count: usize, policy: EjectPolicy) -> (PortStats, Vec<EndpointStats>) {
    let (port, members) =
        (PortStats::default(), (0..count).map(|_| EndpointStats::default()).collect::<Vec<_>>());
    port.follow(&asking(policy), members.iter(), at(0));
    (port, members)
}

fn asking(policy: EjectPolicy) -> Handling {
    Handling { eject: Some(policy), ..Handling::default() }
}

fn fail(stats: &EndpointStats, port: &PortStats, times: u32, now: Now) -> Option<EjectionChange> {
    (0..times).filter_map(|_| stats.ejector.failed(now, port, now, 0)).last()
}

#[test]
fn never_more_than_half_are_out() {
    for (members, expected) in [(0, 0), (1, 0), (2, 1), (3, 1), (4, 2), (5, 2), (100, 50)] {
        let (port, stats) = port(members, POLICY);
        for stats in &stats {
            fail(stats, &port, 30, at(0));
        }
        assert_eq!(stats.iter().filter(|stats| stats.is_out()).count(), expected, "of {members}");
        assert_eq!(port.ejected(), expected);
    }
}

#[test]
fn failures_in_a_row_eject_and_a_success_between_them_does_not() {
    let (port, stats) = port(2, POLICY);
    assert_eq!(fail(&stats[0], &port, 2, at(0)), None);
    stats[0].ejector.succeeded(&port, at(0));
    assert_eq!(fail(&stats[0], &port, 2, at(0)), None);
    let penalty = POLICY.base;
    assert_eq!(
        fail(&stats[0], &port, 1, at(0)),
        Some(EjectionChange::Ejected { reason: Reason::Consecutive, penalty })
    );
    assert_eq!(port.ejections(), [1, 0, 0]);
}

#[test]
fn an_endpoint_that_fails_every_second_request_is_found_by_its_rate() {
    let (port, stats) = port(2, POLICY);
    let mut changes = (0..100).filter_map(|n| {
        stats[0].ejector.succeeded(&port, at(n * 50));
        stats[0].ejector.failed(at(0), &port, at(n * 50), 0)
    });
    let penalty = POLICY.base;
    assert_eq!(changes.next(), Some(EjectionChange::Ejected { reason: Reason::SuccessRate, penalty }));
    assert_eq!(changes.next(), None, "it is out");
}

#[test]
fn nobody_is_ejected_where_nobody_asks_for_it() {
    let (port, stats) = port(2, POLICY);
    fail(&stats[0], &port, 3, at(0));
    port.follow(&Handling { eject: None, ..Handling::default() }, stats.iter(), at(0));
    assert!(!stats[0].is_out() && port.is_quiet(), "and who was ejected is not any more");
    assert_eq!(fail(&stats[0], &port, 30, at(0)), None);
}

#[test]
fn a_penalty_is_up_to_a_quarter_less_and_never_above_the_longest() {
    let penalties = |draw| [1, 2, 3, 4, 40, 255].map(|strikes| POLICY.penalty_ms(strikes, draw));
    assert_eq!(penalties(0), [1_000, 2_000, 4_000, 6_000, 6_000, 6_000]);
    assert_eq!(penalties(u64::MAX), [751, 1_501, 3_001, 4_501, 4_501, 4_501]);
    assert_eq!(penalties(1 << 63), [875, 1_750, 3_500, 5_250, 5_250, 5_250]);
}

#[test]
fn a_failure_of_before_the_return_is_not_held_against_an_endpoint() {
    let (port, stats) = port(2, POLICY);
    fail(&stats[0], &port, 3, at(100));
    let probe = stats[0].ejector.claim_probe(true, &port, at(1_100)).unwrap();
    assert_eq!(stats[0].ejector.probe_succeeded(probe, &port, at(1_200)), Some(EjectionChange::Returned));
    for _ in 0..30 {
        assert_eq!(stats[0].ejector.failed(at(1_199), &port, at(1_300), 0), None);
    }
    assert!(fail(&stats[0], &port, 3, at(1_300)).is_some());
}

#[test]
fn one_request_is_the_probe_and_a_post_only_when_nothing_better_came() {
    let (port, stats) = port(2, POLICY);
    fail(&stats[0], &port, 3, at(0));
    let claim = |replayable, ms| stats[0].ejector.claim_probe(replayable, &port, at(ms));
    assert_eq!(claim(true, 999), None);
    assert_eq!(claim(false, 1_999), None);
    assert!(claim(false, 2_000).is_some());
    assert_eq!(claim(true, 2_000 + PROBE_PATIENCE_MS - 1), None, "there is one under way");
    assert!(claim(true, 2_000 + PROBE_PATIENCE_MS).is_some(), "that one has been given up");
}

#[test]
fn a_probe_that_was_given_up_changes_nothing() {
    let (port, stats) = port(2, POLICY);
    fail(&stats[0], &port, 3, at(0));
    let late = stats[0].ejector.claim_probe(true, &port, at(1_000)).unwrap();
    let probe = stats[0].ejector.claim_probe(true, &port, at(20_000)).unwrap();
    assert_eq!(stats[0].ejector.probe_succeeded(late, &port, at(20_001)), None);
    assert!(stats[0].is_out());
    assert_eq!(stats[0].ejector.probe_succeeded(probe, &port, at(20_002)), Some(EjectionChange::Returned));
    assert_eq!(port.ejected(), 0);
}

#[test]
fn a_port_that_shrinks_takes_back_whoever_is_due_soonest() {
    let (port, stats) = port(4, POLICY);
    fail(&stats[0], &port, 3, at(10));
    fail(&stats[1], &port, 3, at(0));
    port.follow(&asking(POLICY), stats[..3].iter(), at(20));
    assert_eq!([0, 1].map(|index: usize| stats[index].is_out()), [true, false]);
    assert_eq!(port.ejected(), 1);
}

#[test]
fn who_leaves_while_ejected_gives_its_place_back_once() {
    let (port, stats) = port(2, POLICY);
    fail(&stats[0], &port, 3, at(0));
    let probe = stats[0].ejector.claim_probe(true, &port, at(1_000)).unwrap();
    stats[0].leave(&port);
    stats[0].leave(&port);
    assert_eq!(stats[0].ejector.probe_succeeded(probe, &port, at(1_001)), None);
    assert_eq!((port.ejected(), port.is_quiet()), (0, true));
    assert_eq!(fail(&stats[0], &port, 30, at(2_000)), None, "nobody who has left is ejected");
    assert!(stats[0].arrive() && !stats[0].arrive());
    assert!(fail(&stats[0], &port, 3, at(2_000)).is_some());
}

const MEMBERS: usize = 5;

/// Threads that fail, probe and leave as fast as they can: at no moment is more than half out, and nothing is lost or counted twice.
#[test]
fn workers_that_race_never_eject_more_than_half() {
    const THREADS: u64 = 4;
    let (port, stats) = port(MEMBERS, POLICY);
    let clock = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (port, stats, clock) = (&port, &stats, &clock);
            scope.spawn(move || race(thread, port, stats, clock));
        }
    });
    let out = stats.iter().filter(|stats| stats.is_out()).count();
    assert_eq!(port.ejected(), out);
    stats.iter().for_each(|stats| stats.leave(&port));
    assert_eq!((port.ejected(), port.is_quiet()), (0, true));
    assert!(port.ejections()[0] > 100, "there was something to race for: {:?}", port.ejections());
}

fn race(thread: u64, port: &PortStats, stats: &[EndpointStats], clock: &AtomicU64) {
    for turn in 0..5_000_u64 {
        let now = at(clock.fetch_add(1, Ordering::Relaxed));
        let one = &stats[(turn * 7 + thread * 3) as usize % MEMBERS];
        match (turn + thread) % 11 {
            0 => {
                one.leave(port);
                one.arrive();
            }
            1..=3 => {
                if let Some(probe) = one.ejector.claim_probe(true, port, now) {
                    one.ejector.probe_succeeded(probe, port, now);
                }
            }
            _ => {
                one.ejector.failed(now, port, now, 0);
            }
        }
        assert!(port.ejected() <= MEMBERS / 2);
    }
}
