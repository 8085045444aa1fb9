//! Requests over HTTP/2 that no library would send, frame by frame: an HTTP/1.1 endpoint sees exactly one request of each, or nothing.

use super::backend::Backend;
use super::http2::Frames;
use super::table::{OK, leave_a_connection, texts};
use super::world::World;

/// Fields of a header block, in order.
type Fields = Vec<(&'static str, &'static str)>;

/// What becomes of a stream.
enum Becomes {
    /// The endpoint sees this request, which is answered with 200.
    Request(&'static str),
    /// The endpoint sees nothing whole; the stream, or all of the connection, fails, or is answered with something else.
    Refused,
}

use Becomes::{Refused, Request};

struct Row {
    why: &'static str,
    head: Fields,
    data: &'static str,
    trailers: Fields,
    becomes: Becomes,
}

fn row(why: &'static str, head: Fields, becomes: Becomes) -> Row {
    Row { why, head, data: "", trailers: Vec::new(), becomes }
}

fn with_data(why: &'static str, head: Fields, data: &'static str, becomes: Becomes) -> Row {
    Row { data, ..row(why, head, becomes) }
}

/// A GET of `/` with these headers.
fn get(headers: &[(&'static str, &'static str)]) -> Fields {
    [&[(":method", "GET"), (":scheme", "http"), (":authority", "web"), (":path", "/")], headers].concat()
}

fn post(headers: &[(&'static str, &'static str)]) -> Fields {
    [&[(":method", "POST"), (":scheme", "http"), (":authority", "web"), (":path", "/")], headers].concat()
}

/// A request whose target is this.
fn target(method: &'static str, authority: &'static str, path: &'static str) -> Fields {
    vec![(":method", method), (":scheme", "http"), (":authority", authority), (":path", path)]
}

#[test]
fn a_value_or_a_name_cannot_become_a_line_of_http1() {
    check(&[
        row("as it should be", get(&[("x", "a")]), Request("GET / | x: a")),
        row("RFC 9113 §8.2.1: no CRLF in a value", get(&[("x", "a\r\ny: b")]), Refused),
        row("§8.2.1: no LF", get(&[("x", "a\ny: b")]), Refused),
        row("§8.2.1: no CR", get(&[("x", "a\ry: b")]), Refused),
        row("§8.2.1: no NUL", get(&[("x", "a\0b")]), Refused),
        row(
            "§8.2.1: not even a whole request",
            get(&[("x", "a\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: web\r\n\r\n")]),
            Refused,
        ),
        row("§8.2.1: no capitals in a name", get(&[("X", "a")]), Refused),
        row("§8.2.1: no colon", get(&[("x:", "a")]), Refused),
        row("§8.2.1: no space", get(&[("x y", "a")]), Refused),
        row("§8.2.1: no line end", get(&[("x: a\r\ny", "b")]), Refused),
        row("§8.2.1: not none", get(&[("", "a")]), Refused),
        row("§8.3.1: nor in a target", target("GET", "web", "/ HTTP/1.1\r\nx: a"), Refused),
        row("§8.3.1: nor in a host", target("GET", "web\r\nx: a", "/"), Refused),
        row("§8.3.1: nor in a method", target("GET / HTTP/1.1\r\nx:", "web", "/"), Refused),
        row("RFC 9110 §9.1: a method is one word", target("GET /a", "web", "/"), Refused),
    ]);
}

#[test]
fn what_only_http1_has_does_not_come_over_http2() {
    check(&[
        row("RFC 9113 §8.2.2: no connection", get(&[("connection", "x-a"), ("x-a", "1")]), Refused),
        row("§8.2.2: no transfer-encoding", post(&[("transfer-encoding", "chunked")]), Refused),
        with_data(
            "§8.2.2: whatever comes with it",
            post(&[("transfer-encoding", "chunked")]),
            "0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: web\r\n\r\n",
            Refused,
        ),
        row("§8.2.2: no keep-alive", get(&[("keep-alive", "timeout=5")]), Refused),
        row("§8.2.2: no proxy-connection", get(&[("proxy-connection", "close")]), Refused),
        row("§8.2.2: no upgrade", get(&[("upgrade", "websocket")]), Refused),
        row("§8.2.2: te says trailers", get(&[("te", "trailers")]), Request("GET /")),
        row("§8.2.2: and nothing else", get(&[("te", "gzip")]), Refused),
        row(
            "§8.2.3: a cookie comes in crumbs",
            get(&[("cookie", "a=1"), ("cookie", "b=2")]),
            Request("GET / | cookie: a=1; b=2"),
        ),
    ]);
}

#[test]
fn a_length_is_that_of_the_data() {
    let lengths = |values: &[&'static str]| {
        post(&values.iter().map(|value| ("content-length", *value)).collect::<Fields>())
    };
    check(&[
        with_data(
            "RFC 9113 §8.1.1: a length",
            lengths(&["5"]),
            "hello",
            Request("POST / | content-length: 5 | hello"),
        ),
        with_data(
            "§8.1.1: none",
            lengths(&[]),
            "hello",
            Request("POST / | transfer-encoding: chunked | hello"),
        ),
        with_data("§8.1.1: one that is too long", lengths(&["6"]), "hello", Refused),
        with_data("§8.1.1: too short", lengths(&["4"]), "hello", Refused),
        row("§8.1.1: something, without data", lengths(&["5"]), Refused),
        with_data("RFC 9110 §8.6: two lengths", lengths(&["5", "6"]), "hello", Refused),
        with_data("§8.6: the other way round", lengths(&["6", "5"]), "hello", Refused),
        with_data("§8.6: a sign", lengths(&["+5"]), "hello", Refused),
        with_data("§8.6: a list", lengths(&["5, 5"]), "hello", Refused),
        with_data("§8.6: no number", lengths(&["x"]), "hello", Refused),
        with_data("§8.6: no digits", lengths(&[""]), "hello", Refused),
        row("§8.6: no digits, without data", lengths(&[""]), Refused),
    ]);
}

/// A request without a body is whole with its head: it may be on its way before the data comes that it must not have.
#[test]
fn data_beyond_a_length_of_nothing_goes_nowhere() {
    let backend = Backend::answering(OK);
    let world = World::of(&[&backend], &[]);
    for _ in 0..10 {
        let mut wire = world.client();
        let mut frames = Frames::of_client(&mut wire);
        frames.ask(&post(&[("content-length", "0")]), "GET /smuggled HTTP/1.1\r\nhost: web\r\n\r\n", &[]);
        frames.is_answered_with_200();
    }
    let mut last = world.client();
    last.send("GET /last HTTP/1.1\r\nHost: web\r\n\r\n");
    assert_eq!(last.response("GET").map(|response| response.status()), Ok(200));
    let seen = texts(&backend);
    let (last, before) = seen.split_last().expect("the last");
    assert_eq!(last, "GET /last");
    assert!(before.iter().all(|request| request == "POST / | content-length: 0"), "{before:?}");
}

#[test]
fn pseudo_headers_come_first_and_once() {
    let without = |name: &str| get(&[]).into_iter().filter(|(other, _)| *other != name).collect::<Fields>();
    let twice = |field: (&'static str, &'static str)| [&[field][..], &get(&[])].concat();
    check(&[
        row("RFC 9113 §8.3: not behind a header", [&[("x", "a")][..], &get(&[])].concat(), Refused),
        row("§8.3: not in the end", get(&[(":path", "/smuggled")]), Refused),
        row("§8.3: no two paths", twice((":path", "/smuggled")), Refused),
        row("§8.3: no two methods", twice((":method", "POST")), Refused),
        row("§8.3: no two authorities", twice((":authority", "other")), Refused),
        row("§8.3: no two schemes", twice((":scheme", "http")), Refused),
        row("§8.3: none of a response", get(&[]).into_iter().chain([(":status", "200")]).collect(), Refused),
        row("§8.3: none that nobody knows", twice((":x", "a")), Refused),
        row("§8.3.1: a method", without(":method"), Refused),
        row("§8.3.1: a path", without(":path"), Refused),
        row("§8.3.1: a scheme", without(":scheme"), Refused),
        row("§8.3.1: a host, in one of two places", without(":authority"), Refused),
        row(
            "§8.3.1: which may be Host",
            [&without(":authority")[..], &[("host", "web")]].concat(),
            Request("GET /"),
        ),
        Row {
            trailers: vec![(":path", "/smuggled")],
            ..with_data(
                "§8.3: one in trailers is dropped",
                post(&[]),
                "hello",
                Request("POST / | transfer-encoding: chunked | hello"),
            )
        },
    ]);
}

#[test]
fn a_request_is_for_one_host_and_one_path() {
    check(&[
        row("RFC 9113 §8.3.1: Host may repeat it", get(&[("host", "web")]), Request("GET /")),
        row("§8.3.1: but not contradict it", get(&[("host", "other")]), Refused),
        row("§8.3.1: nor come twice", get(&[("host", "web"), ("host", "web")]), Refused),
        row("§8.3.1: no user information", target("GET", "user@web", "/"), Refused),
        row("RFC 3986 §3.2.2: no path", target("GET", "web/x", "/"), Refused),
        row("§3.2.2: no space", target("GET", "we b", "/"), Refused),
        row("§3.2.2: not nothing", target("GET", "", "/"), Refused),
        row("RFC 9113 §8.3.1: a path is not empty", target("GET", "web", ""), Refused),
        row("§8.3.1: it begins with /", target("GET", "web", "a"), Refused),
        row("§8.3.1: it is no URI", target("GET", "web", "http://other/"), Refused),
        row("§8.3.1: * is for OPTIONS", target("OPTIONS", "web", "*"), Request("OPTIONS *")),
        row("§8.3.1: alone", target("GET", "web", "*"), Refused),
        row("RFC 9112 §3: no space in it", target("GET", "web", "/a b"), Refused),
        row("§3: no tab", target("GET", "web", "/a\tb"), Refused),
        row(
            "RFC 9113 §8.5: CONNECT has neither scheme nor path",
            target("CONNECT", "web:8080", "/"),
            Refused,
        ),
        row(
            "§8.5: and is none of ours over HTTP/2",
            vec![(":method", "CONNECT"), (":authority", "web:8080")],
            Refused,
        ),
    ]);
}

#[test]
fn trailers_neither_frame_nor_route() {
    check(&[
        Row {
            trailers: vec![("x-sum", "1"), ("content-length", "9"), ("host", "a"), ("x-forwarded-for", "1")],
            ..with_data(
                "RFC 9110 §6.5.1: what is announced passes, but for these",
                post(&[("trailer", "x-sum, content-length, host, x-forwarded-for")]),
                "hello",
                Request(
                    "POST / | trailer: x-sum, content-length, host, x-forwarded-for | transfer-encoding: chunked | hello | x-sum: 1",
                ),
            )
        },
        Row {
            trailers: vec![("transfer-encoding", "chunked")],
            ..with_data(
                "RFC 9113 §8.2.2: what only HTTP/1 has",
                post(&[("trailer", "transfer-encoding")]),
                "hello",
                Refused,
            )
        },
        Row {
            trailers: vec![("x", "a\r\nb: c")],
            ..with_data("§8.2.1: no CRLF", post(&[("trailer", "x")]), "hello", Refused)
        },
    ]);
}

/// Sends each row on a connection of its own.
#[track_caller]
fn check(rows: &[Row]) {
    let backend = Backend::answering(OK);
    let world = World::of(&[&backend], &[]);
    let wrong: Vec<String> = rows.iter().filter_map(|row| wrong(row, &backend, &world)).collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    leave_a_connection(&backend, &world); // and nothing came late
}

/// What is wrong with a row.
fn wrong(row: &Row, backend: &Backend, world: &World) -> Option<String> {
    leave_a_connection(backend, world);
    let mut wire = world.client();
    let mut frames = Frames::of_client(&mut wire);
    frames.ask(&row.head, row.data, &row.trailers);
    let answered = frames.is_answered_with_200();
    let seen = texts(backend);
    let (expected, answer) = match row.becomes {
        Request(request) => (vec![request], true),
        Refused => (Vec::new(), false),
    };
    (seen != expected || answered != answer).then(|| {
        format!("{}\n  {:?} {:?}\n  became {seen:?}, answered {answered}", row.why, row.head, row.data)
    })
}
