//! Connections that their endpoint ends while a request is on its way to it: no client hears of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use hyper::Request;

use super::backend::Backend;
use super::http2::{Does, Frames, LAST_POSSIBLE, answer_of, connect, speaks_http2};
use super::support::until;
use super::wire::Wire;
use super::world::World;

#[test]
fn a_connection_is_let_go_of_a_second_before_its_endpoint_does() {
    let backend =
        Backend::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nKeep-Alive: max=9, timeout=2\r\n\r\nok");
    let world = World::of(&[&backend], &[]);
    let mut client = world.client();
    for (idle_ms, connections) in [(300, 1), (1500, 1), (0, 2)] {
        assert_eq!(status(&mut client, GET), 200);
        assert_eq!(backend.connections(), connections);
        assert!(idle_ms == 0 || client.is_quiet_for(Duration::from_millis(idle_ms)));
    }
}

#[test]
fn a_connection_that_would_end_within_a_second_is_not_kept() {
    let backend =
        Backend::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nKeep-Alive: timeout=1\r\n\r\nok");
    check_one_connection_each(&backend);
}

#[test]
fn a_connection_whose_answer_says_close_is_not_used_again() {
    // Nor does it matter that the endpoint leaves it open.
    let backend = Backend::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
    check_one_connection_each(&backend);
}

#[test]
fn a_connection_that_its_endpoint_has_half_closed_is_not_used_again() {
    let backend = Backend::start(|talk| {
        while talk.request().is_ok() {
            talk.wire.send(OK);
            talk.wire.finish();
        }
    });
    check_one_connection_each(&backend);
}

/// Asks three times, a moment apart, over one connection of the client's.
fn check_one_connection_each(backend: &Backend) {
    let world = World::of(&[backend], &[]);
    let mut client = world.client();
    for request in [GET, POST, POST] {
        assert_eq!(status(&mut client, request), 200);
        assert!(client.is_quiet_for(Duration::from_millis(20)));
    }
    assert_eq!(backend.connections(), 3);
    world.records(&["-", "-", "-"]);
    assert_eq!(world.retries(), 0);
}

#[test]
fn connections_that_close_as_they_are_used_fail_no_request_and_repeat_none() {
    let answered = Arc::new(AtomicUsize::new(0));
    let backend = Backend::start({
        let answered = answered.clone();
        move |talk| {
            // Each connection ends a little later, some with a reset.
            for _ in 0..=talk.number % 5 {
                if talk.request().is_err() {
                    return;
                }
                answered.fetch_add(1, Relaxed);
                talk.wire.send(OK);
            }
            if talk.number.is_multiple_of(2) {
                talk.wire.ends_with_reset();
            }
        }
    });
    let world = World::of(&[&backend], &[]);
    let asked = thread::scope(|scope| {
        let clients = [(); 4].map(|()| scope.spawn(|| asks_many(&mut world.client())));
        clients.into_iter().map(|client| client.join().expect("it does not panic")).sum::<usize>()
    });
    assert_eq!(answered.load(Relaxed), asked, "each was acted upon once");
}

fn asks_many(client: &mut Wire) -> usize {
    for _ in 0..100 {
        for request in [GET, POST, POST_HELLO] {
            assert_eq!(status(client, request), 200);
        }
    }
    300
}

#[test]
fn after_a_byte_of_the_answer_a_post_is_not_sent_again() {
    let backend = Backend::start(|talk| {
        let _first = talk.request();
        talk.wire.send(OK);
        let _second = talk.request();
        talk.wire.send("H");
    });
    let world = World::of(&[&backend], &[]);
    let mut client = world.client();
    assert_eq!(status(&mut client, GET), 200);
    assert_eq!(status(&mut client, POST), 502);
    assert_eq!(backend.take_requests().len(), 2);
    world.records(&["-", "UH"]);
}

#[tokio::test]
async fn streams_up_to_the_last_of_a_goaway_end_well_and_those_above_are_sent_again() {
    let backend = Backend::start(|talk| match talk.number {
        0 => {
            let mut frames = Frames::begin(talk);
            let streams = [frames.request(), frames.request()].map(|stream| stream.expect("both go here"));
            // The first is for streams that are on their way, the second knows which were (RFC 9113 §6.8).
            frames.go_away(LAST_POSSIBLE);
            frames.go_away(streams[0]);
            frames.answer(streams[0]);
            while frames.request().is_some() {}
        }
        _ => speaks_http2(talk, 100, |_, _| Does::Answer),
    });
    let world = World::at("grpc", &[backend.address()], &[]);
    let client = connect(&world).await;
    assert_eq!(tokio::join!(ask(&client), ask(&client)), (200, 200));
    assert_eq!(backend.take_requests().len(), 1, "one of them came again");
    world.counts("svcmesh_retries_total{reason=\"US\"} 1");
}

#[tokio::test]
async fn a_shared_connection_that_ended_while_it_was_idle_is_not_used() {
    for goes_away in [true, false] {
        let backend = Backend::start(move |talk| {
            let mut frames = Frames::begin(talk);
            let stream = frames.request().expect("each connection gets one");
            frames.answer(stream);
            if goes_away {
                frames.go_away(stream);
                while frames.request().is_some() {}
            }
        });
        let world = World::at("grpc", &[backend.address()], &[]);
        let client = connect(&world).await;
        for _ in 0..4 {
            assert_eq!(ask(&client).await, 200);
            tokio::time::sleep(Duration::from_millis(20)).await; // as idle as a client between two requests
        }
        assert_eq!((backend.connections(), world.retries()), (4, 0));
    }
}

#[tokio::test]
async fn connections_that_go_away_as_they_are_used_fail_no_stream_and_repeat_none() {
    let answered = Arc::new(AtomicUsize::new(0));
    let backend = Backend::start({
        let answered = answered.clone();
        move |talk| {
            let mut frames = Frames::begin(talk);
            let mut last = 0;
            while let Some(stream) = frames.request() {
                last = stream;
                answered.fetch_add(1, Relaxed); // before anybody can know of it
                frames.answer(stream);
                if stream == 9 {
                    frames.go_away(LAST_POSSIBLE);
                    frames.ping(); // its answer comes after what was on its way
                }
            }
            frames.go_away(last);
        }
    });
    let world = World::at("grpc", &[backend.address()], &[]);
    let client = async || {
        let client = connect(&world).await;
        for _ in 0..100 {
            assert_eq!(ask(&client).await, 200);
        }
    };
    tokio::join!(client(), client(), client(), client());
    assert_eq!(answered.load(Relaxed), 400, "each was acted upon once");
    assert!(backend.connections() > 20);
}

#[tokio::test]
async fn an_endpoint_that_lowers_its_limit_of_streams_gets_another_connection() {
    let (lowered, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let backend = Backend::start({
        let (lowered, answered) = (lowered.clone(), answered.clone());
        move |talk| {
            if talk.number > 0 {
                return speaks_http2(talk, 100, |_, _| Does::Answer);
            }
            let mut frames = Frames::begin(talk);
            let first = frames.request().expect("one was sent");
            frames.limit_streams(1);
            lowered.store(true, Relaxed);
            until("another was answered", || answered.load(Relaxed).then_some(()));
            frames.answer(first);
            while frames.request().is_some() {}
        }
    });
    let world = World::at("grpc", &[backend.address()], &[]);
    let client = connect(&world).await;
    let second = async {
        while !lowered.load(Relaxed) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let status = ask(&client).await;
        answered.store(true, Relaxed);
        status
    };
    assert_eq!(tokio::join!(ask(&client), second), (200, 200));
    assert_eq!(backend.connections(), 2);
}

fn status(client: &mut Wire, request: &str) -> u16 {
    client.send(request);
    client.response("GET").expect("each request is answered").status()
}

/// Sends a POST, and waits no longer for its status than a client would.
async fn ask(client: &SendRequest<Bytes>) -> u16 {
    let request = Request::post("http://web/").body(()).expect("a request");
    let mut client = client.clone();
    let answer = tokio::time::timeout(Duration::from_secs(5), answer_of(&mut client, request));
    answer.await.expect("it is answered").0.status().as_u16()
}

const GET: &str = "GET / HTTP/1.1\r\nHost: web\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nHost: web\r\nContent-Length: 0\r\n\r\n";
const POST_HELLO: &str = "POST / HTTP/1.1\r\nHost: web\r\nContent-Length: 5\r\n\r\nhello";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
