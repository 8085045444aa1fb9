//! HTTP/2 on either side, and between the versions.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use hyper::header::{COOKIE, HOST};
use hyper::{Request, Response};
use tokio::sync::Barrier;
use tokio::time::timeout;

use super::backend::Backend;
use super::support::until;
use super::wire::Message;
use super::world::World;
use crate::http2::{Does, answer_of, connect, goes_away, speaks_http2};

#[tokio::test]
async fn an_http2_client_reaches_an_http1_endpoint() {
    let backend = Backend::answering(OK);
    let world = World::at("http", &[backend.address()], &[]);
    let mut client = connect(&world).await;
    let request =
        Request::get("http://web/a?b").header(COOKIE, "a=1").header(COOKIE, "b=2").header("te", "trailers");
    let (response, body, _) = ask(&mut client, request.body(()).unwrap()).await;
    assert_eq!((response.status().as_u16(), body.as_str()), (200, "ok"));
    let seen: Vec<String> = backend.take_requests().iter().map(Message::to_string).collect();
    assert_eq!(seen, ["GET /a?b | cookie: a=1; b=2"], "RFC 9113 §8.2.3: a cookie in one line");
}

#[tokio::test]
async fn an_http1_client_reaches_an_http2_endpoint() {
    let backend = Backend::start(|talk| speaks_http2(talk, 100, |_, _| Does::Answer));
    let world = World::at("kubernetes.io/h2c", &[backend.address()], &[]);
    let mut client = world.client();
    client.send("POST /a HTTP/1.1\r\nHost: web\r\nContent-Length: 5\r\nTE: trailers\r\nConnection: x\r\nX: 1\r\n\r\nhello");
    let response = client.response("POST").expect("it is answered").to_string();
    assert!(response.starts_with("HTTP/1.1 200 OK") && response.contains("| ok"), "{response}");
    let seen: Vec<String> = backend.take_requests().iter().map(Message::to_string).collect();
    assert_eq!(seen, ["POST http://web/a | content-length: 5 | te: trailers | hello"], "RFC 9113 §8.2.2");
}

#[tokio::test]
async fn trailers_pass_from_end_to_end() {
    let backend = Backend::start(|talk| speaks_http2(talk, 100, |_, _| Does::Answer));
    let world = World::at("grpc", &[backend.address()], &[]);
    let (_, body, status) = ask(&mut connect(&world).await, get()).await;
    assert_eq!((body.as_str(), status.as_deref()), ("ok", Some("0")));
}

#[tokio::test]
async fn a_request_is_for_one_host_in_http2_too() {
    let backend = Backend::answering(OK);
    let world = World::of(&[&backend], &[]);
    let mut client = connect(&world).await;
    for host in ["other", "we b", "user@web"] {
        let request = Request::get("http://web/").header(HOST, host).body(()).unwrap();
        let (response, _, _) = ask(&mut client, request).await;
        assert_eq!(response.status(), 400, "RFC 9113 §8.3.1: {host}");
    }
    assert_eq!(backend.connections(), 0);
}

#[tokio::test]
async fn a_grpc_client_is_told_of_a_failure_in_its_own_words() {
    let world = World::at("grpc", &[], &[]);
    let request =
        Request::post("http://web/a.B/C").header("content-type", "application/grpc").body(()).unwrap();
    let (response, body, _) = ask(&mut connect(&world).await, request).await;
    let status = response.headers().get("grpc-status").map(|status| status.as_bytes().to_owned());
    assert_eq!((response.status().as_u16(), status, body.as_str()), (200, Some(b"14".to_vec()), ""));
}

#[tokio::test]
async fn a_stream_that_an_endpoint_refused_is_sent_again() {
    let backend = Backend::start(|talk| {
        speaks_http2(talk, 100, |connection, stream| match (connection, stream) {
            (0, 0) => Does::Refuse,
            (_, _) => Does::Answer,
        });
    });
    let world = World::at("grpc", &[backend.address()], &[]);
    let (response, _, _) = ask(&mut connect(&world).await, post()).await;
    assert_eq!(response.status(), 200, "RFC 9113 §8.7: not processed, so safe for a POST");
    world.counts("svcmesh_retries_total{reason=\"US\"} 1");
}

#[tokio::test]
async fn a_stream_above_the_last_of_a_goaway_is_sent_again() {
    let backend = Backend::start(|talk| match talk.number {
        0 => goes_away(talk),
        _ => speaks_http2(talk, 100, |_, _| Does::Answer),
    });
    let world = World::at("grpc", &[backend.address()], &[]);
    let (response, _, _) = ask(&mut connect(&world).await, post()).await;
    assert_eq!(response.status(), 200, "RFC 9113 §6.8: not processed");
}

#[tokio::test]
async fn an_endpoint_that_allows_one_stream_gets_a_second_connection() {
    let both = Arc::new(Barrier::new(2)); // each is answered once both have arrived
    let backend = Backend::start(move |talk| {
        let both = both.clone();
        speaks_http2(talk, 1, move |_, _| Does::Meet(both.clone()));
    });
    let world = World::at("grpc", &[backend.address()], &[]);
    let (mut first, mut second) = (connect(&world).await, connect(&world).await);
    let first = tokio::spawn(async move { ask(&mut first, get()).await.0.status() });
    tokio::task::spawn_blocking({
        let backend = backend.requests();
        move || until("the first arrives", || (backend() == 1).then_some(()))
    })
    .await
    .expect("it does");
    assert_eq!(ask(&mut second, get()).await.0.status(), 200);
    assert_eq!(first.await.expect("no panic"), 200);
    assert_eq!(backend.connections(), 2);
}

/// Asks, for at most ten seconds: the response, its body and its `grpc-status`.
async fn ask(
    client: &mut SendRequest<Bytes>,
    request: Request<()>,
) -> (Response<()>, String, Option<String>) {
    timeout(Duration::from_secs(10), answer_of(client, request)).await.expect("it is answered in time")
}

fn get() -> Request<()> {
    Request::get("http://web/").body(()).expect("a request")
}

fn post() -> Request<()> {
    Request::post("http://web/").body(()).expect("a request")
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
