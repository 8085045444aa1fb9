//! Connections of HTTP/2 that last: what each of their streams may do does not end them because many have done it. Who does nothing else is
//! cut off.

use std::sync::Arc;

use h2::Reason;
use tokio::sync::Semaphore;

use super::backend::Backend;
use super::http2::{Burst, Does, Frames, speaks_http2};
use super::world::World;

const GET: [(&str, &str); 4] =
    [(":method", "GET"), (":scheme", "http"), (":authority", "web"), (":path", "/")];
const POST: [(&str, &str); 4] =
    [(":method", "POST"), (":scheme", "http"), (":authority", "web"), (":path", "/")];

/// More than h2 counts in the life of a connection (1,024).
const MANY: usize = 1_200;

/// Streams of a client, from `first` on.
fn streams(first: u32) -> impl Iterator<Item = u32> {
    (first..).step_by(2)
}

/// An endpoint that answers at the head, and reads no body.
fn answers_early() -> Backend {
    Backend::start(|talk| {
        if talk.head().is_ok() {
            talk.wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
        }
    })
}

#[test]
fn uploads_that_are_answered_early_end_no_connection_however_many_there_are() {
    let backend = answers_early();
    let world = World::of(&[&backend], &[]);
    let mut wire = world.client();
    let mut frames = Frames::of_client(&mut wire);
    for stream in streams(1).take(MANY) {
        frames.head(stream, &POST, false);
        assert_eq!(frames.end_of_stream(stream), Ok(()), "{stream}");
        frames.parts(stream, &[0; 1000], 4); // they were on their way
    }
}

#[test]
fn trailers_on_their_way_to_streams_that_were_answered_end_no_connection() {
    let backend = answers_early();
    let world = World::of(&[&backend], &[]);
    let mut wire = world.client();
    let mut frames = Frames::of_client(&mut wire);
    let uploads: Vec<u32> = streams(1).take(100).collect();
    uploads.iter().for_each(|stream| frames.head(*stream, &POST, false));
    assert!(frames.are_reset(uploads.len()));
    uploads.iter().for_each(|stream| frames.head(*stream, &[("a", "b")], true));
    frames.head(201, &POST, true);
    assert_eq!(frames.end_of_stream(201), Ok(()));
}

#[test]
fn what_is_on_its_way_to_many_streams_that_were_answered_waits_for_a_client_that_reads() {
    let backend = answers_early();
    let world = World::of(&[&backend], &[]);
    let mut wire = world.client();
    let mut frames = Frames::of_client(&mut wire);
    for stream in streams(1).take(2 * MANY) {
        frames.head(stream, &POST, false);
        assert_eq!(frames.end_of_stream(stream), Ok(()), "{stream}");
    }
    let late: Vec<_> = streams(1).take(2 * MANY).map(|stream| (stream, Burst::Data(b"late"))).collect();
    frames.burst(&late); // more than are seen to at once
    frames.burst(&late);
    let next = 4 * MANY as u32 + 1;
    frames.head(next, &POST, true);
    assert_eq!(frames.end_of_stream(next), Ok(()));
}

#[test]
fn streams_beyond_the_limit_are_refused_and_end_no_connection() {
    let may = Arc::new(Semaphore::new(0));
    let backend = Backend::start({
        let may = may.clone();
        move |talk| speaks_http2(talk, 1000, |_, _| Does::Wait(may.clone()))
    });
    let world = World::at("grpc", &[backend.address()], &[]);
    let mut wire = world.client();
    let mut frames = Frames::of_client(&mut wire);
    let open: Vec<u32> = streams(1).take(128).collect();
    open.iter().for_each(|stream| frames.head(*stream, &GET, true));
    for stream in streams(257).take(MANY) {
        frames.head(stream, &GET, true);
        assert_eq!(frames.end_of_stream(stream), Err(Some(u32::from(Reason::REFUSED_STREAM))), "{stream}");
    }
    may.add_permits(open.len());
    assert!(frames.are_answered(open.len()));
}

#[test]
fn many_calls_that_are_given_up_at_once_end_no_connection() {
    let backend = Backend::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let world = World::of(&[&backend], &[]);
    let mut wire = world.client();
    let mut frames = Frames::of_client(&mut wire);
    let streams: Vec<u32> = streams(1).take(128).collect();
    let begin = streams.iter().map(|stream| (*stream, Burst::Head(&GET)));
    let give_up = streams.iter().map(|stream| (*stream, Burst::Reset(Reason::CANCEL)));
    frames.burst(&begin.chain(give_up).collect::<Vec<_>>());
    frames.head(257, &GET, true);
    assert_eq!(frames.end_of_stream(257), Ok(()));
}

#[test]
fn frames_without_a_byte_between_the_parts_of_a_body_end_no_connection() {
    let backend = Backend::start(|talk| speaks_http2(talk, 100, |_, _| Does::Answer));
    let world = World::at("grpc", &[backend.address()], &[]);
    let mut wire = world.client();
    let mut frames = Frames::of_client(&mut wire);
    frames.head(1, &POST, false);
    let parts: Vec<_> = [(1, Burst::Data(b"")), (1, Burst::Data(b"m"))].repeat(MANY);
    frames.burst(&parts);
    frames.data(1, b"", true);
    assert!(frames.are_answered(1));
    assert_eq!(backend.take_requests()[0].body.len(), MANY);
}

#[test]
fn frames_without_a_byte_in_answers_end_no_connection_to_an_endpoint() {
    let backend = Backend::start(|talk| {
        let mut frames = Frames::begin(talk);
        while let Some(stream) = frames.request() {
            frames.head(stream, &[(":status", "200")], false);
            frames.burst(&[(stream, Burst::Data(b"")), (stream, Burst::Data(b"m"))].repeat(MANY));
            frames.data(stream, b"", true);
        }
    });
    let world = World::at("grpc", &[backend.address()], &[]);
    let mut client = world.client();
    client.send("GET / HTTP/1.1\r\nHost: web\r\n\r\n");
    let answer = client.response("GET").expect("an answer");
    assert_eq!(answer.body.len(), MANY);
}

#[test]
fn answers_that_nobody_waits_for_any_more_end_no_connection_to_an_endpoint() {
    let backend = Backend::start(|talk| {
        let mut frames = Frames::begin(talk);
        while let Some((stream, is_reset)) = frames.head_or_reset() {
            if is_reset {
                frames.head(stream, &[(":status", "200")], false); // it was on its way
                frames.data(stream, b"late", false);
                frames.head(stream, &[("grpc-status", "0")], true);
            } else if frames.ends_at_once() {
                frames.answer(stream);
            }
        }
    });
    let world = World::at("grpc", &[backend.address()], &[]);
    for _ in 0..MANY / 200 {
        let mut wire = world.client();
        let mut frames = Frames::of_client(&mut wire);
        let ask = |frames: &mut Frames<'_>, stream| {
            frames.head(stream, &GET, true);
            assert_eq!(frames.end_of_stream(stream), Ok(()));
        };
        ask(&mut frames, 1);
        for stream in streams(3).take(200) {
            frames.head(stream, &POST, false);
            frames.ping();
            assert_eq!(frames.request(), None, "the answer to the ping");
            frames.reset(stream, Reason::CANCEL);
        }
        ask(&mut frames, 403);
    }
    assert_eq!(backend.connections(), 1);
}

#[test]
fn streams_that_a_client_makes_us_reset_are_counted_as_those_that_it_resets() {
    // CVE-2025-8671: the windows overflow, and what an endpoint does for each goes on.
    let backend = Backend::start(|talk| speaks_http2(talk, 1000, |_, _| Does::Stall));
    let world = World::at("grpc", &[backend.address()], &[]);
    let mut wire = world.client();
    let mut frames = Frames::of_client(&mut wire);
    let mut next = streams(1);
    let ended = (0..100).find(|_| {
        let streams: Vec<u32> = next.by_ref().take(100).collect();
        let make_reset = |&stream| [(stream, Burst::Head(&GET)), (stream, Burst::Update(i32::MAX as u32))];
        frames.burst(&streams.iter().flat_map(make_reset).collect::<Vec<_>>());
        frames.end_of_stream(streams[99]) == Err(None)
    });
    assert!(ended.is_some_and(|hundreds| hundreds >= 2), "{ended:?}");
    world.counts("svcmesh_floods_total{kind=\"resets\"} 1");
}
