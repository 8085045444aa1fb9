//! A Service whose application is an HTTP proxy: what it is asked for elsewhere, it is asked for as it was.

use super::backend::Backend;
use super::table::{OK, texts};
use super::wire::Message;
use super::world::World;

/// A proxy: opens a tunnel that answers in capitals, or says what it was asked for.
fn proxy() -> Backend {
    Backend::start(|talk| {
        while let Ok(request) = talk.request() {
            if !request.start.starts_with("CONNECT") {
                talk.wire.send(OK);
                continue;
            }
            if request.header("proxy-authorization").is_none() {
                talk.wire.send("HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"a\"\r\nContent-Length: 2\r\n\r\nno");
                continue;
            }
            talk.wire.send("HTTP/1.1 200 Connection established\r\n\r\nhello");
            while let Ok(letter) = talk.wire.text(1) {
                talk.wire.send(letter.to_uppercase());
            }
        }
    })
}

#[test]
fn a_request_for_elsewhere_goes_on_as_it_came() {
    let backend = proxy();
    let world = World::of(&[&backend], &[]);
    let mut client = world.client();
    client.send("GET http://example.com:81/a?b HTTP/1.1\r\nHost: example.com:81\r\nProxy-Authorization: Basic YTpi\r\n\r\n");
    assert_eq!(client.response("GET").map(|response| response.status()), Ok(200));
    assert_eq!(
        texts(&backend),
        ["GET http://example.com:81/a?b | host: example.com:81 | proxy-authorization: Basic YTpi"]
    );
}

#[test]
fn a_tunnel_to_elsewhere_goes_through_the_service() {
    let backend = proxy();
    let world = World::of(&[&backend], &[]);
    let mut client = world.client();
    client.send("CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\nProxy-Authorization: Basic YTpi\r\n\r\nearly");
    let head = client.head().expect("CONNECT is answered");
    assert_eq!(
        (head.status(), head.header("content-length"), head.header("transfer-encoding")),
        (200, None, None)
    );
    assert_eq!(client.text(10).as_deref(), Ok("helloEARLY"));
    client.finish();
    assert!(client.is_closed());
    let seen: Vec<String> = texts(&backend);
    assert_eq!(seen, ["CONNECT example.com:443 | host: example.com:443 | proxy-authorization: Basic YTpi"]);
    world.records(&["-"]);
}

#[test]
fn a_tunnel_that_is_refused_is_an_answer_and_the_last() {
    let backend = proxy();
    let world = World::of(&[&backend], &[]);
    let mut client = world.client();
    client.send("CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: web\r\n\r\n");
    let response = client.response("GET").expect("an answer");
    assert_eq!((response.status(), &*response.body), (407, "no"));
    assert_eq!(response.header("proxy-authenticate").as_deref(), Some("Basic realm=\"a\""));
    assert!(client.is_closed());
    assert_eq!(backend.take_requests().len(), 1);
}

#[test]
fn who_answers_connect_like_any_other_request_gets_no_tunnel() {
    let backend = Backend::answering(OK);
    let world = World::of(&[&backend], &[]);
    let mut client = world.client();
    client.send("CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: web\r\n\r\n");
    assert_eq!(client.response("GET").map(|response| response.status()), Ok(502));
    assert!(client.is_closed());
    let seen: Vec<String> = backend.take_requests().iter().map(Message::to_string).collect();
    assert_eq!(seen, ["CONNECT example.com:443 | host: example.com:443"]);
}

#[test]
fn the_forward_proxy_asks_a_service_for_what_it_has() {
    let backend = proxy();
    let world = World::of(&[&backend], &[]);
    let mut client = world.proxy_client();
    client.send(
        "GET http://web:8080/a?b HTTP/1.1\r\nHost: web:8080\r\nProxy-Authorization: Basic YTpi\r\n\r\n",
    );
    assert_eq!(client.response("GET").map(|response| response.status()), Ok(200));
    client.send("OPTIONS http://web:8080 HTTP/1.1\r\nHost: web:8080\r\n\r\n");
    assert_eq!(client.response("OPTIONS").map(|response| response.status()), Ok(200));
    assert_eq!(texts(&backend), ["GET /a?b | host: web:8080", "OPTIONS * | host: web:8080"]);
}
