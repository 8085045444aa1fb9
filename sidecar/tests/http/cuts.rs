//! Messages over HTTP/2 that are cut: only END_STREAM ends one (RFC 9113 §8.1), so that nobody takes a part for the whole.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::thread::sleep as pause;
use std::time::Duration;

use h2::Reason;

use super::backend::Backend;
use super::http2::Frames;
use super::wire::{Broken, Message};
use super::world::World;

/// What a client may say instead of END_STREAM.
const CODES: [Reason; 5] =
    [Reason::NO_ERROR, Reason::CANCEL, Reason::INTERNAL_ERROR, Reason::REFUSED_STREAM, Reason::STREAM_CLOSED];

type Read = Result<Message, Broken>;

/// An HTTP/1 endpoint, that it has something of a request, and what it makes of it. It says `answer` when it has the head.
fn recording(answer: &'static str) -> (Backend, Receiver<()>, Receiver<Read>) {
    let ((begin, begun), (tell, told)) = (channel(), channel());
    let (begin, tell) = (Mutex::new(begin), Mutex::new(tell));
    let backend = Backend::start(move |talk| {
        if talk.wire.peek().is_empty() {
            return;
        }
        let _unless_nobody_waits = begin.lock().expect("nobody panics with it").send(());
        talk.wire.send(answer);
        let read = talk.wire.request();
        tell.lock().expect("nobody panics with it").send(read).expect("the test waits for it");
    });
    (backend, begun, told)
}

/// The head of a request with a body, of a length or of none.
fn head(length: Option<&'static str>) -> Vec<(&'static str, &'static str)> {
    let mut head = vec![(":method", "POST"), (":scheme", "http"), (":authority", "web"), (":path", "/")];
    head.extend(length.map(|length| ("content-length", length)));
    head
}

fn is_cut(read: &Read) -> bool {
    matches!(read, Err(Broken::Truncated(_) | Broken::Closed))
}

#[test]
fn a_request_that_its_client_resets_is_never_complete_whatever_the_code() {
    for code in CODES {
        for length in [None, Some("10"), Some("4")] {
            let (backend, begun, told) = recording("");
            let world = World::of(&[&backend], &[]);
            let mut wire = world.client();
            let mut frames = Frames::of_client(&mut wire);
            frames.open(&head(length), "part");
            begun.recv().expect("the endpoint is connected to");
            frames.reset(1, code);
            let read = told.recv().expect("the endpoint reads until the end");
            assert!(is_cut(&read), "{code:?} {length:?}: {read:?}");
            world.records(&["CA"]);
        }
    }
}

#[test]
fn a_request_that_promises_nothing_and_has_not_ended_is_not_complete() {
    for code in CODES {
        let (backend, begun, told) = recording("");
        let world = World::of(&[&backend], &[]);
        let mut wire = world.client();
        let mut frames = Frames::of_client(&mut wire);
        frames.open(&head(Some("0")), "");
        begun.recv().expect("the endpoint is connected to");
        frames.reset(1, code);
        let read = told.recv().expect("the endpoint reads until the end");
        assert!(is_cut(&read), "{code:?}: {read:?}");
        world.records(&["CA"]);
    }
}

#[test]
fn a_reset_right_behind_the_data_is_no_end_either() {
    for code in CODES {
        let (backend, _begun, told) = recording("");
        let world = World::of(&[&backend], &[]);
        let mut wire = world.client();
        let mut frames = Frames::of_client(&mut wire);
        frames.open(&head(None), "part");
        frames.reset(1, code);
        world.records(&["CA"]);
        assert!(told.try_iter().all(|read| is_cut(&read)), "{code:?}");
    }
}

#[test]
fn a_request_whose_answer_has_begun_is_cut_as_well() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf";
    for code in CODES {
        let (backend, _begun, told) = recording(answer);
        let world = World::of(&[&backend], &[]);
        let mut wire = world.client();
        let mut frames = Frames::of_client(&mut wire);
        frames.open(&head(None), "part");
        assert!(frames.is_answered_with_200());
        frames.reset(1, code);
        let read = told.recv().expect("the endpoint reads until the end");
        assert!(is_cut(&read), "{code:?}: {read:?}");
        world.records(&["CA"]);
    }
}

#[test]
fn a_request_whose_connection_is_lost_is_never_complete() {
    for with_reset in [false, true] {
        let (backend, begun, told) = recording("");
        let world = World::of(&[&backend], &[]);
        let mut wire = world.client();
        Frames::of_client(&mut wire).open(&head(None), "part");
        begun.recv().expect("the endpoint is connected to");
        if with_reset {
            wire.ends_with_reset();
        }
        drop(wire);
        let read = told.recv().expect("the endpoint reads until the end");
        assert!(is_cut(&read), "{read:?}");
        world.records(&["CA"]);
    }
}

#[test]
fn more_than_is_kept_for_another_attempt_is_cut_as_well() {
    let (backend, _begun, told) = recording("");
    let world = World::of(&[&backend], &[]);
    let mut wire = world.client();
    let mut frames = Frames::of_client(&mut wire);
    frames.open(&head(None), "");
    for _ in 0..6 {
        frames.data(1, &[b'a'; 10_000], false);
    }
    pause(Duration::from_millis(100)); // and credit for more has come
    for _ in 0..3 {
        frames.data(1, &[b'a'; 10_000], false);
    }
    frames.reset(1, Reason::NO_ERROR);
    let read = told.recv().expect("the endpoint reads until the end");
    assert!(is_cut(&read), "{read:?}");
    world.records(&["CA"]);
}

#[test]
fn an_http2_endpoint_is_told_cancel_of_a_client_that_went_away() {
    for code in CODES {
        let ((begin, begun), (tell, told)) = (channel(), channel());
        let (begin, tell) = (Mutex::new(begin), Mutex::new(tell));
        let backend = Backend::start(move |talk| {
            let mut frames = Frames::begin(talk);
            if frames.request().is_some() {
                begin.lock().expect("nobody panics with it").send(()).expect("the test waits for it");
                let ended = frames.end_of_stream(1);
                tell.lock().expect("nobody panics with it").send(ended).expect("the test waits for it");
            }
        });
        let world = World::at("kubernetes.io/h2c", &[backend.address()], &[]);
        let mut wire = world.client();
        let mut frames = Frames::of_client(&mut wire);
        frames.open(&head(None), "part");
        begun.recv().expect("the endpoint is connected to");
        frames.reset(1, code);
        assert_eq!(told.recv(), Ok(Err(Some(u32::from(Reason::CANCEL)))), "{code:?}");
        world.records(&["CA"]);
    }
}
