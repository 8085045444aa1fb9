//! What connections cost on which nothing happens.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use rustix::process::{Resource, getrlimit};

use crate::support::*;
use crate::web::{VIP, WEB, web};

#[test]
fn ten_thousand_opaque_connections_hold_no_buffers() {
    isolated(|| {
        let pod = Pod::here();
        let _redis = pod.node.enter(|| Redis::start(&Pod::backend_v4(1), 80));
        let mut sidecar = Sidecar::start(web("tcp", 1), VIP);
        let before_kib = sidecar.process().rss_kib();
        let connections = connections();
        let clients: Vec<TcpStream> = (0..connections).map(|_| used()).collect();
        let open = "svcmesh_connections_open{direction=\"outbound\",service=\"default/web\"";
        assert_eq!(sidecar.measured(open), [connections]);
        let bytes = (sidecar.process().rss_kib() - before_kib) * 1024 / connections;
        eprintln!("{bytes} bytes for each of {connections} idle connections");
        assert!(bytes <= 8 * 1024, "{bytes}");
        drop(clients);
    });
}

/// Ten thousand, as `--max-connections` allows by default, if the system lets a process have the two descriptors that each takes.
fn connections() -> u64 {
    let descriptors = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    let connections = ((descriptors - 256) / 2).min(10_000);
    assert!(connections >= 1000, "{descriptors} descriptors are too few to show anything");
    connections
}

/// A connection that has carried something: what that took is free again.
fn used() -> TcpStream {
    let mut client = TcpStream::connect(WEB).expect("the sidecar listens");
    client.write_all(b"PING\r\n").expect("the connection is open");
    let mut answer = [0; 7];
    client.read_exact(&mut answer).expect("Redis answers");
    assert_eq!(&answer, b"+PONG\r\n");
    client
}
