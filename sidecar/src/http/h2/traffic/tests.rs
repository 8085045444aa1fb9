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

fn hear(traffic: &Traffic, bytes: &[u8]) {
    Frames::behind(0).feed(bytes, |frame| traffic.hears(frame));
}

fn say(traffic: &Traffic, bytes: &[u8]) {
    Frames::behind(0).feed(bytes, |frame| traffic.says(frame));
}

#[test]
fn frames_are_found_however_their_bytes_come() {
    let bytes = [
        b"preface".to_vec(),
        frame(HEADERS, 1, b"head"),
        frame(DATA, 1, &[0; 300]),
        reset(3, Reason::CANCEL),
        frame(DATA, 5, b""),
        frame(GOAWAY, 0, &[0, 0, 0, 5, 0, 0, 0, 11, b'w', b'h', b'y']),
        frame(RST_STREAM, 7, b"odd"),
        frame(PING, 0, &[0; 8]),
    ]
    .concat();
    let expected = vec![
        (HEADERS, 1, 0),
        (DATA, 1, 0),
        (RST_STREAM, 3, 8),
        (DATA, 5, 0),
        (GOAWAY, 0, 11),
        (RST_STREAM, 7, 0),
        (PING, 0, 0),
    ];
    for size in 1..=bytes.len() {
        let (mut frames, mut found) = (Frames::behind(7), Vec::new());
        for part in bytes.chunks(size) {
            frames.feed(part, |frame| found.push((frame.kind, frame.stream, u32::from(frame.code))));
        }
        assert_eq!(found, expected, "in parts of {size}");
    }
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

const PING: u8 = 0x6; // RFC 9113 §6.7
const PRIORITY_UPDATE: u8 = 0x10; // RFC 9218 §7.1
