//! Endpoints that say nothing for a long time, and are well: none of them is given up.

use std::time::Duration;

use super::backend::Backend;
use super::world::World;

/// With this an endpoint is taken to be silent as soon as that is possible.
const HASTY: &[&str] = &["--connect-timeout", "100ms"];

/// Several times as long as an endpoint may be silent.
const LONG: Duration = Duration::from_millis(2500);

#[test]
fn one_that_thinks_for_long_is_waited_for() {
    let backend = Backend::start(|talk| {
        let _request = talk.request();
        std::thread::sleep(LONG);
        talk.wire.send(OK);
    });
    let world = World::of(&[&backend], HASTY);
    let mut client = world.client();
    client.send("GET / HTTP/1.1\r\nHost: web\r\n\r\n");
    assert_eq!(client.response("GET").map(|response| response.status()), Ok(200));
    assert_eq!(backend.connections(), 1);
}

#[test]
fn one_that_does_not_read_for_long_is_waited_for() {
    const BODY_BYTES: usize = 32 * 1024 * 1024; // more than both sockets hold
    let backend = Backend::start(|talk| {
        let _head = talk.head();
        std::thread::sleep(LONG);
        if talk.wire.bytes(BODY_BYTES).is_ok() {
            talk.wire.send(OK);
        }
    });
    let world = World::of(&[&backend], HASTY);
    let mut client = world.client();
    client.send(format!("PUT / HTTP/1.1\r\nHost: web\r\nContent-Length: {BODY_BYTES}\r\n\r\n"));
    client.send(vec![b'x'; BODY_BYTES]);
    assert_eq!(client.response("PUT").map(|response| response.status()), Ok(200));
    assert_eq!(backend.connections(), 1);
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
