//! Answers that come before the end of their request, to clients that send all of it before they read: those of endpoints and our own
//! (RFC 9112 §9.6).

use std::time::Duration;

use super::backend::{Backend, Talk};
use super::wire::{Ending, Message};
use super::world::World;

/// Sends a request with a body of `mebibytes`, all of it, and only then reads: what Python's http.client does.
fn ask(world: &World, head: &str, mebibytes: usize) -> Message {
    let mut client = world.client();
    client.send(format!("{head}Host: web\r\nContent-Length: {}\r\n\r\n", mebibytes << 20));
    let piece = vec![b'x'; 1 << 20];
    for _ in 0..mebibytes {
        assert!(client.sends(&piece), "the connection broke while the body was sent");
    }
    client.response("POST").unwrap_or_else(|broken| panic!("no answer: {broken:?}"))
}

const POST: &str = "POST / HTTP/1.1\r\n";

/// Asks many times, with bodies of 1 to 10 MiB.
fn check(world: &World, head: &str, status: u16) {
    for round in 0..30 {
        let answer = ask(world, head, 1 + round % 10);
        assert_eq!(answer.status(), status, "{answer}");
        // An endpoint that does not read may still have been sent all of a small body.
        let says_close = answer.header("connection").as_deref() == Some("close");
        assert!(says_close || status == 413, "{answer}");
    }
}

#[test]
fn an_endpoints_refusal_is_heard_whether_it_closes_or_not() {
    let closes: fn(&mut Talk) = |talk| {
        let _head = talk.head();
        talk.wire.send("HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno");
    };
    let stays: fn(&mut Talk) = |talk| {
        let _head = talk.head();
        talk.wire.send("HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno");
        std::thread::sleep(Duration::from_secs(5)); // reads nothing
    };
    for talk in [closes, stays] {
        let backend = Backend::start(talk);
        check(&World::of(&[&backend], &[]), POST, 413);
    }
}

#[test]
fn what_we_answer_ourselves_is_heard() {
    check(&World::at("http", &[], &[]), POST, 503);
    let backend = Backend::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let world = World::of(&[&backend], &[]);
    check(&world, "OPTIONS * HTTP/1.1\r\nMax-Forwards: 0\r\n", 204);
    check(&world, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n", 400);
    for round in 0..30 {
        for head in [
            "POST  / HTTP/1.1\r\n".to_owned(),
            format!("POST / HTTP/1.1\r\nX: {}\r\n", "x".repeat(80 * 1024)),
        ] {
            let answer = ask(&world, &head, 1 + round % 10);
            assert!(matches!(answer.status(), 400 | 431), "{answer}");
        }
    }
}

#[test]
fn an_answer_that_is_not_early_keeps_its_connection() {
    let backend = Backend::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let world = World::of(&[&backend], &[]);
    let mut client = world.client();
    for framing in
        ["Content-Length: 4\r\n\r\nbody", "Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n"]
    {
        client.send(format!("{POST}Host: web\r\n{framing}"));
        assert_eq!(client.response("POST").map(|answer| answer.header("connection")), Ok(None));
    }
}

#[test]
fn a_client_that_never_stops_sending_is_not_heard_for_ever() {
    let world = World::at("http", &[], &[]);
    let mut client = world.client();
    client.send(format!("{POST}Host: web\r\nContent-Length: 9999999999\r\n\r\n"));
    let piece = vec![b'x'; 1 << 20];
    let heard_mebibytes = (0..1000).take_while(|_| client.sends(&piece)).count();
    assert!((64..128).contains(&heard_mebibytes), "{heard_mebibytes}");
}

#[test]
fn a_client_that_sends_no_more_and_stays_is_let_go() {
    let world = World::at("http", &[], &["--drain-delay", "0"]);
    let mut client = world.client();
    client.send(format!("{POST}Host: web\r\nContent-Length: 10\r\n\r\n"));
    assert_eq!(client.response("POST").map(|answer| answer.status()), Ok(503));
    assert_eq!(client.until_it_ends(), (String::new(), Ending::End));
    world.counts("svcmesh_client_connections_open 0");
}
