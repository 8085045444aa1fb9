//! What endpoints say, in any pieces; hyper's client is the oracle.

use proptest::prelude::*;

use super::oracle::{heard, heard_by_hyper};
use super::read_error::ReadError;

const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

#[track_caller]
fn is(method: &str, text: &str, status: u16, body: &str) {
    let whole = heard(method, text.as_bytes(), &[8192]);
    assert_eq!(
        whole.as_ref().map(|whole| (whole.status.as_u16(), &whole.body[..])),
        Ok((status, body.as_bytes()))
    );
    for size in [1, 2, 3, 7] {
        assert_eq!(heard(method, text.as_bytes(), &[size]), whole, "in pieces of {size} bytes");
    }
}

#[track_caller]
fn is_not(text: &str, because: ReadError) {
    for size in [8192, 1, 2, 3, 7] {
        assert_eq!(heard("GET", text.as_bytes(), &[size]).err(), Some(because), "{text:?} by {size}");
    }
}

#[test]
fn a_body_ends_where_rfc_9112_says() {
    is("GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "hello");
    is("GET", "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\nContent-Length: 5\r\n\r\nhello", 200, "hello");
    is("GET", "HTTP/1.1 200 OK\r\n\r\nhello", 200, "hello");
    is("GET", "HTTP/1.0 200 OK\r\n\r\nhello", 200, "hello");
    is("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", 200, "");
    is("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 304, "");
    is("GET", "HTTP/1.1 204 No Content\r\n\r\n", 204, "");
    is("GET", &format!("{CHUNKED}5\r\nhello\r\n1;a=b\r\n!\r\n0\r\n\r\n"), 200, "hello!");
    is(
        "GET",
        &format!("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 x\r\nA: b\r\n\r\n{CHUNKED}0\r\n\r\n"),
        200,
        "",
    );
}

#[test]
fn what_could_be_read_in_two_ways_is_not_read() {
    let head = |lines: &str| format!("HTTP/1.1 200 OK\r\n{lines}\r\n\r\nhello");
    is_not(&head("Content-Length: 5\r\nContent-Length: 4"), ReadError::Malformed);
    is_not(&head("Content-Length: +5"), ReadError::Malformed);
    is_not(&head("Content-Length: 5, 4"), ReadError::Malformed);
    is_not(&head("Content-Length: 18446744073709551616"), ReadError::Malformed);
    is_not(&head("Content-Length:"), ReadError::Malformed);
    is_not(&head("Transfer-Encoding: gzip, chunked"), ReadError::Malformed);
    is_not(&head("Transfer-Encoding: gzip"), ReadError::Malformed);
    is_not(&head("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"), ReadError::Malformed);
    is_not("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", ReadError::Malformed);
    is_not(&head("A: b\r\n c: d"), ReadError::Malformed);
    is_not(&head("A : b"), ReadError::Malformed);
    is_not("HTTP/2 200 OK\r\n\r\n", ReadError::Malformed);
    is_not("hello\r\n", ReadError::Malformed);
    for chunks in [
        "\r\nx",
        "0x5\r\nhello",
        "5 5\r\nhello",
        "-1\r\n",
        "5;a\nb\r\nhello",
        "5;a\0\r\nhello",
        "5\nhello",
        "5\r\nhello\n0",
        "5;a\x7f\r\nhello",
        "0\r\nA: b\nC: d",
        "5\r\nhello!\n",
        "10000000000000000\r\n",
    ] {
        is_not(&format!("{CHUNKED}{chunks}\r\n0\r\n\r\n"), ReadError::Malformed);
    }
}

#[test]
fn many_fields_are_no_fault_and_a_bare_line_feed_in_a_head_is_none() {
    is(
        "GET",
        &format!("HTTP/1.1 200 OK\r\n{}Content-Length: 2\r\n\r\nok", "A: b\r\n".repeat(255)),
        200,
        "ok",
    );
    is("GET", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok", 200, "ok");
}

#[test]
fn a_tunnel_follows_a_200_that_frames_nothing() {
    is("CONNECT", "HTTP/1.1 200 Connection established\r\n\r\n", 200, "");
    is("CONNECT", "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno", 403, "no");
    for said in ["200 OK\r\nContent-Length: 0", "200 OK\r\nTransfer-Encoding: chunked", "204 No Content"] {
        let heard = heard("CONNECT", format!("HTTP/1.1 {said}\r\n\r\n").as_bytes(), &[8192]);
        assert_eq!(heard.err(), Some(ReadError::Malformed), "{said}");
    }
}

#[test]
fn what_breaks_off_is_not_whole() {
    is_not("", ReadError::CutShort);
    is_not("HTTP/1.1 200 OK\r\nContent-Le", ReadError::CutShort);
    is_not("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello", ReadError::CutShort);
    for chunks in ["", "5\r\nhel", "5\r\nhello\r\n", "5\r\nhello\r\n0\r\n", "0\r\nA: b\r\n"] {
        is_not(&format!("{CHUNKED}{chunks}"), ReadError::CutShort);
    }
}

#[test]
fn a_head_a_line_and_trailers_have_limits() {
    let long = "a".repeat(64 * 1024);
    is_not(&format!("HTTP/1.1 200 OK\r\nA: {long}"), ReadError::Malformed);
    is_not(&format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(257)), ReadError::Malformed);
    is_not(&format!("{CHUNKED}5;{long}"), ReadError::Malformed);
    is_not(&format!("{CHUNKED}0\r\nA: {long}"), ReadError::Malformed);
}

#[test]
fn what_belongs_to_the_hop_ends_here_and_trailers_come_last() {
    let text = "HTTP/1.1 200 OK\r\nConnection: X-Hop, keep-alive\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nContent-Length: 9\r\n\
                Transfer-Encoding: chunked\r\nA: 1\r\nA: 2\r\n\r\n0\r\nX-Sum: 1\r\n\r\n";
    let whole = heard("GET", text.as_bytes(), &[1]).unwrap();
    let lines: Vec<_> = whole.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    assert_eq!(lines, [("a", &b"1"[..]), ("a", b"2")]);
    assert_eq!(whole.trailers["x-sum"], "1");
}

/// Something like an answer: parts of answers, in any order.
fn answer() -> impl Strategy<Value = String> {
    let first = proptest::sample::select(vec![START, ""]);
    let parts = proptest::collection::vec(proptest::sample::select(PARTS), 0..8);
    (first, parts).prop_map(|(first, parts)| first.to_owned() + &parts.concat())
}

const START: &str = "HTTP/1.1 200 OK\r\n";
const PARTS: &[&str] = &[
    START,
    "HTTP/1.1 100 Continue\r\n\r\n",
    "HTTP/1.0 404 x\r\n",
    "Content-Length: 5\r\n",
    "Content-Length: 3\r\n",
    "Transfer-Encoding: chunked\r\n",
    "A: b\r\n",
    "\r\n",
    "\n",
    "5\r\nhello\r\n",
    "3;x\r\nabc\r\n",
    "0\r\n\r\n",
    "0\r\nX: y\r\n\r\n",
    "hello",
    "é",
];

proptest! {
    #[test]
    fn the_pieces_that_an_answer_comes_in_change_nothing(
        text in answer(),
        sizes in proptest::collection::vec(1..40_usize, 1..8),
        method in proptest::sample::select(vec!["GET", "HEAD"]),
    ) {
        let [pieces, whole] = [&sizes[..], &[8192]].map(|sizes| heard(method, text.as_bytes(), sizes).ok());
        prop_assert_eq!(pieces, whole);
    }

    /// We are the stricter one; what both take, both take alike.
    #[test]
    fn hyper_hears_the_same(text in answer(), method in proptest::sample::select(vec!["GET", "HEAD"])) {
        if let Ok(mut ours) = heard(method, text.as_bytes(), &[8192]) {
            let Some(theirs) = heard_by_hyper(method, text.as_bytes()) else {
                return Err(TestCaseError::fail("hyper does not take it"));
            };
            ours.headers = theirs.headers.clone(); // those of the hop are left to it
            prop_assert_eq!(ours, theirs);
        }
    }
}
