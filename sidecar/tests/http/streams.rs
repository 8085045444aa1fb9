//! What a client of HTTP/2 is told, and what it may not say.

use std::io::Write as _;
use std::sync::Arc;

use h2::Reason;
use hyper::{HeaderMap, Request};
use tokio::sync::Semaphore;

use super::backend::Backend;
use super::http2::{Does, Frames, connect, speaks_http2};
use super::world::World;

/// Asks as a gRPC client: the text of the answer and its trailers, or the code of a reset.
async fn call(world: &World) -> (String, Result<Option<HeaderMap>, Option<Reason>>) {
    let mut client = connect(world).await;
    let request = Request::post("http://web/pkg.Service/Method")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .expect("a request");
    let (response, _) = client.send_request(request, true).expect("a request that h2 sends");
    let mut body = response.await.expect("a head").into_body();
    let mut text = String::new();
    while let Some(data) = body.data().await {
        match data {
            Ok(data) => text += &String::from_utf8_lossy(&data),
            Err(error) => return (text, Err(error.reason())),
        }
    }
    (text, body.trailers().await.map_err(|error| error.reason()))
}

fn status(trailers: &Result<Option<HeaderMap>, Option<Reason>>) -> Option<&str> {
    trailers.as_ref().ok()?.as_ref()?.get("grpc-status")?.to_str().ok()
}

/// Begins an answer, and then does `ends` with its connection.
fn breaking(ends: fn(&mut Frames<'_>, u32)) -> Backend {
    Backend::start(move |talk| {
        let mut frames = Frames::begin(talk);
        while let Some(stream) = frames.request() {
            frames.head(stream, &[(":status", "200"), ("content-type", "application/grpc")], false);
            frames.data(stream, b"message", false);
            ends(&mut frames, stream);
        }
    })
}

#[tokio::test]
async fn a_call_whose_endpoint_goes_away_in_the_midst_ends_as_unavailable() {
    let endings: [fn(&mut Frames<'_>, u32); 2] = [
        |frames, _| frames.ends(),
        |frames, stream| {
            frames.go_away(stream);
            frames.ends();
        },
    ];
    for ends in endings {
        let backend = breaking(ends);
        let world = World::at("grpc", &[backend.address()], &[]);
        let (text, ended) = call(&world).await;
        assert_eq!((&*text, status(&ended)), ("message", Some("14")), "{ended:?}");
        world.records(&["UB"]);
    }
}

#[tokio::test]
async fn a_call_that_takes_too_long_ends_as_that() {
    let backend = breaking(|_, _| std::thread::sleep(std::time::Duration::from_secs(5)));
    let world = World::at("grpc", &[backend.address()], &["--request-timeout", "300ms"]);
    let (text, ended) = call(&world).await;
    assert_eq!((&*text, status(&ended)), ("message", Some("4")), "{ended:?}");
}

#[tokio::test]
async fn a_call_whose_endpoint_resets_it_ends_as_its_record_says() {
    let endings: [fn(&mut Frames<'_>, u32); 4] = [
        |frames, stream| frames.reset(stream, Reason::NO_ERROR),
        |frames, stream| frames.reset(stream, Reason::INTERNAL_ERROR),
        |frames, stream| frames.reset(stream, Reason::REFUSED_STREAM),
        |frames, stream| frames.reset(stream, Reason::CANCEL),
    ];
    for ends in endings {
        let backend = breaking(ends);
        let world = World::at("grpc", &[backend.address()], &[]);
        let (text, ended) = call(&world).await;
        assert_eq!((&*text, status(&ended)), ("message", Some("14")), "{ended:?}");
        let record = &world.logged(1)[0];
        assert_eq!((&record["response.grpc_status"], &record["failure.code"]), (&14.into(), &"UB".into()));
    }
}

#[tokio::test]
async fn early_hints_reach_a_client_of_http2_from_endpoints_of_both_versions() {
    let http1 = Backend::answering(
        "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nConnection: keep-alive\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    );
    let http2 = Backend::start(|talk| {
        let mut frames = Frames::begin(talk);
        while let Some(stream) = frames.request() {
            frames.head(stream, &[(":status", "103"), ("link", "</a.css>")], false);
            frames.head(stream, &[(":status", "200")], true);
        }
    });
    for (protocol, backend) in [("http", http1), ("kubernetes.io/h2c", http2)] {
        let app_protocol = if protocol == "http" { "http" } else { "grpc" };
        let world = World::at(app_protocol, &[backend.address()], &[]);
        let mut client = connect(&world).await;
        let request = Request::get("http://web/").body(()).expect("a request");
        let (mut response, _) = client.send_request(request, true).expect("a request that h2 sends");
        let told = std::future::poll_fn(|cx| response.poll_informational(cx)).await;
        let told = told.expect("an interim answer comes first").expect("it is well-formed");
        assert_eq!((told.status().as_u16(), told.headers()["link"].to_str().unwrap()), (103, "</a.css>"));
        assert_eq!(response.await.expect("the answer").status(), 200, "{protocol}");
    }
}

#[test]
fn what_the_specification_calls_malformed_resets_its_stream_and_is_recorded() {
    let head = |changed: (&'static str, &'static str)| {
        let mut head = vec![(":method", "GET"), (":scheme", "http"), (":authority", "web"), (":path", "/")];
        match head.iter_mut().find(|(name, _)| *name == changed.0) {
            Some(field) => *field = changed,
            None => head.push(changed),
        }
        head
    };
    let backend = Backend::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    for changed in [
        ("a", " b"),
        ("a", "b "),
        ("a", "\tb"),
        ("a", "b\t"),
        ("a", " "),
        (":path", "a"),
        (":path", "*"),
        (":path", "http://web/"),
        (":path", ""),
        (":scheme", ""),
        ("connection", "close"),
    ] {
        let world = World::of(&[&backend], &[]);
        let mut wire = world.client();
        let mut frames = Frames::of_client(&mut wire);
        frames.ask(&head(changed), "", &[]);
        assert_eq!(frames.end_of_stream(1), Err(Some(u32::from(Reason::PROTOCOL_ERROR))), "{changed:?}");
        world.records(&["CR"]);
    }
    assert_eq!(backend.take_requests().len(), 0);
}

#[test]
fn a_request_whose_body_breaks_its_promise_behind_its_head_has_one_record() {
    let backend = Backend::start(|talk| while talk.wire.bytes(1).is_ok() {});
    for length in ["10", "3", "0"] {
        let head = [
            (":method", "POST"),
            (":scheme", "http"),
            (":authority", "web"),
            (":path", "/"),
            ("content-length", length),
        ];
        let world = World::of(&[&backend], &[]);
        let mut wire = world.client();
        let mut frames = Frames::of_client(&mut wire);
        frames.ask(&head, "hello", &[]);
        assert_eq!(frames.end_of_stream(1), Err(Some(u32::from(Reason::PROTOCOL_ERROR))), "{length}");
        let first = world.logged(1);
        world.client().send("GET /behind it\r\n\r\n");
        let records = world.logged(2);
        assert_eq!(records.len(), 2, "{length}: {records:?}");
        assert_eq!(first[0]["request.method"], "POST", "{first:?}");
    }
}

#[test]
fn pseudo_headers_in_trailers_reach_no_endpoint() {
    let head = [(":method", "POST"), (":scheme", "http"), (":authority", "web"), (":path", "/")];
    let cases = [
        ([(":path", "/other"), ("a", "b")], Ok(())),
        ([("a", "b"), (":path", "/other")], Err(Some(u32::from(Reason::PROTOCOL_ERROR)))),
    ];
    for (trailers, ended) in cases {
        let backend = Backend::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        let world = World::of(&[&backend], &[]);
        let mut wire = world.client();
        let mut frames = Frames::of_client(&mut wire);
        frames.ask(&head, "body", &trailers);
        assert_eq!(frames.end_of_stream(1), ended, "{trailers:?}");
        let seen = format!("{:?}", backend.take_requests());
        assert!(!seen.contains("/other"), "{seen}");
    }
}

#[test]
fn a_hundred_and_fifty_fields_are_no_malformed_request() {
    let backend = Backend::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let world = World::of(&[&backend], &[]);
    let mut wire = world.client();
    let mut frames = Frames::of_client(&mut wire);
    let mut head = vec![(":method", "GET"), (":scheme", "http"), (":authority", "web"), (":path", "/")];
    head.extend([("a", "b"); 150]);
    frames.ask(&head, "", &[]);
    assert!(frames.is_answered_with_200());
}

#[test]
fn a_head_that_is_too_large_is_recorded_as_that() {
    let backend = Backend::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let world = World::of(&[&backend], &[]);
    let mut wire = world.client();
    let mut frames = Frames::of_client(&mut wire);
    let mut head = vec![(":method", "GET"), (":scheme", "http"), (":authority", "web"), (":path", "/")];
    head.extend([("a", "b"); 4000]); // 34 bytes each (RFC 9113 §6.5.2): even more than can be refused by us
    frames.head(1, &head, true);
    assert!(!frames.is_answered_with_200());
    world.records(&["CB"]);
    world.counts("svcmesh_floods_total{kind=\"long-head\"} 1");
}

#[test]
fn pings_that_were_not_sent_are_not_acknowledged_for_ever() {
    let backend = Backend::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let world = World::of(&[&backend], &[]);
    let mut wire = world.client();
    let mut frames = Frames::of_client(&mut wire);
    for _ in 0..2_000 {
        frames.acknowledge_ping();
    }
    assert_eq!(frames.end_of_stream(1), Err(None), "GOAWAY, or the end");
    world.counts("svcmesh_floods_total{kind=\"frames\"} 1");
}

#[test]
fn control_frames_of_a_client_that_reads_nothing_end_its_connection() {
    let backend = Backend::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let mut world = World::of(&[&backend], &[]);
    // PING, SETTINGS, PRIORITY, WINDOW_UPDATE of a byte (RFC 9113 §6).
    let floods: [&[u8]; 4] = [
        &[0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8],
        &[0, 0, 0, 4, 0, 0, 0, 0, 0],
        &[0, 0, 5, 2, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1],
        &[0, 0, 4, 8, 0, 0, 0, 0, 0, 0, 0, 0, 1],
    ];
    for (count, flood) in (1..).zip(floods) {
        let mut socket = world.socket();
        socket
            .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
            .expect("it is open");
        let _as_far_as_it_goes = socket.write_all(&flood.repeat(2_000));
        world.counts(&format!("svcmesh_floods_total{{kind=\"frames\"}} {count}"));
    }
    assert!(world.rss_kib() < 64 * 1024);
    // An acknowledgement of SETTINGS that nobody sent is no flood but a mistake.
    let mut wire = world.client();
    wire.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    wire.send([&[0, 0, 0, 4, 0, 0, 0, 0, 0][..], &[0, 0, 0, 4, 1, 0, 0, 0, 0].repeat(3)].concat());
    let _until_the_end = wire.rest();
    world.records(&["CF", "CF", "CF", "CF", "CR"]);
}

#[test]
fn small_messages_are_no_flood_however_many_wait_for_their_endpoint() {
    let may_read = Arc::new(Semaphore::new(0));
    let backend = Backend::start({
        let may_read = may_read.clone();
        move |talk| speaks_http2(talk, 100, |_, _| Does::Wait(may_read.clone()))
    });
    let world = World::at("grpc", &[backend.address()], &[]);
    let mut wire = world.client();
    let mut frames = Frames::of_client(&mut wire);
    let head = [(":method", "POST"), (":scheme", "http"), (":authority", "web"), (":path", "/")];
    let streams = [1, 3, 5, 7, 9, 11, 13, 15];
    streams.iter().for_each(|stream| frames.head(*stream, &head, false));
    frames.ping();
    assert_eq!(frames.request(), None, "the answer to the ping comes after the windows");
    // Messages of gRPC without content, as many as a window takes.
    let (message, count) = (&[0; 5], 64 * 1024 / 5);
    streams.iter().for_each(|stream| frames.parts(*stream, message, count));
    frames.ping();
    assert_eq!(frames.request(), None, "the answer to the ping is there, or the end");
    streams.iter().for_each(|stream| frames.data(*stream, b"", true));
    may_read.add_permits(streams.len());
    assert!(frames.are_answered(streams.len()));
    let taken = backend.take_requests();
    assert!(taken.iter().all(|request| request.body.len() == count * message.len()));
    assert_eq!(taken.len(), streams.len());
}

#[test]
fn small_messages_that_nobody_wants_any_more_are_no_flood() {
    let backend = Backend::start(|talk| {
        if talk.head().is_ok() {
            talk.wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
        }
    });
    let world = World::of(&[&backend], &[]);
    let mut wire = world.client();
    let mut frames = Frames::of_client(&mut wire);
    let head = [(":method", "POST"), (":scheme", "http"), (":authority", "web"), (":path", "/")];
    for stream in (1..).step_by(2).take(60) {
        frames.head(stream, &head, false);
        assert_eq!(frames.end_of_stream(stream), Ok(()));
        frames.parts(stream, &[0; 5], 100); // they were on their way
    }
}

#[test]
fn a_body_that_its_endpoint_does_not_read_stops_no_other_stream() {
    let backend = Backend::start(|talk| {
        let Ok(head) = talk.head() else { return };
        if head.start.contains("stuck") {
            std::thread::sleep(std::time::Duration::from_secs(20));
        }
        talk.wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
    });
    let world = World::of(&[&backend], &[]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut client = connect(&world).await;
        let mut stuck = Vec::new();
        for _ in 0..40 {
            let request = Request::post("http://web/stuck").body(()).expect("a request");
            let (response, mut sender) =
                client.send_request(request, false).expect("a request that h2 sends");
            sender.send_data(vec![0; 4 << 20].into(), false).expect("h2 queues it");
            stuck.push((response, sender));
        }
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        let request = Request::get("http://web/free").body(()).expect("a request");
        let (response, _) = client.send_request(request, true).expect("a request that h2 sends");
        let answered = tokio::time::timeout(std::time::Duration::from_secs(8), response).await;
        assert_eq!(answered.expect("in time").expect("a response").status(), 200);
    });
}
