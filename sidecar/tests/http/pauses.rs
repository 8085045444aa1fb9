//! Peers that live, acknowledge and do not read for a while: every byte arrives, whoever it is that pauses and whatever is spoken.
//!
//! A minute and a half with `SVCMESH_TEST_LONG`, longer than anything here waits for a peer that acknowledges nothing.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use hyper::Request;

use super::backend::Backend;
use super::world::World;

/// More than all the sockets on the way hold.
const BYTES: usize = 30 << 20;

/// All of them run at once, on a machine that may have other things to do.
const PATIENCE: Duration = Duration::from_secs(60);

#[expect(clippy::disallowed_methods, reason = "a test is no configuration")]
fn pause() {
    thread::sleep(match std::env::var_os("SVCMESH_TEST_LONG") {
        Some(_) => Duration::from_secs(90),
        None => Duration::from_secs(3),
    });
}

fn sent() -> Vec<u8> {
    (0..BYTES as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

/// Reads to the end after a pause in the middle.
fn read_with_a_pause(mut stream: TcpStream, expected: &[u8]) {
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout above zero is legal");
    let mut heard = vec![0; 1 << 20];
    stream.read_exact(&mut heard).expect("a beginning");
    pause();
    stream.read_to_end(&mut heard).expect("the rest, to its end");
    let body = &heard[heard.len().saturating_sub(expected.len())..];
    assert!(body == expected, "{} bytes of {}", heard.len(), expected.len());
}

/// Writes what somebody is slow to read.
fn write(mut stream: &TcpStream, bytes: &[u8]) {
    stream.set_write_timeout(None).expect("none is legal");
    stream.write_all(bytes).expect("the other side takes it in the end");
}

fn http_head() -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {BYTES}\r\n\r\n").into_bytes()
}

/// Answers a request, or nothing, with all there is.
fn serving(is_http: bool) -> Backend {
    Backend::start(move |talk| {
        if is_http {
            let _asked = talk.request();
            talk.wire.send(http_head());
        }
        talk.wire.send(sent());
    })
}

/// Reads all that is sent, after a pause, and says how much that was.
fn reading(head_bytes: usize) -> Backend {
    Backend::start(move |talk| {
        talk.wire.has_patience(PATIENCE);
        pause();
        let heard = talk.wire.bytes(head_bytes + BYTES).unwrap_or_default();
        let whole = heard.len() == head_bytes + BYTES && heard[head_bytes..] == sent();
        talk.wire.send(format!(
            "HTTP/1.1 200 OK\r\nConnection: close\r\nX-Whole: {whole}\r\nContent-Length: 0\r\n\r\n"
        ));
    })
}

#[test]
fn a_peer_that_pauses_is_waited_for_and_every_byte_arrives() {
    let pauses = [
        ("a client of bytes", client_of_bytes as fn()),
        ("an endpoint of bytes", endpoint_of_bytes),
        ("a client of HTTP/1", client_of_http1),
        ("an endpoint of HTTP/1", endpoint_of_http1),
        ("a client of HTTP/2", client_of_http2),
        ("an endpoint of HTTP/2", endpoint_of_http2),
    ];
    let failed: Vec<_> = thread::scope(|scope| {
        let running = pauses.map(|(who, pauses)| (who, scope.spawn(pauses)));
        running.into_iter().filter_map(|(who, running)| running.join().is_err().then_some(who)).collect()
    });
    assert_eq!(failed, Vec::<&str>::new());
}

fn client_of_bytes() {
    let backend = serving(false);
    let world = World::at("tcp", &[backend.address()], &[]);
    read_with_a_pause(world.socket(), &sent());
}

fn endpoint_of_bytes() {
    let backend = reading(0);
    let world = World::at("tcp", &[backend.address()], &[]);
    let mut client = world.socket();
    write(&client, &sent());
    client.shutdown(Shutdown::Write).expect("the connection is open");
    let mut heard = String::new();
    client.read_to_string(&mut heard).expect("an answer");
    assert!(heard.contains("X-Whole: true"), "{heard}");
}

fn client_of_http1() {
    let backend = serving(true);
    let world = World::of(&[&backend], &[]);
    let client = world.socket();
    write(&client, b"GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n");
    read_with_a_pause(client, &sent());
}

fn endpoint_of_http1() {
    let backend = Backend::start(|talk| {
        let Ok(_head) = talk.head() else { return };
        talk.wire.has_patience(PATIENCE);
        pause();
        let whole = talk.wire.bytes(BYTES).is_ok_and(|heard| heard == sent());
        talk.wire.send(format!("HTTP/1.1 200 OK\r\nX-Whole: {whole}\r\nContent-Length: 0\r\n\r\n"));
    });
    upload_to(&World::of(&[&backend], &[]));
}

/// Sends it all by HTTP/1 to an endpoint that says whether it has it all.
fn upload_to(world: &World) {
    let mut client = world.socket();
    let head =
        format!("POST / HTTP/1.1\r\nHost: web\r\nConnection: close\r\nContent-Length: {BYTES}\r\n\r\n");
    write(&client, head.as_bytes());
    write(&client, &sent());
    let mut heard = String::new();
    client.read_to_string(&mut heard).expect("an answer");
    assert!(heard.to_lowercase().contains("x-whole: true"), "{heard}");
}

/// A window that no transfer here fills: what pauses is the reading of the socket.
const WINDOW: u32 = 1 << 30;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

async fn body(mut body: h2::RecvStream) -> Result<Vec<u8>, h2::Error> {
    let mut heard = Vec::new();
    while let Some(data) = body.data().await {
        let data = data?;
        let _open = body.flow_control().release_capacity(data.len());
        heard.extend_from_slice(&data);
    }
    Ok(heard)
}

fn client_of_http2() {
    let backend = serving(true);
    let world = World::of(&[&backend], &[]);
    let socket = world.socket();
    socket.set_nonblocking(true).expect("a TCP socket");
    runtime().block_on(async {
        let socket = tokio::net::TcpStream::from_std(socket).expect("it does not block");
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(WINDOW).initial_connection_window_size(WINDOW);
        let (mut client, connection) = builder.handshake::<_, Bytes>(socket).await.expect("HTTP/2 is spoken");
        tokio::spawn(connection);
        let request = Request::get("http://web/").body(()).expect("a request");
        let (response, _) = client.send_request(request, true).expect("the connection is new");
        let response = response.await.expect("an answer");
        pause(); // of the whole runtime: nobody reads the socket
        let heard = body(response.into_body()).await.expect("a whole answer");
        assert!(heard == sent(), "{} bytes", heard.len());
    });
}

fn endpoint_of_http2() {
    let backend = Backend::start(|talk| {
        runtime().block_on(async {
            let socket = tokio::net::TcpStream::from_std(talk.wire.socket()).expect("it does not block");
            let mut builder = h2::server::Builder::new();
            builder.initial_window_size(WINDOW).initial_connection_window_size(WINDOW);
            let Ok(mut connection) = builder.handshake::<_, Bytes>(socket).await else { return };
            while let Some(Ok((request, mut respond))) = connection.accept().await {
                tokio::spawn(async move {
                    pause(); // of the whole runtime
                    let whole = body(request.into_body()).await.is_ok_and(|heard| heard == sent());
                    let response = hyper::Response::builder().header("x-whole", whole.to_string()).body(());
                    let _gone = respond.send_response(response.expect("a response"), true);
                });
            }
        });
    });
    upload_to(&World::at("kubernetes.io/h2c", &[backend.address()], &[]));
}
