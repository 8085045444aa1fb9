use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::Wake;

use super::*;

/// A frame on a stream (RFC 9113 §4.1).
fn frame(kind: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    frame.extend_from_slice(&[kind, 0]);
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

fn reset(stream: u32, reason: Reason) -> Vec<u8> {
    frame(RST_STREAM, stream, &u32::from(reason).to_be_bytes())
}

/// A part of a body, which may be the last.
fn part(stream: u32, payload: &[u8], ends: bool) -> Vec<u8> {
    let mut frame = frame(DATA, stream, payload);
    frame[4] = u8::from(ends);
    frame
}

fn hear(traffic: &Traffic, bytes: &[u8]) {
    Frames::behind(0).feed(bytes, |frame, _| {
        traffic.hears(frame);
    });
}

fn say(traffic: &Traffic, bytes: &[u8]) {
    Frames::behind(0).feed(bytes, |frame, _| traffic.says(frame));
}

#[test]
fn a_head_that_is_reset_or_answered_before_a_request_came_of_it_was_refused() {
    let traffic = Traffic::default();
    for stream in [1, 3, 5, 7] {
        hear(&traffic, &frame(HEADERS, stream, b""));
    }
    traffic.accepts(1);
    say(&traffic, &reset(1, Reason::PROTOCOL_ERROR));
    say(&traffic, &reset(3, Reason::PROTOCOL_ERROR));
    say(&traffic, &frame(HEADERS, 5, b""));
    say(&traffic, &reset(5, Reason::PROTOCOL_ERROR));
    say(&traffic, &reset(7, Reason::REFUSED_STREAM));
    let refused: Vec<RefusedByH2> = traffic.refused().collect();
    assert_eq!(refused, [RefusedByH2::Malformed, RefusedByH2::TooLarge]);
    assert_eq!(traffic.refused().count(), 0);
}

#[test]
fn a_request_that_was_reset_before_it_was_accepted_has_an_account_of_its_own() {
    let traffic = Traffic::default();
    hear(&traffic, &frame(HEADERS, 1, b""));
    hear(&traffic, &frame(DATA, 1, b"more than its head promised"));
    say(&traffic, &reset(1, Reason::PROTOCOL_ERROR));
    traffic.accepts(1);
    assert_eq!(traffic.refused().count(), 0);
}

#[test]
fn trailers_are_no_head() {
    let traffic = Traffic::default();
    hear(&traffic, &frame(HEADERS, 1, b""));
    traffic.accepts(1);
    hear(&traffic, &frame(HEADERS, 1, b""));
    say(&traffic, &frame(HEADERS, 1, b""));
    assert_eq!(traffic.refused().count(), 0);
}

#[test]
fn what_no_message_needs_has_its_price_and_messages_pay_for_it() {
    let (pings, updates) = (Traffic::default(), Traffic::default());
    for _ in 1..CREDIT_AT_FIRST {
        hear(&pings, &frame(PING, 0, &[0; 8]));
    }
    assert!(!pings.is_flood());
    hear(&pings, &frame(PING, 0, &[0; 8]));
    assert!(pings.is_flood());
    say(&pings, &frame(DATA, 1, b"a"));
    assert!(pings.is_flood(), "it is too late");
    for _ in 0..100_000 {
        say(&updates, &frame(DATA, 1, b"a"));
        hear(&updates, &frame(WINDOW_UPDATE, 0, &[0; 4]));
        hear(&updates, &frame(WINDOW_UPDATE, 1, &[0; 4]));
    }
    assert!(!updates.is_flood());
}

#[test]
fn a_client_may_acknowledge_each_message_of_grpc_however_many_come_in_a_frame() {
    const MESSAGES: usize = 2_000; // of 5 bytes, which is what one without content has
    let (prompt, slow) = (Traffic::default(), Traffic::default());
    for _ in 0..20 {
        say(&prompt, &frame(DATA, 1, &[0; 5 * MESSAGES]));
        hear(&prompt, &frame(PING, 0, &[0; 8]));
        for _ in 0..MESSAGES {
            hear(&prompt, &frame(WINDOW_UPDATE, 1, &[0; 4]));
            hear(&prompt, &frame(WINDOW_UPDATE, 0, &[0; 4]));
        }
        say(&slow, &frame(DATA, 1, &[0; 5 * MESSAGES]));
    }
    for _ in 0..20 * MESSAGES {
        hear(&slow, &frame(WINDOW_UPDATE, 1, &[0; 4]));
    }
    assert!(!prompt.is_flood() && !slow.is_flood());
}

#[test]
fn updates_of_windows_that_acknowledge_nothing_are_a_flood() {
    let traffic = Traffic::default();
    say(&traffic, &frame(DATA, 1, &[0; 1000]));
    for _ in 0..2 * CREDIT_AT_FIRST {
        hear(&traffic, &frame(WINDOW_UPDATE, 1, &[0; 4]));
    }
    assert!(traffic.is_flood());
}

#[test]
fn a_client_may_give_up_each_stream_at_once_and_ask_whether_we_are_there() {
    let traffic = Traffic::default();
    for stream in (1..20_000).step_by(2) {
        hear(&traffic, &frame(HEADERS, stream, b""));
        traffic.accepts(stream);
        hear(&traffic, &frame(WINDOW_UPDATE, stream, &[0; 4]));
        hear(&traffic, &frame(PRIORITY_UPDATE, 0, &[0; 8]));
        hear(&traffic, &reset(stream, Reason::CANCEL));
        hear(&traffic, &frame(PING, 0, &[0; 8]));
    }
    assert!(!traffic.is_flood());
}

#[test]
fn a_part_without_a_byte_is_paid_for_by_one_with_bytes_and_h2_does_not_see_it() {
    let traffic = Traffic::default();
    hear(&traffic, &frame(HEADERS, 1, b""));
    hear(&traffic, &part(1, b"m", false).repeat(50_000));
    hear(&traffic, &part(1, b"", false).repeat(50_000));
    assert!(!traffic.is_flood());
    hear(&traffic, &part(1, b"", false).repeat(2 * CREDIT_AT_FIRST as usize));
    assert!(traffic.is_flood());
    let passes = |bytes: &[u8]| {
        let mut all = Vec::new();
        Frames::behind(0).feed(bytes, |frame, _| all.push(traffic.hears(frame)));
        all
    };
    assert_eq!(passes(&part(1, b"", false)), [Passes::Hidden]);
    assert_eq!(passes(&part(1, b"m", false)), [Passes::On]);
    assert_eq!(passes(&part(3, b"", false)), [Passes::On], "whose stream there is not");
    assert_eq!(passes(&part(1, b"", true)), [Passes::On], "that ends a body");
}

#[test]
fn a_body_that_we_break_off_may_come_late_and_no_other() {
    let (broken_off, ended) = (Traffic::default(), Traffic::default());
    for stream in [1, 3] {
        hear(&broken_off, &frame(HEADERS, stream, b""));
        say(&broken_off, &reset(stream, Reason::NO_ERROR));
        say(&broken_off, &reset(stream, Reason::STREAM_CLOSED));
    }
    hear(&broken_off, &part(1, b"late", false).repeat(2 * 64 * 1024 / 5));
    assert!(!broken_off.is_flood());
    hear(&ended, &frame(HEADERS, 1, b""));
    hear(&ended, &part(1, b"all", true));
    say(&ended, &reset(1, Reason::NO_ERROR));
    hear(&ended, &part(1, b"more", false).repeat(2 * CREDIT_AT_FIRST as usize));
    for traffic in [broken_off, ended] {
        hear(&traffic, &part(1, b"late", false).repeat(2 * CREDIT_AT_FIRST as usize));
        assert!(traffic.is_flood());
    }
}

#[test]
fn heads_that_are_refused_pay_for_nothing() {
    for refusal in [Reason::REFUSED_STREAM, Reason::PROTOCOL_ERROR] {
        let traffic = Traffic::default();
        for stream in (1..).step_by(2).take(2 * CREDIT_AT_FIRST as usize) {
            hear(&traffic, &frame(HEADERS, stream, b""));
            say(&traffic, &reset(stream, refusal));
        }
        assert!(traffic.is_flood());
    }
}

#[test]
fn a_connection_may_last_for_ever_of_whose_heads_ninety_a_second_are_refused() {
    let traffic = Traffic::default();
    for stream in (1..).step_by(2).take(90_000) {
        hear(&traffic, &frame(HEADERS, stream, b""));
        say(&traffic, &reset(stream, Reason::REFUSED_STREAM));
        clock::pass_ms(if stream % 20 == 1 { 111 } else { 0 });
    }
    assert!(!traffic.is_flood());
}

#[test]
fn nothing_is_read_of_who_takes_none_of_very_many_resets() {
    let traffic = Traffic::default();
    let hear_late = |streams: usize| {
        for stream in (1..).step_by(2).take(streams) {
            hear(&traffic, &part(stream, b"late", false));
        }
        traffic.uploads.borrow().owes_much()
    };
    let woken = Arc::new(Woken::default());
    let waker = woken.clone().into();
    let cx = Context::from_waker(&waker);
    for stream in (1..).step_by(2).take(LATE_STREAMS_MAX) {
        hear(&traffic, &frame(HEADERS, stream, b""));
        say(&traffic, &reset(stream, Reason::NO_ERROR));
    }
    assert!(!hear_late(LATE_STREAMS_MAX - 1) && !hear_late(LATE_STREAMS_MAX - 1));
    traffic.blocked.set(true);
    traffic.ends_turn(&cx);
    assert!(hear_late(LATE_STREAMS_MAX));
    traffic.ends_turn(&cx);
    assert!(traffic.uploads.borrow().owes_much(), "they are not said");
    assert!(!woken.0.load(Relaxed));
    traffic.blocked.set(false);
    traffic.ends_turn(&cx);
    assert!(!traffic.uploads.borrow().owes_much());
    assert!(woken.0.load(Relaxed), "reading goes on");
}

/// Whether a task was woken.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Relaxed);
    }
}

const PING: u8 = 0x6; // RFC 9113 §6.7
const PRIORITY_UPDATE: u8 = 0x10; // RFC 9218 §7.1
