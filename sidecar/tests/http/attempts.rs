//! How often a request is sent, and over which connections.

use super::backend::{Backend, Talk};
use super::wire::Message;
use super::world::World;

#[test]
fn connections_to_an_endpoint_are_used_again() {
    let backend = Backend::answering(OK);
    let world = World::of(&[&backend], &[]);
    for _ in 0..3 {
        let mut client = world.client();
        for _ in 0..5 {
            assert_eq!(status(&mut client, GET), 200);
        }
    }
    assert_eq!(backend.connections(), 1);
}

#[test]
fn a_get_that_was_not_answered_is_sent_to_another_endpoint() {
    let (dead, alive) = (Backend::start(|talk| drop(talk.request())), Backend::answering(OK));
    let world = World::of(&[&dead, &alive], &[]);
    for _ in 0..4 {
        assert_eq!(status(&mut world.client(), GET), 200);
    }
    assert!(dead.connections() >= 1, "it was tried");
    assert_eq!(alive.take_requests().len(), 4);
}

#[test]
fn a_post_that_an_endpoint_may_have_seen_is_not_sent_twice() {
    let backends = [Backend::start(|talk| drop(talk.request())), Backend::start(|talk| drop(talk.request()))];
    let world = World::of(&[&backends[0], &backends[1]], &[]);
    for request in [POST, POST_HELLO] {
        assert_eq!(status(&mut world.client(), request), 502);
    }
    let seen: usize = backends.iter().map(|backend| backend.take_requests().len()).sum();
    assert_eq!(seen, 2);
    world.records(&["UH", "UH"]);
}

/// Answers once on its first connection, and closes it when the second request comes; behaves on all others.
fn closes_when_used_again(talk: &mut Talk) {
    while talk.request().is_ok() {
        talk.wire.send(OK);
        if talk.number == 0 {
            drop(talk.wire.request()); // as if it had never been read
            return;
        }
    }
}

#[test]
fn a_request_that_met_a_stale_connection_is_sent_once_more() {
    let backend = Backend::start(closes_when_used_again);
    let world = World::of(&[&backend], &[]);
    let mut client = world.client();
    assert_eq!(status(&mut client, GET), 200);
    assert_eq!(status(&mut client, POST), 200);
    let seen: Vec<String> = backend.take_requests().iter().map(Message::to_string).collect();
    assert_eq!((seen.len(), backend.connections()), (2, 2), "{seen:?}");
    world.counts("svcmesh_retries_total{reason=\"US\"} 1");
}

#[test]
fn also_when_some_of_its_body_went_with_that_connection() {
    let backend = Backend::start(closes_when_used_again);
    let world = World::of(&[&backend], &[]);
    let mut client = world.client();
    assert_eq!(status(&mut client, GET), 200);
    assert_eq!(status(&mut client, POST_HELLO), 200);
    let seen: Vec<String> = backend.take_requests().iter().map(Message::to_string).collect();
    assert_eq!(seen, ["GET /", "POST / | content-length: 5 | hello"]);
}

#[test]
fn a_body_waits_for_its_endpoint_to_ask_for_it() {
    let backend = Backend::start(|talk| {
        let head = talk.head().unwrap();
        assert_eq!(head.header("expect").as_deref(), Some("100-continue"));
        talk.wire.send("HTTP/1.1 100 Continue\r\n\r\n");
        let body = talk.wire.text(5).unwrap();
        talk.wire.send(format!("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{body}"));
    });
    let world = World::of(&[&backend], &[]);
    let mut client = world.client();
    client.send(EXPECTING);
    assert_eq!(client.response("POST").map(|response| response.status()), Ok(100));
    client.send("hello");
    assert_eq!(client.response("POST").map(|response| response.body), Ok("hello".to_owned()));
}

#[test]
fn a_body_that_its_endpoint_does_not_want_is_not_asked_for() {
    let backend = Backend::start(|talk| {
        let _head = talk.head();
        talk.wire.send("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2\r\n\r\nno");
        assert_eq!(talk.wire.rest(), "", "not a byte of the body");
    });
    let world = World::of(&[&backend], &[]);
    let mut client = world.client();
    client.send(EXPECTING);
    assert_eq!(client.response("POST").map(|response| response.status()), Ok(417), "and no 100 before");
}

#[test]
fn a_body_that_nobody_asks_for_is_sent_in_the_end() {
    let backend = Backend::answering(OK);
    let world = World::of(&[&backend], &[]);
    let mut client = world.client();
    client.send(EXPECTING);
    assert_eq!(client.response("POST").map(|response| response.status()), Ok(100));
    client.send("hello");
    assert_eq!(client.response("POST").map(|response| response.status()), Ok(200));
}

fn status(client: &mut super::wire::Wire, request: &str) -> u16 {
    client.send(request);
    client.response("GET").expect("each request is answered").status()
}

const GET: &str = "GET / HTTP/1.1\r\nHost: web\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nHost: web\r\nContent-Length: 0\r\n\r\n";
const POST_HELLO: &str = "POST / HTTP/1.1\r\nHost: web\r\nContent-Length: 5\r\n\r\nhello";
const EXPECTING: &str = "POST / HTTP/1.1\r\nHost: web\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
