//! Where traffic cannot go or may not stay: who is told what.

use super::backend::Backend;
use super::wire::{Broken, Message};
use super::world::{MANIFESTS_ONLY, World};

#[test]
fn a_service_without_endpoints_is_a_503() {
    let world = World::of(&[], &[]);
    refused(&world, 503, "destination_unavailable");
    world.records(&["MN"]);
}

#[test]
fn endpoints_that_all_refuse_are_a_503() {
    let gone = [Backend::answering(OK), Backend::answering(OK)].map(|backend| backend.address());
    let world = World::at("http", &gone, &[]);
    refused(&world, 503, "connection_refused");
    world.records(&["UR"]);
}

fn refused(world: &World, status: u16, error: &str) {
    let mut client = world.client();
    client.send(GET);
    said(&client.response("GET"), status, error);
}

#[test]
fn the_forward_proxy_names_what_it_does_not_know() {
    let backend = Backend::answering(OK);
    let world = World::of(&[&backend], &MANIFESTS_ONLY);
    for (target, status, error) in [
        ("http://nobody/", 502, "destination_not_found"),
        ("http://web.elsewhere/", 502, "destination_not_found"),
        ("http://web:81/", 502, "destination_not_found"),
        ("http://192.0.2.1/", 502, "destination_not_found"),
    ] {
        let mut client = world.proxy_client();
        client.send(format!("GET {target} HTTP/1.1\r\nHost: web:8080\r\n\r\n"));
        said(&client.response("GET"), status, error);
    }
    let mut client = world.proxy_client();
    client.send("GET http://web:8080/a HTTP/1.1\r\nHost: nobody\r\n\r\nGET /b HTTP/1.1\r\nHost: web.default:8080\r\n\r\n");
    for _ in 0..2 {
        assert_eq!(client.response("GET").map(|response| response.status()), Ok(200));
    }
    let seen: Vec<String> = backend.take_requests().iter().map(Message::to_string).collect();
    assert_eq!(seen, ["GET /a | host: web:8080", "GET /b | host: web.default:8080"]);
}

#[test]
fn a_head_that_does_not_end_ends_its_connection() {
    let backend = Backend::answering(OK);
    let world = World::of(&[&backend], &["--header-timeout", "300ms"]);
    for beginning in ["PUT /a?b HTTP/1.1\r\nHost: web\r\nX-Long", "GET /c HT", "P"] {
        let mut client = world.client();
        client.send(beginning);
        assert!(client.is_closed(), "{beginning}");
    }
    world.records(&["CH", "CH", "CH"]);
    let log = world.log();
    let read = |name: &str| log.iter().map(|line| line[name].as_str().unwrap_or("-")).collect::<Vec<_>>();
    assert_eq!(read("request.method"), ["PUT", "GET", "P"], "what could be read is told");
    assert_eq!(read("request.path"), ["/a?b", "/c", ""]);
    assert_eq!(read("request.host"), ["web", "", ""]);
    world.counts("svcmesh_failures_total{service=\"\",code=\"CH\"} 3");
}

#[test]
fn a_connection_that_does_nothing_ends() {
    let backend = Backend::answering(OK);
    let world = World::of(&[&backend], &["--idle-timeout", "300ms"]);
    let mut client = world.client();
    client.send(GET);
    assert_eq!(client.response("GET").map(|response| response.status()), Ok(200));
    assert!(client.is_closed());
    assert!(world.client().is_closed(), "also one that never said anything");
}

#[test]
fn a_service_says_how_long_its_own_connections_may_do_nothing() {
    let backend = Backend::answering(OK);
    for protocol in ["http", "tcp"] {
        let hasty = World::asking("svcmesh.dev/idle-timeout: 300ms", protocol, &[backend.address()], &[]);
        let (mut client, mut proxied) = (hasty.client(), hasty.proxy_client());
        client.send(GET);
        assert_eq!(client.response("GET").map(|response| response.status()), Ok(200), "{protocol}");
        assert!(client.is_closed(), "{protocol}");
        proxied.send("GET http://web:8080/ HTTP/1.1\r\nHost: web:8080\r\n\r\n");
        assert_eq!(
            proxied.response("GET").map(|response| response.status()),
            Ok(200),
            "it is no Service's own"
        );
    }
}

#[test]
fn a_service_may_let_its_own_connections_do_nothing_for_ever() {
    let backend = Backend::answering(OK);
    let flags = ["--idle-timeout", "300ms"];
    let patient = World::asking("svcmesh.dev/idle-timeout: \"0\"", "http", &[backend.address()], &flags);
    let mut client = patient.client();
    assert!(patient.proxy_client().is_closed(), "the flag is for all others");
    client.send(GET);
    assert_eq!(client.response("GET").map(|response| response.status()), Ok(200));
}

#[test]
fn beyond_the_most_connections_more_are_refused() {
    let backend = Backend::answering(OK);
    let world = World::of(&[&backend], &["--max-connections", "1"]);
    let mut first = world.client();
    first.send(GET);
    assert_eq!(first.response("GET").map(|response| response.status()), Ok(200));
    assert!(world.client().is_closed());
    world.counts("svcmesh_failures_total{service=\"\",code=\"ML\"} 1");
    first.send(GET);
    assert_eq!(first.response("GET").map(|response| response.status()), Ok(200));
}

#[test]
fn a_half_closed_connection_delivers_the_rest() {
    let backend = Backend::start(|talk| {
        let text = talk.wire.rest(); // until the client has said all
        talk.wire.send(text.to_uppercase());
    });
    let world = World::at("tcp", &[backend.address()], &[]);
    let mut client = world.client();
    client.send("hello");
    client.finish();
    assert_eq!(client.rest(), "HELLO");
}

#[track_caller]
fn said(response: &Result<Message, Broken>, status: u16, error: &str) {
    let response = response.as_ref().expect("a refusal is an answer");
    assert_eq!(response.status(), status, "{response}");
    let proxy_status = response.header("proxy-status").unwrap_or_default();
    assert!(proxy_status.contains(&format!("error={error};")), "{proxy_status}");
}

const GET: &str = "GET / HTTP/1.1\r\nHost: web\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
