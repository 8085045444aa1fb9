//! Protocols that the sidecar only carries: the client speaks first, the server does, or each ends when it likes.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use crate::support::*;
use crate::web::{VIP, web};

#[test]
fn redis_and_postgresql_work_through_a_loopback_vip() {
    isolated(|| {
        let pod = Pod::here();
        let address = Pod::backend_v4(1);
        let _peers = pod.node.enter(|| (Redis::start(&address, 6379), Postgres::start(&address, 5432)));
        let manifests = Manifests::of(&[
            service("redis", &["10.96.0.20"], 6379, "tcp"),
            slice("redis", &[&address], 6379),
            service("postgres", &["10.96.0.30"], 5432, "tcp"),
            slice("postgres", &[&address], 5432),
        ]);
        let vips = "redis.default=127.66.0.20,postgres.default=127.66.0.30";
        let _sidecar = Sidecar::start(manifests, &["--loopback-vips", vips]);
        assert_eq!(Redis::ask("127.66.0.20", 6379, &["PING"]), "PONG");
        assert_eq!(Postgres::ask("127.66.0.30", 5432, "select 6 * 7"), "42");
    });
}

#[test]
fn what_the_server_sends_after_the_client_has_ended_arrives() {
    isolated(|| {
        let pod = Pod::here();
        let server = serve_once(&pod, |stream| {
            let mut sent = Vec::new();
            stream.read_to_end(&mut sent).expect("the client ends its direction");
            stream.write_all(&sent).expect("the client still reads");
        });
        let _sidecar = Sidecar::start(web("tcp", 1), VIP);
        let mut client = connect();
        let sent = vec![b'x'; 3 << 20];
        client.write_all(&sent).expect("the server reads");
        client.shutdown(Shutdown::Write).expect("the connection is open");
        let mut received = Vec::new();
        client.read_to_end(&mut received).expect("the server answers and ends");
        assert!(received == sent, "{} bytes of {} came back", received.len(), sent.len());
        server.join().expect("the server saw what it expects");
    });
}

#[test]
fn what_the_client_sends_after_the_server_has_ended_arrives() {
    isolated(|| {
        let pod = Pod::here();
        let server = serve_once(&pod, |stream| {
            stream.write_all(b"bye").expect("the client reads");
            stream.shutdown(Shutdown::Write).expect("the connection is open");
            let mut received = Vec::new();
            stream.read_to_end(&mut received).expect("the client ends too");
            assert_eq!(received.len(), 3 << 20);
        });
        let _sidecar = Sidecar::start(web("tcp", 1), VIP);
        let mut client = connect();
        let mut farewell = String::new();
        client.read_to_string(&mut farewell).expect("the server ends its direction");
        assert_eq!(farewell, "bye");
        client.write_all(&vec![b'x'; 3 << 20]).expect("the server still reads");
        drop(client);
        server.join().expect("the server saw what it expects");
    });
}

/// Serves the first connection to the first endpoint.
fn serve_once(pod: &Pod, serve: impl FnOnce(&mut TcpStream) + Send + 'static) -> thread::JoinHandle<()> {
    let listener = pod.node.enter(|| TcpListener::bind((Pod::backend_v4(1).as_str(), 80)));
    let listener = listener.expect("addresses in a namespace are free");
    thread::spawn(move || {
        let (mut stream, _client) = listener.accept().expect("a client comes");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout above zero is legal");
        serve(&mut stream);
    })
}

fn connect() -> TcpStream {
    let stream = TcpStream::connect("127.66.0.1:80").expect("the VIP listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout above zero is legal");
    stream
}

const PATIENCE: Duration = Duration::from_secs(10);
