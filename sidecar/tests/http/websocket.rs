//! WebSocket over HTTP/2 (RFC 8441), in front of an endpoint that knows it as an upgrade of HTTP/1.1 (RFC 6455).

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use bytes::Bytes;
use h2::ext::Protocol;
use h2::{Reason, RecvStream, SendStream};
use hyper::{Method, Request, Response};
use tokio::time::{sleep, timeout};

use super::backend::Backend;
use super::support::enter_own_network;
use super::wire::{Ending, Message};
use super::world::World;
use crate::http2::{Frames, connect};

/// Switches, says something at once, answers what it hears in capitals, and has a last word when the client ends.
fn shouting() -> Backend {
    Backend::start(|talk| {
        let Ok(_request) = talk.request() else { return };
        talk.wire.send(format!("{SWITCHING}\r\n\r\nwelcome "));
        while let Ok(letter) = talk.wire.text(1) {
            talk.wire.send(letter.to_uppercase());
        }
        talk.wire.send(" bye");
    })
}

#[tokio::test]
async fn bytes_pass_both_ways_until_both_sides_have_ended() {
    let backend = shouting();
    let world = World::of(&[&backend], &[]);
    let (response, mut sender) = ask(&world, "websocket").await;
    assert_eq!(response.status(), 200);
    let names: Vec<&str> = response.headers().keys().map(|name| name.as_str()).collect();
    assert_eq!(names, ["sec-websocket-protocol"], "RFC 8441 §5: no sec-websocket-accept");
    let mut body = response.into_body();
    assert_eq!(text(&mut body, 8).await, "welcome ");
    for letters in ["ab", "c"] {
        send(&mut sender, letters, false);
        assert_eq!(text(&mut body, letters.len()).await, letters.to_uppercase());
    }
    send(&mut sender, "d", true); // this half alone: the endpoint goes on
    assert_eq!(rest(&mut body).await, Ok("D bye".to_owned()));
    world.records(&["-"]);
}

#[tokio::test]
async fn the_endpoint_is_asked_as_by_an_http1_client() {
    let backend = shouting();
    let world = World::of(&[&backend], &[]);
    let _streams = (ask(&world, "websocket").await, ask(&world, "WebSocket").await);
    let mut keys = Vec::new();
    for mut request in backend.take_requests() {
        keys.extend(request.header("sec-websocket-key"));
        assert!(request.header("forwarded").is_some());
        request.headers.retain(|(name, _)| name != "sec-websocket-key");
        assert_eq!(
            Message::to_string(&request),
            "GET /chat?a | connection: upgrade | sec-websocket-extensions: x | sec-websocket-protocol: talk \
             | sec-websocket-version: 13 | upgrade: websocket"
        );
    }
    assert!(keys.iter().all(|key| key.len() == 24 && key != "the client's"), "{keys:?}");
    assert!(keys.len() == 2 && keys[0] != keys[1], "RFC 6455 §4.1: each at random: {keys:?}");
}

#[tokio::test]
async fn an_endpoint_that_closes_ends_the_stream() {
    let backend = Backend::start(|talk| {
        let _request = talk.request();
        talk.wire.send(format!("{SWITCHING}\r\n\r\nbye"));
        talk.wire.finish();
        talk.wire.rest();
    });
    let world = World::of(&[&backend], &[]);
    let (response, mut sender) = ask(&world, "websocket").await;
    assert_eq!(rest(&mut response.into_body()).await, Ok("bye".to_owned()));
    send(&mut sender, "", true);
    tokio::task::yield_now().await; // to the task that writes it: what follows lets none run
    world.records(&["-"]);
}

#[tokio::test]
async fn a_client_that_resets_the_stream_is_recorded_as_gone() {
    let backend = shouting();
    let world = World::of(&[&backend], &[]);
    let (response, mut sender) = ask(&world, "websocket").await;
    assert_eq!(text(&mut response.into_body(), 8).await, "welcome ");
    sender.send_reset(Reason::CANCEL); // RFC 8441 §5: as a connection that is reset
    tokio::task::yield_now().await; // to the task that writes it: what follows lets none run
    world.records(&["CA"]);
}

#[tokio::test]
async fn a_stream_that_says_nothing_for_the_idle_time_ends() {
    let backend = shouting();
    let world = World::of(&[&backend], &["--idle-timeout", "http=0,tcp=300ms"]);
    let (response, _sender) = ask(&world, "websocket").await;
    let mut body = response.into_body();
    assert_eq!(text(&mut body, 8).await, "welcome ");
    assert!(rest(&mut body).await.is_err(), "neither side has said that this is all");
    world.records(&["CI"]);
}

/// What an endpoint hears that says `welcome`, and how it ends.
fn listening() -> (Backend, Receiver<(String, Ending)>) {
    let (tell, told) = channel();
    let tell = Mutex::new(tell);
    let backend = Backend::start(move |talk| {
        let Ok(_request) = talk.request() else { return };
        talk.wire.send(format!("{SWITCHING}\r\n\r\nwelcome "));
        let heard = talk.wire.until_it_ends();
        tell.lock().expect("nobody panics with it").send(heard).expect("the test waits for it");
    });
    (backend, told)
}

#[tokio::test]
async fn a_client_that_resets_the_stream_resets_the_endpoints_connection_whatever_the_code() {
    for code in [Reason::NO_ERROR, Reason::CANCEL, Reason::INTERNAL_ERROR] {
        let (backend, told) = listening();
        let world = World::of(&[&backend], &[]);
        let (response, mut sender) = ask(&world, "websocket").await;
        assert_eq!(text(&mut response.into_body(), 8).await, "welcome ");
        send(&mut sender, "part", false);
        sleep(Duration::from_millis(50)).await; // the endpoint has it
        sender.send_reset(code);
        tokio::task::yield_now().await; // to the task that writes it: what follows lets none run
        let (_, ending) = told.recv().expect("it ends");
        assert_eq!(ending, Ending::Reset, "{code:?}");
        world.records(&["CA"]);
    }
}

#[tokio::test]
async fn a_client_that_goes_away_resets_the_endpoints_connection() {
    let (backend, told) = listening();
    let world = World::of(&[&backend], &[]);
    let mut wire = world.client();
    let mut frames = Frames::of_client(&mut wire);
    frames.open(
        &[
            (":method", "CONNECT"),
            (":protocol", "websocket"),
            (":scheme", "http"),
            (":authority", "web"),
            (":path", "/"),
        ],
        "",
    );
    assert!(frames.is_answered_with_200());
    drop(wire);
    assert_eq!(told.recv().map(|(_, ending)| ending), Ok(Ending::Reset));
    world.records(&["CA"]);
}

#[tokio::test]
async fn an_endpoint_that_resets_its_connection_resets_the_stream() {
    let backend = Backend::start(|talk| {
        let Ok(_request) = talk.request() else { return };
        talk.wire.send(format!("{SWITCHING}\r\n\r\nwelcome "));
        let _ = talk.wire.text(4);
        talk.wire.ends_with_reset();
    });
    let world = World::of(&[&backend], &[]);
    let (response, mut sender) = ask(&world, "websocket").await;
    let mut body = response.into_body();
    assert_eq!(text(&mut body, 8).await, "welcome ");
    send(&mut sender, "part", false);
    let ended = timeout(PATIENCE, body.data()).await.expect("it ends in time");
    let error = ended.expect("END_STREAM would say that this was all").expect_err("nothing more was said");
    assert_eq!(error.reason(), Some(Reason::CANCEL), "RFC 8441 §5");
    world.records(&["UB"]);
}

#[tokio::test]
async fn an_endpoint_that_declines_is_heard() {
    let backend = Backend::answering("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
    let world = World::of(&[&backend], &[]);
    let (response, _sender) = ask(&world, "websocket").await;
    assert_eq!(response.status(), 403);
    assert_eq!(rest(&mut response.into_body()).await, Ok("no".to_owned()));
    world.records(&["-"]);
}

#[tokio::test]
async fn what_is_no_websocket_until_it_endspoint_is_none_to_the_client() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\n",
    ] {
        let backend = Backend::answering(answer);
        let world = World::of(&[&backend], &[]);
        let (response, _sender) = ask(&world, "websocket").await;
        assert_eq!(response.status(), 502, "{answer}");
        world.records(&["UP"]);
    }
}

#[tokio::test]
async fn another_protocol_is_refused() {
    let backend = shouting();
    let world = World::of(&[&backend], &[]);
    let (response, _sender) = ask(&world, "connect-udp").await;
    assert_eq!(response.status(), 501, "RFC 9110 §15.6.2");
    assert_eq!(backend.connections(), 0);
    world.records(&["CU"]);
}

#[tokio::test]
async fn an_endpoint_that_refuses_is_passed_over() {
    enter_own_network();
    let (gone, backend) = (std::net::TcpListener::bind("127.0.0.1:0").unwrap(), shouting());
    let closed = gone.local_addr().unwrap();
    drop(gone);
    let world = World::at("http", &[closed, backend.address()], &[]);
    for _ in 0..2 {
        let (response, _sender) = ask(&world, "websocket").await;
        assert_eq!(response.status(), 200);
    }
}

/// Asks for a stream in another protocol, on a connection of its own.
async fn ask(world: &World, protocol: &'static str) -> (Response<RecvStream>, SendStream<Bytes>) {
    let asking = async {
        let mut client = connect(world).await;
        while !client.is_extended_connect_protocol_enabled() {
            sleep(Duration::from_millis(1)).await; // RFC 8441 §3: not before the SETTINGS say so
        }
        let request = Request::builder()
            .method(Method::CONNECT)
            .uri("http://web/chat?a")
            .extension(Protocol::from_static(protocol))
            .header("sec-websocket-key", "the client's")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-protocol", "talk")
            .header("sec-websocket-extensions", "x")
            .body(())
            .expect("a request");
        let (response, sender) = client.send_request(request, false).expect("a request that h2 sends");
        (response.await.expect("a response"), sender)
    };
    timeout(PATIENCE, asking).await.expect("it is answered in time")
}

fn send(sender: &mut SendStream<Bytes>, text: &'static str, ends: bool) {
    sender.send_data(Bytes::from_static(text.as_bytes()), ends).expect("the stream is open");
}

/// At least so many bytes.
async fn text(body: &mut RecvStream, bytes: usize) -> String {
    let mut heard = Vec::new();
    while heard.len() < bytes {
        let data = timeout(PATIENCE, body.data()).await.expect("it comes in time");
        heard.extend(data.expect("the stream goes on").expect("the stream is open"));
    }
    String::from_utf8_lossy(&heard).into_owned()
}

/// All that still comes, if the stream ends as it should.
async fn rest(body: &mut RecvStream) -> Result<String, String> {
    let mut heard = Vec::new();
    while let Some(data) = timeout(PATIENCE, body.data()).await.expect("it ends in time") {
        heard.extend(data.map_err(|error| error.to_string())?);
    }
    Ok(String::from_utf8_lossy(&heard).into_owned())
}

/// Longer than anything here takes, short enough to fail by.
const PATIENCE: Duration = Duration::from_secs(8);

const SWITCHING: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Accept: x\r\nSec-WebSocket-Protocol: talk";
