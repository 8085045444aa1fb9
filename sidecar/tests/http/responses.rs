//! Responses on their way back: what the client reads is what the endpoint said, and when it did not say all of it the
//! client can tell.

use super::backend::Backend;
use super::wire::{Broken, Message};
use super::world::World;

/// What a client makes of a response: its text, as [`Message`] shows it, or why there is none.
fn check(method: &str, said: &'static str, seen: Result<&str, Broken>) {
    let backend = Backend::start(move |talk| {
        while talk.request().is_ok() {
            talk.wire.send(said);
            if said.contains(CLOSE) {
                return;
            }
        }
    });
    let world = World::of(&[&backend], &[]);
    let mut client = world.client();
    client.send(format!("{method} / HTTP/1.1\r\nHost: web\r\nTE: trailers\r\n\r\n"));
    let response = client.response(method).map(|response| response.to_string());
    assert_eq!(response, seen.map(str::to_owned), "{said:?}");
}

#[test]
fn a_status_without_a_registered_reason_has_none() {
    check(
        "GET",
        "HTTP/1.1 599 Own Words\r\nContent-Length: 2\r\n\r\nok",
        Ok("HTTP/1.1 599  | content-length: 2 | ok"),
    );
}

#[test]
fn a_response_keeps_its_framing_and_loses_its_hop() {
    check(
        "GET",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        Ok("HTTP/1.1 200 OK | content-length: 2 | ok"),
    );
    // RFC 9112 §6.3: the coding overrides the length.
    check(
        "GET",
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        Ok("HTTP/1.1 200 OK | transfer-encoding: chunked | ok"),
    );
    // RFC 9110 §7.6.1.
    check(
        "GET",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive, X-A\r\nX-A: 1\r\nKeep-Alive: timeout=5\r\nX-B: 2\r\n\r\nok",
        Ok("HTTP/1.1 200 OK | content-length: 2 | x-b: 2 | ok"),
    );
    // RFC 9112 §7.1.2: trailers for a client that said it takes them.
    check(
        "GET",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n",
        Ok("HTTP/1.1 200 OK | trailer: x-sum | transfer-encoding: chunked | ok | x-sum: 1"),
    );
    // RFC 9112 §6.3: HTTP/1.0 ends with its connection, which an HTTP/1.1 client is told in chunks.
    check(
        "GET",
        "HTTP/1.0 200 OK\r\nConnection: close\r\n\r\nok",
        Ok("HTTP/1.1 200 OK | transfer-encoding: chunked | ok"),
    );
    // RFC 9110 §15.2: an interim response that we do not pass on is not the response.
    check(
        "GET",
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        Ok("HTTP/1.1 200 OK | content-length: 2 | ok"),
    );
}

#[test]
fn a_response_without_a_body_has_none_whatever_its_length_says() {
    // RFC 9110 §9.3.2: HEAD tells the length that GET would have.
    check("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", Ok("HTTP/1.1 200 OK | content-length: 5"));
    // §15.4.5: 304 may, and need not.
    check("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", Ok("HTTP/1.1 304 Not Modified"));
    // §8.6: 204 has no length at all.
    check("GET", "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", Ok("HTTP/1.1 204 No Content"));
    check("GET", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", Ok("HTTP/1.1 204 No Content"));
}

#[test]
fn a_response_that_breaks_off_does_not_look_whole() {
    for said in [
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhel",
        "HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
        "HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nx\r\n\r\n",
    ] {
        let backend = Backend::start(move |talk| drop((talk.request(), talk.wire.send(said))));
        let world = World::of(&[&backend], &[]);
        let mut client = world.client();
        client.send(GET);
        let response = client.response("GET");
        assert!(matches!(response, Err(Broken::Truncated(_))), "{said:?}: {response:?}");
        world.records(&["UB"]);
    }
}

#[test]
fn what_is_no_response_is_a_502() {
    for said in [
        "hello\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, identity\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding : chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: a\r\n b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n: a\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nX : a\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX : a\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n",
    ] {
        let world = answered(said.to_owned(), 502, "http_protocol_error");
        world.records(&["UP"]);
    }
    answered(
        format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "a".repeat(1024 * 1024)),
        502,
        "http_protocol_error",
    );
    answered(format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: a\r\n".repeat(300)), 502, "http_protocol_error");
}

/// Lets a backend say `said`, once, and checks what the client is told instead.
fn answered(said: String, status: u16, proxy_error: &str) -> World {
    let backend = Backend::start(move |talk| drop((talk.request(), talk.wire.send(&said), talk.wire.rest())));
    let world = World::of(&[&backend], &[]);
    let mut client = world.client();
    client.send(GET);
    let response = client.response("GET").expect("a failure is an answer");
    let error = response.header("proxy-status").unwrap_or_default();
    assert_eq!(response.status(), status);
    assert!(error.contains(&format!("error={proxy_error};")), "{error}");
    world
}

#[test]
fn an_answer_may_come_before_the_request_has_been_sent() {
    let backend = Backend::start(|talk| {
        if talk.number == 0 {
            let _head = talk.head();
            talk.wire.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno");
        }
        while talk.request().is_ok() {
            talk.wire.send(OK);
        }
    });
    let world = World::of(&[&backend], &[]);
    let mut client = world.client();
    client.send("POST / HTTP/1.1\r\nHost: web\r\nContent-Length: 10\r\n\r\nhello");
    assert_eq!(client.response("POST").map(|response| response.status()), Ok(413));
    client.send("world");
    // The next request is one of its own, on whatever connection.
    let mut another = world.client();
    another.send(GET);
    assert_eq!(another.response("GET").map(|response| response.body), Ok("ok".to_owned()));
    let seen: Vec<String> = backend.take_requests().iter().map(Message::to_string).collect();
    assert_eq!(seen, ["POST / | content-length: 10", "GET /"]);
}

const GET: &str = "GET / HTTP/1.1\r\nHost: web\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const CLOSE: &str = "Connection: close";

/// What an endpoint sends behind its answer, or as a body where there is none, is not the answer to whoever asks next.
#[test]
fn bytes_behind_an_answer_are_nobodys() {
    for (method, said, status) in [
        (
            "GET",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
            200,
        ),
        (
            "GET",
            "HTTP/1.1 204 No Content\r\nContent-Length: 42\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
            204,
        ),
        ("GET", "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 204),
        ("GET", "HTTP/1.1 304 Not Modified\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", 304),
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", 200),
        ("HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nevil\r\n0\r\n\r\n", 200),
    ] {
        let backend = Backend::start(move |talk| {
            let mut said = (talk.number == 0).then_some(said);
            while talk.request().is_ok() {
                talk.wire.send(said.take().unwrap_or(OK));
            }
        });
        let world = World::of(&[&backend], &[]);
        let mut client = world.client();
        client.send(format!("{method} / HTTP/1.1\r\nHost: web\r\n\r\n"));
        assert_eq!(client.response(method).map(|response| response.status()), Ok(status), "{said:?}");
        for mut client in [client, world.client()] {
            client.send(GET);
            assert_eq!(client.response("GET").map(|response| response.body), Ok("ok".to_owned()), "{said:?}");
        }
    }
}
