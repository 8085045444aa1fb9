//! The ledger: who is paused, who is ended, who goes on.

use std::time::Duration;

use super::*;

const KIB: usize = 1024;

/// A worker whose process may hold 80 KiB.
fn worker() -> (Arc<Ledger>, Holders) {
    clock::tick(); // the first one sets the origin
    let ledger = Arc::new(Ledger::default());
    ledger.limit(80 * KIB as u64);
    (ledger.clone(), Holders::new(ledger))
}

fn goes_on(holder: &Holder) -> bool {
    holder.poll_resumed(&Context::from_waker(Waker::noop())).is_ready()
}

#[test]
fn what_is_dropped_is_held_no_more() {
    let (ledger, holders) = worker();
    let holder = holders.enter();
    let mut held = holder.hold(10 * KIB);
    holders.judge();
    assert_eq!((holder.held_bytes(), ledger.held_bytes()), (10 * KIB, 10 * KIB as u64));
    held.resize(3 * KIB);
    assert_eq!(holder.held_bytes(), 3 * KIB);
    drop(held);
    holders.judge();
    assert_eq!((holder.held_bytes(), ledger.held_bytes()), (0, 0));
}

#[test]
fn small_changes_reach_the_ledger_with_the_next_look_and_large_ones_at_once() {
    let (ledger, holders) = worker();
    let holder = holders.enter();
    let _small = holder.hold(KIB);
    assert_eq!(ledger.held_bytes(), 0);
    let _large = holder.hold(64 * KIB);
    assert_eq!(ledger.held_bytes(), 65 * KIB as u64);
}

#[test]
fn the_largest_are_paused_and_everybody_else_goes_on() {
    let (_, holders) = worker();
    let [large, small, idle] = [holders.enter(), holders.enter(), holders.enter()];
    let (held, _small) = (large.hold(79 * KIB), small.hold(2 * KIB));
    assert_eq!(holders.judge(), Judged { floods: 1, paused: 1, ended: 0 });
    assert_eq!([&large, &small, &idle].map(goes_on), [false, true, true]);
    drop(held);
    holders.judge();
    assert!(goes_on(&large));
}

#[test]
fn who_has_let_go_of_most_goes_on_although_little_is_free() {
    let (_, holders) = worker();
    let [first, second] = [holders.enter(), holders.enter()];
    let (mut held, mut other) = (first.hold(50 * KIB), second.hold(40 * KIB));
    holders.judge();
    assert_eq!([&first, &second].map(goes_on), [false, true]);
    held.resize(20 * KIB);
    other.resize(55 * KIB);
    holders.judge();
    assert!(goes_on(&first));
}

#[test]
fn who_is_paused_and_lets_go_of_nothing_is_ended() {
    let (_, holders) = worker();
    let [large, small] = [holders.enter(), holders.enter()];
    let (_large, _small) = (large.hold(90 * KIB), small.hold(2 * KIB));
    holders.judge();
    large.0.paused_ms.store(clock::coarse_ms().wrapping_sub(END_AFTER_MS), Relaxed);
    assert_eq!(holders.judge(), Judged { floods: 0, paused: 0, ended: 1 });
    assert_eq!([&large, &small].map(Holder::must_end), [true, false]);
    assert_eq!(holders.judge(), Judged::default(), "it is ended once");
}

#[test]
fn each_worker_stops_its_part() {
    let (ledger, first) = worker();
    let second = Holders::new(ledger);
    let holders: Vec<Holder> = (0..20).map(|index| [&first, &second][index % 2].enter()).collect();
    let _held: Vec<Held> = holders.iter().map(|holder| holder.hold(5 * KIB)).collect();
    second.judge(); // the ledger has to know of both
    let paused = first.judge().paused + second.judge().paused;
    let stopped = holders.iter().filter(|holder| !goes_on(holder)).count();
    assert!((6..=8).contains(&stopped), "30 KiB of 100 are too much, {stopped} × 5 KiB are stopped");
    assert!(paused <= stopped as u64);
}

#[test]
fn a_connection_that_has_gone_is_forgotten() {
    let (_, holders) = worker();
    let (kept, gone) = (holders.enter(), holders.enter());
    drop(gone);
    holders.judge();
    assert_eq!(holders.all.borrow().len(), 1);
    drop(kept);
}

#[tokio::test(flavor = "current_thread")]
async fn crossing_the_bound_raises_an_alarm_and_going_on_wakes_who_waits() {
    let (_, holders) = worker();
    let holder = holders.enter();
    let held = holder.hold(100 * KIB);
    tokio::time::timeout(Duration::from_secs(1), holders.alarmed()).await.unwrap();
    holders.judge();
    let resumed = std::future::poll_fn(|cx| holder.poll_resumed(cx));
    let (_, ()) = tokio::join!(resumed, async {
        tokio::task::yield_now().await;
        drop(held);
        holders.judge();
    });
}

#[test]
fn what_hyper_reads_of_a_request_is_held_until_its_answer_is_sent() {
    let (_, holders) = worker();
    let holder = holders.enter();
    holder.reads_head(10);
    assert_eq!(holder.held_bytes(), 8 * KIB);
    (0..50).for_each(|_| holder.reads_head(KIB));
    assert_eq!(holder.held_bytes(), 64 * KIB);
    holder.reads_body(16 * KIB - 1);
    assert_eq!(holder.held_bytes(), 96 * KIB);
    holder.body_is_taken();
    assert_eq!(holder.held_bytes(), 64 * KIB);
    holder.request_is_over();
    assert_eq!(holder.held_bytes(), 0);
    holder.reads_head(1);
    assert_eq!(holder.held_bytes(), 8 * KIB, "of the next head");
}

#[test]
fn who_holds_all_that_a_connection_may_is_counted_once() {
    let (ledger, holders) = worker();
    ledger.limit(64 << 20);
    let holder = holders.enter();
    let mut held = holder.hold(FLOOD_BYTES);
    assert_eq!(holders.judge(), Judged { floods: 1, ..Judged::default() });
    assert!(goes_on(&holder));
    held.resize(0);
    held.resize(2 * FLOOD_BYTES);
    assert_eq!(holders.judge(), Judged::default());
}

#[test]
fn what_was_received_is_held_and_no_flood() {
    let (ledger, holders) = worker();
    ledger.limit(64 << 20);
    let holder = holders.enter();
    let mut received = holder.receive();
    received.resize(2 * FLOOD_BYTES);
    assert_eq!(holders.judge(), Judged::default());
    assert_eq!((holder.held_bytes(), ledger.held_bytes()), (2 * FLOOD_BYTES, 2 * FLOOD_BYTES as u64));
    let _queued = holder.hold(FLOOD_BYTES);
    assert_eq!(holders.judge(), Judged { floods: 1, ..Judged::default() });
    drop(received);
    assert_eq!(holder.held_bytes(), FLOOD_BYTES);
}
