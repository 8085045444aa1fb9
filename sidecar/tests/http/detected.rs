//! A port of which nobody says what it speaks: what might be a request is read as one, and refused where it is none.

use std::time::Duration;

use super::backend::Backend;
use super::wire::Message;
use super::world::World;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const FORGED: &str = "Host: web\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n";

/// A Service whose port says nothing, served by what takes everything for requests.
fn world(backend: &Backend, arguments: &[&str]) -> World {
    World::at("", &[backend.address()], arguments)
}

#[test]
fn a_request_is_read_whatever_comes_before_it() {
    let backend = Backend::answering(OK);
    let world = world(&backend, &[]);
    for line in ["\r\nGET / HTTP/1.1", "\r\n\r\n\r\nGET / HTTP/1.1", "get / HTTP/1.1", "X1_! / HTTP/1.1"] {
        let mut client = world.client();
        client.send(format!("{line}\r\n{FORGED}"));
        assert_eq!(client.response("GET").map(|response| response.status()), Ok(200), "{line:?}");
        let seen = backend.take_requests();
        let told: Vec<_> = seen.iter().map(|request| request.header("x-forwarded-for")).collect();
        assert_eq!(told, [Some("127.0.0.1".to_owned())], "{line:?}");
    }
}

#[test]
fn what_only_some_servers_take_for_a_request_is_refused() {
    let backend = Backend::answering(OK);
    let world = world(&backend, &[]);
    for line in [
        "GET  / HTTP/1.1",
        "GET\t/ HTTP/1.1",
        " GET / HTTP/1.1",
        "GET / HTTP/1.1 ",
        "GET / HTTP/1.2",
        "GET / HTTP/11",
        "GET / http/1.1",
        "GET /",
        "GET /a b HTTP/1.1",
        "get / HTTP/1.1 x",
        "GET /\0 HTTP/1.1",
        "GET / HTTP/1.1\rX: y",
        "\nGET / HTTP/1.1",
        "FOO / HTTP/2.1",
    ] {
        let mut client = world.client();
        client.send(format!("{line}\r\n{FORGED}"));
        assert_eq!(client.response("GET").map(|response| response.status()), Ok(400), "{line:?}");
        assert!(client.is_closed(), "{line:?}");
    }
    assert_eq!(backend.connections(), 0);
}

#[test]
fn half_a_first_line_waits_for_the_other_half() {
    let flags = ["--detect-timeout", "100ms", "--header-timeout", "2s"];
    for (half, other) in
        [("GE", "T / HTTP/1.1\r\n"), ("\r\n", "GET / HTTP/1.1\r\n"), ("get /", " HTTP/1.1\r\n")]
    {
        let backend = Backend::answering(OK);
        let world = world(&backend, &flags);
        let mut client = world.client();
        client.send(half);
        assert!(client.is_quiet_for(Duration::from_millis(500)), "{half:?}");
        assert_eq!(backend.connections(), 0, "{half:?}");
        client.send(format!("{other}{FORGED}"));
        assert_eq!(client.response("GET").map(|response| response.status()), Ok(200), "{half:?}");
        let seen = backend.take_requests();
        assert_eq!(seen[0].header("x-forwarded-for").as_deref(), Some("127.0.0.1"), "{half:?}");
    }
    let backend = Backend::answering(OK);
    let world = world(&backend, &flags);
    let mut client = world.client();
    client.send("get");
    assert!(client.is_closed(), "the header deadline ends it");
}

#[test]
fn bytes_that_no_request_begins_with_pass() {
    let backend = Backend::start(|talk| {
        let line = talk.wire.text(9).unwrap_or_default();
        talk.wire.send(line.to_uppercase());
    });
    let world = world(&backend, &[]);
    for line in ["get key\r\n", "set key 0", "\x01\x02\x03\x04\x05\x06\x07\x08\x09"] {
        let mut client = world.client();
        client.send(line);
        if line.ends_with('0') {
            client.send("\r\n");
        }
        assert_eq!(client.text(9), Ok(line.to_uppercase()), "{line:?}");
    }
}

#[test]
fn a_port_that_has_answered_requests_refuses_what_is_none() {
    let backend = Backend::answering(OK);
    let world = world(&backend, &["--detect-timeout", "100ms"]);
    let mut client = world.client();
    client.send("GET /1 HTTP/1.1\r\nHost: web\r\n\r\n");
    assert_eq!(client.response("GET").map(|response| response.status()), Ok(200));
    for noise in ["\x01", "\x16\x03", "\x16\x03\x01", "\x16\x03\r\n"] {
        let mut client = world.client();
        client.send(format!("{noise}GET / HTTP/1.1\r\n{FORGED}"));
        assert_eq!(client.response("GET").map(|response| response.status()), Ok(400), "{noise:?}");
    }
    // Who is slow is no other client than before.
    let mut client = world.client();
    assert!(client.is_quiet_for(Duration::from_millis(400)));
    client.send(format!("GET /2 HTTP/1.1\r\n{FORGED}"));
    assert_eq!(client.response("GET").map(|response| response.status()), Ok(200));
    let seen: Vec<String> = backend.take_requests().iter().map(Message::to_string).collect();
    assert_eq!(seen, ["GET /1", "GET /2"]);
}
