//! Clients whose packets are lost without a word: they are given up, with data under way and in the middle of a pause.
//!
//! Takes a minute or two, hence only with `SVCMESH_TEST_LONG`.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use crate::support::*;

#[test]
#[expect(clippy::disallowed_methods, reason = "a test is no configuration")]
fn a_client_that_acknowledges_nothing_is_given_up_whether_it_read_or_paused() {
    if std::env::var_os("SVCMESH_TEST_LONG").is_none() {
        return;
    }
    for app_protocol in ["tcp", "http"] {
        isolated(|| {
            let pod = Pod::here();
            let served = TcpListener::bind("10.1.0.2:9000").expect("addresses in a namespace are free");
            thread::spawn(move || {
                for stream in served.incoming() {
                    let mut stream = stream.expect("the sidecar connects");
                    thread::spawn(move || {
                        let _asked = stream.read(&mut [0; 1024]);
                        let _given_up = stream.write_all(&b"HTTP/1.1 200 OK\r\n\r\n".repeat(1 << 20));
                    });
                }
            });
            let manifests = Manifests::of(&[
                service("web", &["10.96.0.10"], 80, app_protocol),
                slice("web", &["10.1.0.2"], 8080),
            ]);
            let map = ["--inbound", "off", "--inbound-map", "8080=10.1.0.2:9000"];
            let sidecar = Sidecar::start(manifests, &map);
            let connect = |number| {
                let from = Pod::backend_v4(number);
                let mut client = pod.node.enter(|| from_to(&from, "10.1.0.2:8080"));
                client.write_all(b"GET / HTTP/1.1\r\nHost: web\r\n\r\n").expect("the sidecar reads");
                client
            };
            let mut reads = connect(1);
            let _pauses = connect(2);
            reads.read_exact(&mut [0; 1 << 20]).expect("an answer begins");
            thread::sleep(Duration::from_secs(2)); // the other one's window closes
            pod.blackhole(1);
            pod.blackhole(2);
            within(Duration::from_secs(120), "both are recorded as gone", || {
                let log = sidecar.access_log();
                (log.len() == 2)
                    .then(|| log.iter().for_each(|line| assert_eq!(line["failure.code"], "CA", "{line}")))
            });
        });
    }
}

fn from_to(from: &str, to: &str) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)
        .expect("sockets are to be had");
    let from: std::net::SocketAddr = format!("{from}:0").parse().expect("an address");
    socket.bind(&from.into()).expect("an address of the node");
    let to: std::net::SocketAddr = to.parse().expect("an address");
    socket.connect(&to.into()).expect("the sidecar listens");
    socket.into()
}
