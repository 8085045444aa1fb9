//! Answers of HTTP/2 endpoints, whole and cut: who reads one must never take the one for the other.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use h2::client::SendRequest;
use hyper::Request;
use tokio::net::TcpStream;

use super::backend::Backend;
use super::http2::Does;
use super::http2::{Frames, connect, heard, speaks_http2};
use super::support::{until, within};
use super::wire::{Broken, Wire};
use super::world::World;

/// How an endpoint breaks off.
#[derive(Clone, Copy, Debug)]
enum Cut {
    Reset(Reason),
    /// It says that this was its last stream, and is gone.
    GoesAway,
    /// Its connection ends.
    Leaves,
}

const CUTS: [Cut; 5] = [
    Cut::Reset(Reason::NO_ERROR),
    Cut::Reset(Reason::CANCEL),
    Cut::Reset(Reason::INTERNAL_ERROR),
    Cut::GoesAway,
    Cut::Leaves,
];

/// An endpoint that answers with `head` and `parts`, and breaks off.
fn cutting(head: &'static [(&str, &str)], parts: &'static [&str], cut: Cut) -> Backend {
    Backend::start(move |talk| {
        let mut frames = Frames::begin(talk);
        while let Some(stream) = frames.request() {
            frames.head(stream, head, false);
            parts.iter().for_each(|part| frames.data(stream, part.as_bytes(), false));
            match cut {
                Cut::Reset(reason) => frames.reset(stream, reason),
                Cut::GoesAway => return frames.go_away(stream),
                Cut::Leaves => return,
            }
        }
    })
}

const HEADS: [&[(&str, &str)]; 2] = [&[(":status", "200")], &[(":status", "200"), ("content-length", "8")]];

#[test]
fn an_http1_client_never_takes_an_answer_for_whole_that_was_cut() {
    for head in HEADS {
        for parts in [&[][..], &["1234"], &["1234", "5678"]] {
            for cut in CUTS {
                let is_whole_by_length = head.len() == 2 && parts.len() == 2;
                let backend = cutting(head, parts, cut);
                let world = World::at("grpc", &[backend.address()], &[]);
                let mut client = world.client();
                client.send(GET);
                let response = client.response("GET");
                if !is_whole_by_length {
                    world.records(&["UB"]);
                }
                // RFC 9112 §6.3: so many bytes and it is whole, whatever happens to the stream afterwards.
                match response {
                    Err(Broken::Truncated(_)) => assert!(!is_whole_by_length),
                    Ok(ref whole) if is_whole_by_length => assert_eq!(whole.body, "12345678"),
                    Ok(_) | Err(_) => panic!("{head:?} {parts:?} {cut:?}: {response:?}"),
                }
            }
        }
    }
}

#[tokio::test]
async fn an_http2_client_hears_of_a_reset_when_an_answer_was_cut() {
    for head in HEADS {
        for parts in [&[][..], &["1234"], &["1234", "5678"]] {
            for cut in CUTS {
                let backend = cutting(head, parts, cut);
                let world = World::at("grpc", &[backend.address()], &[]);
                let mut client = connect(&world).await;
                let (response, _) = client.send_request(get(), true).expect("it is open");
                let (text, ended) = heard(response.await.expect("a head").into_body()).await;
                assert_eq!(text, parts.concat(), "{head:?} {cut:?}");
                assert!(
                    matches!(ended, Err(Some(reason)) if reason != Reason::NO_ERROR),
                    "{ended:?} {cut:?}"
                );
                world.records(&["UB"]);
            }
        }
    }
}

#[test]
fn an_answer_that_is_whole_arrives_whole_although_its_endpoint_wants_no_more_of_the_request() {
    for leaves in [false, true] {
        for trailers in [false, true] {
            let backend = Backend::start(move |talk| {
                let mut frames = Frames::begin(talk);
                while let Some(stream) = frames.request() {
                    frames.head(stream, &[(":status", "413")], false);
                    frames.data(stream, b"too much", !trailers);
                    if trailers {
                        frames.head(stream, &[("grpc-status", "8")], true);
                    }
                    if leaves {
                        return;
                    }
                    frames.reset(stream, Reason::NO_ERROR);
                }
            });
            let world = World::at("grpc", &[backend.address()], &[]);
            let mut client = world.client();
            client.send("POST / HTTP/1.1\r\nHost: web\r\nContent-Length: 1000\r\n\r\nbegin");
            let response = client.response("POST").expect("it is whole");
            assert_eq!((response.status(), &*response.body), (413, "too much"));
            drop(client);
            world.records(&["-"]);
        }
    }
}

#[test]
fn an_endpoint_hears_cancel_when_its_client_is_lost() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let backend = Backend::start({
        let heard = heard.clone();
        move |talk| {
            let mut frames = Frames::begin(talk);
            while let Some(stream) = frames.request() {
                frames.head(stream, &[(":status", "200")], false);
                frames.data(stream, b"begin", false);
                heard.lock().unwrap().push(frames.reset_of(stream));
            }
        }
    });
    let world = World::at("grpc", &[backend.address()], &[]);
    let sized = "POST / HTTP/1.1\r\nHost: web\r\nContent-Length: 1000\r\n\r\nbegin";
    let chunked = "POST / HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegin\r\n";
    for (index, sent) in [GET, sized, chunked].into_iter().enumerate() {
        let mut client = world.client();
        client.send(sent);
        assert_eq!(client.head().expect("a head").status(), 200);
        client.ends_with_reset(); // a FIN alone could be all of a request
        drop(client);
        until("the endpoint has heard of it", || (heard.lock().unwrap().len() > index).then_some(()));
    }
    assert_eq!(*heard.lock().unwrap(), [Some(Reason::CANCEL); 3]);
    world.records(&["CA", "CA", "CA"]);
}

#[test]
fn interim_answers_are_no_answers() {
    let backend = Backend::start(|talk| {
        let mut frames = Frames::begin(talk);
        while let Some(stream) = frames.request() {
            frames.head(stream, &[(":status", "103"), ("link", "</style.css>; rel=preload")], false);
            frames.head(stream, &[(":status", "102")], false);
            frames.head(stream, &[(":status", "200"), ("content-length", "2")], false);
            frames.data(stream, b"ok", true);
        }
    });
    let world = World::at("grpc", &[backend.address()], &[]);
    let mut client = world.client();
    client.send(GET);
    loop {
        let response = client.response("GET").expect("an answer");
        if response.status() >= 200 {
            assert_eq!((response.status(), &*response.body), (200, "ok"));
            break;
        }
    }
}

#[tokio::test]
async fn an_answer_that_can_have_no_body_is_whole_with_its_head() {
    for (method, status) in [("HEAD", "200"), ("GET", "204"), ("GET", "304")] {
        for (late, data) in [(false, ""), (true, ""), (true, "ok")] {
            let (heard, hears) = channel();
            let heard = Mutex::new(heard);
            let backend = Backend::start(move |talk| {
                let mut frames = Frames::begin(talk);
                while let Some(stream) = frames.request() {
                    frames.head(stream, &[(":status", status)], false);
                    if late {
                        std::thread::sleep(Duration::from_millis(50));
                    }
                    frames.data(stream, data.as_bytes(), true);
                    frames.ping(); // its answer comes behind a reset, if there is one
                    let reset = frames.reset_of(stream);
                    if reset.is_some() {
                        assert_eq!(frames.reset_of(stream), None);
                    }
                    let _ = heard.lock().unwrap().send(reset);
                }
            });
            let world = World::at("grpc", &[backend.address()], &[]);
            let mut client = world.client();
            client.send(format!("{method} / HTTP/1.1\r\nHost: web\r\n\r\n"));
            let response = client.response(method).expect("it is whole");
            assert_eq!((response.status().to_string(), &*response.body), (status.to_owned(), ""));
            world.records(&["-"]);
            let reset = hears.recv_timeout(Duration::from_secs(5)).expect("the endpoint hears the ping");
            if data.is_empty() {
                assert_eq!(reset, None, "{method} {status} {late}");
            }
            let mut client = connect(&world).await;
            let request = Request::builder().method(method).uri("http://web/").body(()).expect("a request");
            let (response, _) = client.send_request(request, true).expect("it is open");
            let response = response.await.expect("a head").into_body();
            assert!(response.is_end_stream(), "{method} {status}: END_STREAM comes with the head");
            world.records(&["-", "-"]);
        }
    }
}

#[test]
fn a_stream_whose_answer_is_whole_and_that_does_not_end_is_given_up() {
    let (heard, hears) = channel();
    let heard = Mutex::new(heard);
    let backend = Backend::start(move |talk| {
        let mut frames = Frames::begin(talk);
        while let Some(stream) = frames.request() {
            frames.head(stream, &[(":status", "204")], false);
            let _ = heard.lock().unwrap().send(frames.reset_of(stream));
        }
    });
    let world = World::at("grpc", &[backend.address()], &[]);
    let mut client = world.client();
    client.send(GET);
    assert_eq!(client.response("GET").map(|response| response.status()), Ok(204));
    let reset = hears.recv_timeout(Duration::from_secs(5)).expect("the endpoint hears of it");
    assert_eq!(reset, Some(Reason::CANCEL));
    world.records(&["-"]);
}

#[tokio::test]
async fn the_length_of_what_can_have_none_is_not_passed_on() {
    let http1 = Backend::answering("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n");
    let http2 = Backend::start(|talk| {
        let mut frames = Frames::begin(talk);
        while let Some(stream) = frames.request() {
            frames.head(stream, &[(":status", "204"), ("content-length", "0")], true);
        }
    });
    for (app_protocol, backend) in [("http", http1), ("grpc", http2)] {
        let world = World::at(app_protocol, &[backend.address()], &[]);
        let mut client = connect(&world).await;
        let (response, _) = client.send_request(get(), true).expect("it is open");
        let response = response.await.expect("an answer");
        let length = response.headers().get("content-length");
        assert_eq!((response.status().as_u16(), length), (204, None), "{app_protocol}");
    }
}

#[tokio::test]
async fn the_length_of_an_interim_answer_is_not_passed_on() {
    let backend = Backend::answering(
        "HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    );
    let world = World::at("http", &[backend.address()], &[]);
    let mut client = connect(&world).await;
    let (mut response, _) = client.send_request(get(), true).expect("it is open");
    let told = std::future::poll_fn(|cx| response.poll_informational(cx)).await;
    let told = told.expect("an interim answer comes first").expect("it is well-formed");
    assert_eq!((told.status().as_u16(), told.headers().get("content-length")), (103, None));
    assert_eq!(response.await.expect("the answer").status(), 200);
}

#[tokio::test]
async fn trailers_with_space_around_a_value_do_not_end_an_answer() {
    let backend = Backend::start(|talk| {
        let mut frames = Frames::begin(talk);
        while let Some(stream) = frames.request() {
            frames.head(stream, &[(":status", "200")], false);
            frames.data(stream, b"part", false);
            frames.head(stream, &[("x-a", " b")], true);
        }
    });
    let world = World::at("grpc", &[backend.address()], &[]);
    let mut client = connect(&world).await;
    let (response, _) = client.send_request(get(), true).expect("it is open");
    let (text, ended) = heard(response.await.expect("a head").into_body()).await;
    assert_eq!(text, "part");
    assert_eq!(ended, Err(Some(Reason::INTERNAL_ERROR)));
    world.records(&["UB"]);
}

#[test]
fn an_http2_endpoint_is_asked_whether_it_wants_a_body() {
    let backend = Backend::start(|talk| {
        let mut frames = Frames::begin(talk);
        while let Some(stream) = frames.request() {
            frames.head(stream, &[(":status", "100")], false);
            let (body, _) = frames.body().expect("it was asked for");
            frames.head(stream, &[(":status", "200")], false);
            frames.data(stream, &body, true);
        }
    });
    let world = World::at("grpc", &[backend.address()], &[]);
    let mut client = world.client();
    client.send("POST / HTTP/1.1\r\nHost: web\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    assert_eq!(client.response("POST").expect("it is wanted").status(), 100);
    client.send("hello");
    let response = client.response("POST").expect("it is answered");
    assert_eq!((response.status(), &*response.body), (200, "hello"));
}

#[test]
fn idle_connections_are_closed_where_dns_is_no_source() {
    let (closed, count) = (Arc::new(AtomicUsize::new(0)), 5);
    let backend = Backend::start({
        let closed = closed.clone();
        move |talk| {
            talk.request().expect("each connection has one");
            talk.wire.send("HTTP/1.1 200 OK\r\nKeep-Alive: timeout=2\r\nContent-Length: 2\r\n\r\nok");
            talk.wire.rest();
            closed.fetch_add(1, Relaxed);
        }
    });
    let world = World::at("http", &[backend.address()], &["--discovery", "manifests"]);
    let mut clients: Vec<Wire> = (0..count).map(|_| world.client()).collect();
    clients.iter_mut().for_each(|client| client.send(GET));
    assert!(clients.iter_mut().all(|client| client.response("GET").is_ok()));
    within(Duration::from_secs(5), "all are closed", || {
        (closed.load(Relaxed) >= backend.connections()).then_some(())
    });
}

/// The code in the log, and what the client is told, of an answer that begins so.
fn refused(says: impl Fn(&mut Frames<'_>, u32) + Send + Sync + 'static) -> (String, String) {
    let backend = Backend::start(move |talk| {
        let mut frames = Frames::begin(talk);
        while let Some(stream) = frames.request() {
            says(&mut frames, stream);
        }
    });
    let world = World::at("grpc", &[backend.address()], &[]);
    let mut client = world.client();
    client.send("POST / HTTP/1.1\r\nHost: web\r\nContent-Length: 0\r\n\r\n");
    let response = client.response("POST").expect("an answer of our own");
    assert_eq!(response.status(), 502);
    let told = response.header("proxy-status").unwrap_or_default();
    let counted = ["UP", "UQ", "UZ", "UH", "US"].map(|code| {
        let count: u64 = world
            .measured(&format!("svcmesh_failures_total{{service=\"default/web\",code=\"{code}\""))
            .iter()
            .sum();
        (code, count)
    });
    let code = counted.iter().find(|(_, count)| *count > 0).map_or("none", |(code, _)| code);
    (code.to_owned(), told)
}

#[test]
fn answers_that_are_malformed_or_too_large_are_told_as_such() {
    let large = || vec![(":status", "200"), ("x-large", &*"x".repeat(70_000).leak())];
    let many = || {
        let field = |number: usize| (&*format!("x-{number}").leak(), "x");
        std::iter::once((":status", "200")).chain((0..300).map(field)).collect::<Vec<_>>()
    };
    let larger = || {
        let field = |number: usize| (&*format!("x-{number}").leak(), &*"x".repeat(60_000).leak());
        std::iter::once((":status", "200")).chain((0..30).map(field)).collect::<Vec<_>>()
    };
    for (why, head, code, error) in [
        ("no status", vec![("x-a", "b")], "UP", "http_protocol_error"),
        ("belongs to HTTP/1", vec![(":status", "200"), ("connection", "close")], "UP", "http_protocol_error"),
        ("upper case", vec![(":status", "200"), ("X-A", "b")], "UQ", "http_protocol_error"),
        (
            "two lengths",
            vec![(":status", "200"), ("content-length", "1"), ("content-length", "2")],
            "UP",
            "http_protocol_error",
        ),
        ("no length", vec![(":status", "200"), ("content-length", "x")], "UP", "http_protocol_error"),
        ("space before a value", vec![(":status", "200"), ("x-a", " b")], "UP", "http_protocol_error"),
        ("space behind a value", vec![(":status", "200"), ("x-a", "b\t")], "UP", "http_protocol_error"),
        ("70 kB", large(), "UZ", "http_response_header_section_size"),
        ("300 fields", many(), "UZ", "http_response_header_section_size"),
        ("1.8 MB", larger(), "UZ", "http_response_header_section_size"),
    ] {
        let (found, told) = refused(move |frames, stream| frames.head(stream, &head, true));
        assert_eq!(found, code, "{why}: {told}");
        assert!(told.contains(error), "{why}: {told}");
    }
    for interim in [&[(":status", "101")][..], &[(":status", "103"), ("link", " </a>")]] {
        let (code, told) = refused(move |frames, stream| {
            frames.head(stream, interim, false);
            frames.head(stream, &[(":status", "200")], true);
        });
        assert_eq!(code, "UP", "{interim:?}: {told}");
    }
    let (code, told) = refused(|frames, stream| frames.data(stream, b"no head", true));
    assert_eq!(code, "UQ", "{told}");
    assert!(told.contains("the endpoint broke the rules of HTTP/2"), "{told}");
}

#[test]
fn an_endpoint_that_speaks_http1_where_http2_is_expected_is_told_as_such() {
    let backend = Backend::start(|talk| {
        let _preface = talk.wire.bytes(24);
        talk.wire.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        talk.wire.rest();
    });
    let world = World::at("grpc", &[backend.address()], &[]);
    let mut client = world.client();
    client.send("POST / HTTP/1.1\r\nHost: web\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(client.response("POST").expect("an answer of our own").status(), 502);
    world.records(&["UQ"]);
}

#[test]
fn a_length_that_is_said_twice_is_passed_on_once() {
    let backend = Backend::start(|talk| {
        let mut frames = Frames::begin(talk);
        while let Some(stream) = frames.request() {
            frames.head(
                stream,
                &[(":status", "200"), ("content-length", "2"), ("content-length", "2")],
                false,
            );
            frames.data(stream, b"ok", true);
        }
    });
    let world = World::at("grpc", &[backend.address()], &[]);
    let mut client = world.client();
    client.send(GET);
    let response = client.response("GET").expect("it is whole");
    assert_eq!((response.header("content-length"), &*response.body), (Some("2".into()), "ok"));
}

#[test]
fn two_hundred_fields_of_an_answer_arrive() {
    let backend = Backend::start(|talk| {
        let mut frames = Frames::begin(talk);
        while let Some(stream) = frames.request() {
            let names: Vec<String> = (0..200).map(|number| format!("x-{number}")).collect();
            let fields = names.iter().map(|name| (&**name, "x"));
            let head: Vec<_> = std::iter::once((":status", "204")).chain(fields).collect();
            frames.head(stream, &head, true);
        }
    });
    let world = World::at("grpc", &[backend.address()], &[]);
    let mut client = world.client();
    client.send(GET);
    let response = client.response("GET").expect("it is whole");
    let fields = response.headers.iter().filter(|(name, _)| name.starts_with("x-")).count();
    assert_eq!((response.status(), fields), (204, 200));
}

/// Asks for a large answer, and reads nothing of it but a head, if any.
fn stalls_over_http1(world: &World) -> Wire {
    let mut client = world.client();
    client.send("GET /large HTTP/1.1\r\nHost: web\r\n\r\n");
    client
}

#[tokio::test]
async fn clients_that_do_not_read_keep_nothing_from_others() {
    for part in [10, 1_000, 16_000] {
        let backend = Backend::start(move |talk| {
            speaks_http2(talk, 1000, move |_, _| Does::Pour { part });
        });
        let world = World::at("grpc", &[backend.address()], &[]);
        let stalled: Vec<Wire> = (0..16).map(|_| stalls_over_http1(&world)).collect();
        let mut streams = Vec::new();
        let mut client = connect_for_small_frames(&world).await;
        for _ in 0..16 {
            let request = Request::get("http://web/large").body(()).expect("a request");
            streams.push(client.send_request(request, true).expect("it is open").0.await.expect("a head"));
        }
        tokio::time::sleep(Duration::from_millis(500)).await; // their windows fill
        let mut another = connect_for_small_frames(&world).await;
        for _ in 0..20 {
            let request = Request::get("http://web/small").body(()).expect("a request");
            let answer = async {
                let response =
                    another.send_request(request, true).expect("it is open").0.await.expect("a head");
                heard(response.into_body()).await
            };
            let answer = tokio::time::timeout(Duration::from_secs(5), answer).await;
            let (text, ended) = answer.expect("nobody stops it");
            assert_eq!((text.len(), ended), (SMALL_BYTES, Ok(None)), "{part}");
        }
        drop((stalled, streams));
    }
}

/// A client that does not mind how many frames there are.
async fn connect_for_small_frames(world: &World) -> SendRequest<Bytes> {
    let socket = TcpStream::from_std(world.client().socket()).expect("a socket that does not block");
    let mut builder = h2::client::Builder::new();
    let handshake = builder.data_frame_budget(usize::MAX).handshake(socket);
    let (client, connection) = handshake.await.expect("the sidecar speaks HTTP/2");
    tokio::spawn(connection);
    client
}

/// Of an answer that a client reads.
const SMALL_BYTES: usize = 300_000;

fn get() -> Request<()> {
    Request::get("http://web/").body(()).expect("a request")
}

const GET: &str = "GET / HTTP/1.1\r\nHost: web\r\n\r\n";

#[test]
fn equal_lengths_of_http1_endpoints_are_passed_on_once_and_unequal_ones_refused() {
    for (lengths, expected) in [
        ("Content-Length: 2, 2\r\n", Some("2")),
        ("Content-Length: 2\r\nContent-Length: 2\r\n", Some("2")),
        ("Content-Length: 2,2,  2\r\nContent-Length: 2\r\n", Some("2")),
        ("Content-Length: 2, 3\r\n", None),
        ("Content-Length: 2\r\nContent-Length: 3\r\n", None),
        ("Content-Length: 2,\r\n", None),
    ] {
        for method in ["GET", "HEAD"] {
            let backend = Backend::start(move |talk| {
                while talk.request().is_ok() {
                    let body = if method == "HEAD" { "" } else { "ok" };
                    talk.wire.send(format!("HTTP/1.1 200 OK\r\n{lengths}\r\n{body}"));
                }
            });
            let world = World::at("http", &[backend.address()], &[]);
            let mut client = world.client();
            client.send(format!("{method} / HTTP/1.1\r\nHost: web\r\n\r\n"));
            let response = client.response(method).expect("an answer");
            match expected {
                Some(length) => assert_eq!(response.header("content-length").as_deref(), Some(length)),
                None => assert_eq!(response.status(), 502, "{lengths:?} {method}"),
            }
        }
    }
}
