//! Connections that stop being HTTP: upgrades, and CONNECT.

use super::backend::Backend;
use super::wire::{Message, Wire};
use super::world::{MANIFESTS_ONLY, World};

/// Switches, says something at once, and then answers what it hears in capitals.
fn websocket() -> Backend {
    Backend::start(|talk| {
        let Ok(request) = talk.request() else { return };
        let asked = ["connection", "upgrade", "sec-websocket-key"].map(|name| request.header(name));
        assert_eq!(asked, ["upgrade", "websocket", "x"].map(|value| Some(value.to_owned())));
        talk.wire.send(format!("{SWITCHING}\r\n\r\nwelcome"));
        while let Ok(letter) = talk.wire.text(1) {
            talk.wire.send(letter.to_uppercase());
        }
    })
}

#[test]
fn bytes_right_behind_either_head_belong_to_the_tunnel() {
    let backend = websocket();
    let world = World::of(&[&backend], &[]);
    let mut client = world.client();
    client.send(format!("{UPGRADE}early ")); // before the 101
    let response = client.response("GET").expect("an upgrade is answered");
    assert_eq!(
        response.to_string(),
        "HTTP/1.1 101 Switching Protocols | connection: upgrade | upgrade: websocket"
    );
    client.send("late");
    assert_eq!(client.text(17).as_deref(), Ok("welcomeEARLY LATE"));
    client.finish();
    assert!(client.is_closed());
    world.records(&["-"]);
}

/// `kubectl exec` and `docker exec` ask so.
#[test]
fn any_method_may_upgrade_and_its_body_goes_before() {
    let backend = Backend::start(|talk| {
        if talk.request().is_err() {
            return;
        }
        talk.wire
            .send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nwelcome");
        while let Ok(letter) = talk.wire.text(1) {
            talk.wire.send(letter.to_uppercase());
        }
    });
    let world = World::of(&[&backend], &[]);
    for (framing, seen) in [
        ("Content-Length: 0\r\n\r\n", "POST /exec | connection: upgrade | content-length: 0 | upgrade: tcp"),
        (
            "Content-Length: 2\r\n\r\n{}",
            "POST /exec | connection: upgrade | content-length: 2 | upgrade: tcp | {}",
        ),
        (
            "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
            "POST /exec | connection: upgrade | transfer-encoding: chunked | upgrade: tcp | {}",
        ),
    ] {
        let mut client = world.client();
        client.send(format!(
            "POST /exec HTTP/1.1\r\nHost: web\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n{framing}early "
        ));
        assert_eq!(client.response("GET").map(|response| response.status()), Ok(101), "{framing:?}");
        client.send("late");
        assert_eq!(client.text(17).as_deref(), Ok("welcomeEARLY LATE"), "{framing:?}");
        let requests: Vec<String> = backend.take_requests().iter().map(Message::to_string).collect();
        assert_eq!(requests, [seen]);
    }
}

#[test]
fn a_switch_before_the_request_has_ended_is_a_502() {
    let backend = Backend::start(|talk| {
        let _head = talk.head();
        talk.wire.send(format!("{SWITCHING}\r\n\r\n"));
        talk.wire.rest();
    });
    let world = World::of(&[&backend], &[]);
    let mut client = world.client();
    client.send("POST / HTTP/1.1\r\nHost: web\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 9\r\n\r\nhello");
    assert_eq!(client.response("GET").map(|response| response.status()), Ok(502));
}

#[test]
fn a_switch_to_a_protocol_that_was_not_asked_for_is_a_502() {
    for (named, status) in [
        ("", 502),
        ("Upgrade: irc\r\n", 502),
        ("Upgrade: websocket2\r\n", 502),
        ("Upgrade: WebSocket\r\n", 101),
        ("Upgrade: irc, websocket\r\n", 101),
    ] {
        let backend = Backend::start(move |talk| {
            let _request = talk.request();
            talk.wire.send(format!("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n{named}\r\n"));
            talk.wire.rest();
        });
        let world = World::of(&[&backend], &[]);
        let mut client = world.client();
        client.send(UPGRADE);
        assert_eq!(client.response("GET").map(|response| response.status()), Ok(status), "{named:?}");
        client.finish();
        assert!(client.is_closed(), "{named:?}");
        world.records(if status == 502 { &["UP"] } else { &["-"] });
    }
}

#[test]
fn an_upgrade_that_is_declined_is_an_ordinary_exchange() {
    let backend = Backend::answering(OK);
    let world = World::of(&[&backend], &[]);
    let mut client = world.client();
    for request in [UPGRADE, GET] {
        client.send(request);
        assert_eq!(client.response("GET").map(|response| response.body), Ok("ok".to_owned()));
    }
    world.records(&["-", "-"]);
}

#[test]
fn a_switch_that_nobody_asked_for_is_a_failure_and_ends_its_connection() {
    let backend = Backend::start(|talk| {
        while talk.request().is_ok() {
            talk.wire.send(format!("{SWITCHING}\r\n\r\n"));
        }
    });
    let world = World::of(&[&backend], &[]);
    for _ in 0..3 {
        let mut client = world.client();
        client.send(GET);
        assert_eq!(client.response("GET").map(|response| response.status()), Ok(502));
    }
    assert_eq!(backend.connections(), backend.take_requests().len());
}

#[test]
fn an_upgrade_to_http_is_none() {
    let backend = Backend::answering(OK);
    let world = World::of(&[&backend], &[]);
    for lines in [
        "Connection: upgrade\r\nUpgrade: h2c",
        "Connection: upgrade\r\nUpgrade: H2C",
        "Connection: upgrade\r\nUpgrade: websocket, h2c",
        "Connection: upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c",
        "Connection: upgrade\r\nUpgrade: HTTP/2.0",
        "Connection: upgrade\r\nUpgrade: TLS/1.0",
        "Upgrade: websocket",
    ] {
        let mut client = world.client();
        client.send(format!("GET / HTTP/1.1\r\nHost: web\r\n{lines}\r\n\r\n"));
        assert_eq!(client.response("GET").map(|response| response.status()), Ok(200), "{lines}");
        let seen: Vec<String> = backend.take_requests().iter().map(Message::to_string).collect();
        assert_eq!(seen, ["GET /"], "{lines}");
    }
}

#[test]
fn a_switch_that_nobody_asked_for_is_a_502() {
    let backend = Backend::start(|talk| {
        let _request = talk.request();
        talk.wire.send(format!("{SWITCHING}\r\n\r\nGET"));
        talk.wire.rest();
    });
    let world = World::of(&[&backend], &[]);
    let mut client = world.client();
    client.send(GET);
    assert_eq!(client.response("GET").map(|response| response.status()), Ok(502));
    world.records(&["UP"]);
}

#[test]
fn connect_is_a_tunnel_through_the_forward_proxy() {
    let backend = Backend::answering(OK);
    let world = World::of(&[&backend], &[]);
    let mut client = world.proxy_client();
    client.send(format!("{}{GET}", connect("web:8080"))); // no need to wait for the 200
    tunnelled(&mut client);
    assert_eq!(client.response("GET").map(|response| response.body), Ok("ok".to_owned()));
    let requests = backend.take_requests();
    assert_eq!(requests[0].header("x-forwarded-for"), None, "bytes are not ours to read");
}

fn tunnelled(client: &mut Wire) {
    let head = client.head().expect("CONNECT is answered");
    assert_eq!(
        (head.status(), head.header("content-length"), head.header("transfer-encoding")),
        (200, None, None)
    );
}

#[test]
fn connect_elsewhere_is_refused() {
    let backend = Backend::answering(OK);
    let world = World::of(&[&backend], &MANIFESTS_ONLY);
    for (mut client, target, status) in [
        (world.client(), "web:8080", 501),
        (world.proxy_client(), "nobody:80", 502),
        (world.proxy_client(), "web:81", 502),
    ] {
        client.send(connect(target));
        assert_eq!(client.response("GET").map(|response| response.status()), Ok(status), "{target}");
    }
    assert_eq!(backend.connections(), 0);
    world.records(&["CU", "MD", "MP"]);
}

fn connect(target: &str) -> String {
    format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n")
}

const GET: &str = "GET / HTTP/1.1\r\nHost: web\r\n\r\n";
const UPGRADE: &str = "GET /chat HTTP/1.1\r\nHost: web\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n";
const SWITCHING: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
