//! What slow peers make the sidecar hold, whatever the pieces are that come: bounds count what is allocated.

use std::fs;
use std::io::{self, ErrorKind, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use hyper::Request;
use socket2::{Domain, SockRef, Socket, Type};

use super::backend::{Backend, Talk};
use super::http2::connect;
use super::support::until;
use super::world::World;

/// Connections that hold as much as they can.
const CLIENTS: u64 = 50;

/// A connection's bound, in KiB.
const BOUND_KIB: u64 = 64;

/// What a connection takes beside its bodies, in a build for tests: its tasks, its place in every list, and what the allocator cannot use.
const REST_KIB: u64 = 32;

/// What pieces come in.
const PIECES: [usize; 5] = [1, 10, 100, 1000, 100_000];

#[test]
fn a_client_that_does_not_read_holds_64_kib_whatever_the_chunks_are() {
    for bytes in PIECES {
        let backend = Backend::start(move |talk| {
            if talk.wire.request().is_ok_and(|request| request.start.starts_with("GET /large")) {
                talk.wire.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
                send_on(talk, &chunks(bytes));
            } else {
                talk.wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
            }
        });
        let world = World::of(&[&backend], &[]);
        holds(&format!("chunks of {bytes}"), world, BOUND_KIB, |world| {
            let mut client = narrow(&world.address());
            client.write_all(b"GET /large HTTP/1.1\r\nHost: web\r\n\r\n").unwrap();
            client
        });
    }
}

#[test]
fn an_endpoint_that_trickles_to_a_client_that_does_not_read_makes_us_hold_as_little() {
    for bytes in [1, 1000] {
        let backend = Backend::start(move |talk| {
            if talk.wire.request().is_ok_and(|request| request.start.starts_with("GET /large")) {
                talk.wire.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
                for _ in 0..2000 {
                    talk.wire.send(chunks(1000)); // more than the client's window, in all
                    talk.wire.send(chunk(bytes));
                    thread::sleep(Duration::from_millis(1));
                }
            }
        });
        let world = World::of(&[&backend], &[]);
        holds(&format!("a trickle of {bytes}"), world, BOUND_KIB, |world| {
            let mut client = narrow(&world.address());
            client.write_all(b"GET /large HTTP/1.1\r\nHost: web\r\n\r\n").unwrap();
            client
        });
    }
}

#[test]
fn an_endpoint_that_does_not_read_makes_us_hold_64_kib_of_an_upload_and_as_much_for_another_attempt() {
    for bytes in PIECES {
        let backend = Backend::start(|talk| {
            let socket = talk.wire.socket();
            SockRef::from(&socket).set_recv_buffer_size(4096).expect("a TCP socket");
            thread::sleep(Duration::from_secs(60)); // and never reads
        });
        let world = World::of(&[&backend], &[]);
        holds(&format!("uploads in chunks of {bytes}"), world, 2 * BOUND_KIB, |world| {
            let mut client = narrow(&world.address());
            client.write_all(b"POST / HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
            client.set_nonblocking(true).unwrap();
            write_on(&mut client, &chunks(bytes));
            client
        });
    }
}

#[test]
fn a_body_that_is_kept_for_another_attempt_takes_what_it_is_long() {
    for bytes in [1, 10, 100] {
        let backend = Backend::start(|talk| {
            let _head = talk.wire.head();
            let _until_the_end = talk.wire.rest();
        });
        let world = World::of(&[&backend], &[]);
        let mut clients: Vec<TcpStream> = Vec::new();
        let small = 24; // 12.6 KB of data at most, and a read buffer
        let chunk = chunk(bytes);
        holds(&format!("kept chunks of {bytes}"), world, small, |world| {
            let mut client = narrow(&world.address());
            client.write_all(b"PUT / HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
            clients.push(client.try_clone().unwrap());
            if clients.len() == CLIENTS as usize {
                for _ in 0..126 {
                    clients.iter_mut().for_each(|client| client.write_all(&chunk).unwrap());
                    thread::sleep(Duration::from_millis(2)); // each piece is read for itself
                }
            }
            client
        });
    }
}

#[test]
fn bodies_that_no_endpoint_takes_are_on_the_ledger_until_their_client_has_gone() {
    for (bytes, count) in [(300, 200), (1000, 60), (16_000, 4)] {
        let backend = Backend::start(|talk| {
            talk.wire.send([&[0, 0, 6, 4, 0, 0, 0, 0, 0][..], &[0, 4, 0, 0, 0, 0]].concat()); // no stream has a window
            let _until_the_end = talk.wire.rest();
        });
        let world = World::at("grpc", &[backend.address()], &[]);
        let held = || world.measured("svcmesh_memory_held_bytes")[0];
        // Of each stream 8 KiB are on their way to the endpoint: they are what is kept for another attempt.
        let least = (bytes * count * STREAMS) as u64 / 4 * 3;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let mut client = connect(&world).await;
            let mut streams = Vec::new();
            for _ in 0..STREAMS {
                let request = Request::post("http://web/").body(()).expect("a request");
                let (response, mut body) =
                    client.send_request(request, false).expect("a request that h2 sends");
                (0..count)
                    .for_each(|_| body.send_data(vec![b'x'; bytes].into(), false).expect("h2 queues it"));
                streams.push((response, body));
            }
            let is_held = async {
                while held() < least {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            };
            let in_time = tokio::time::timeout(Duration::from_secs(10), is_held).await;
            assert!(in_time.is_ok(), "{} bytes in frames of {bytes} are held, not {least}", held());
            eprintln!("{} bytes of {} in frames of {bytes} are held", held(), bytes * count * STREAMS);
        });
        drop(runtime); // and the connection
        until("nothing is held", || (held() == 0).then_some(()));
    }
}

/// As many as a client may have open.
const STREAMS: usize = 128;

#[test]
fn above_memory_max_the_largest_are_paused_then_ended_and_everybody_else_is_served() {
    let backend = Backend::start(|talk| {
        while let Ok(request) = talk.wire.request() {
            if request.start.starts_with("GET /large") {
                talk.wire.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
                return send_on(talk, &chunks(1000));
            }
            talk.wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    let world = World::of(&[&backend], &["--memory-max", "1Mi"]);
    narrow_kernel();
    let held = || world.measured("svcmesh_memory_held_bytes")[0];
    let paused = || world.measured("svcmesh_floods_total{kind=\"memory\"}")[0];
    let ended = || {
        let metrics = world.admin("/metrics");
        let lines = metrics.lines().filter(|line| line.starts_with("svcmesh_failures_total{"));
        let counts =
            lines.filter(|line| line.contains("code=\"CM\"")).filter_map(|line| line.rsplit(' ').next());
        counts.filter_map(|count| count.parse::<u64>().ok()).sum::<u64>()
    };
    let mut stalled: Vec<TcpStream> = (0..120)
        .map(|_| {
            let mut client = narrow(&world.address());
            client.write_all(b"GET /large HTTP/1.1\r\nHost: web\r\n\r\n").unwrap();
            client
        })
        .collect();
    until("the largest are paused", || (paused() > 0).then_some(()));
    let mut kept = world.client();
    let mut peak = 0;
    until("what they held is free", || {
        for client in [&mut kept, &mut world.client()] {
            client.send("GET / HTTP/1.1\r\nHost: web\r\n\r\n");
            assert_eq!(client.response("GET").map(|response| response.body), Ok("ok".to_owned()));
        }
        peak = peak.max(held());
        (held() <= MEMORY_MAX && ended() > 0).then_some(())
    });
    let ended = ended();
    stalled.iter().for_each(|client| client.set_nonblocking(true).unwrap());
    let reset = stalled.iter_mut().filter_map(|client| io::copy(client, &mut io::sink()).err());
    let reset = reset.filter(|error| error.kind() == ErrorKind::ConnectionReset).count() as u64;
    eprintln!(
        "{} paused, {ended} ended, {reset} saw a reset, {peak} bytes at most, {} now",
        paused(),
        held()
    );
    assert!(ended < 120, "no more than has to be");
    assert!(reset >= ended, "what was cut does not look whole");
    let lines = world.said().matches("--memory-max").count();
    assert!((1..=3).contains(&lines), "{lines} lines in the log");
}

/// What `--memory-max 1Mi` says.
const MEMORY_MAX: u64 = 1 << 20;

/// Has `client` connect again and again: how much all of them hold when nothing moves any more must not be more than that for each.
fn holds(what: &str, mut world: World, bound_kib: u64, mut client: impl FnMut(&World) -> TcpStream) {
    narrow_kernel();
    let warm = client(&world);
    thread::sleep(Duration::from_millis(100));
    let before_kib = world.rss_kib();
    let clients: Vec<TcpStream> = (1..CLIENTS).map(|_| client(&world)).collect();
    let mut last_kib = 0;
    until("nothing moves", || {
        thread::sleep(Duration::from_millis(500));
        let now_kib = world.rss_kib();
        let moved_kib = now_kib.abs_diff(std::mem::replace(&mut last_kib, now_kib));
        (moved_kib < CLIENTS).then_some(())
    });
    let (after_kib, held) = (world.rss_kib(), world.measured("svcmesh_memory_held_bytes"));
    let each_kib = after_kib.saturating_sub(before_kib) / CLIENTS;
    eprintln!("{what}: {each_kib} KiB each, {held:?} bytes on the ledger");
    assert!(each_kib <= bound_kib + REST_KIB, "{what}: {each_kib} KiB each");
    assert!(held.iter().all(|held| held / CLIENTS <= 1024 * bound_kib), "{what}: {held:?}");
    drop((warm, clients));
}

/// Has the kernel buffer little: what a connection can send before its peer reads would be 8 MB else. For the network of this test alone.
pub(crate) fn narrow_kernel() {
    for (name, sizes) in [("wmem", "4096 16384 65536"), ("rmem", "4096 65536 65536")] {
        let _where_allowed = fs::write(format!("/proc/sys/net/ipv4/tcp_{name}"), sizes);
    }
}

/// A connection whose socket takes little.
pub(crate) fn narrow(address: &str) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("sockets are to be had");
    socket.set_recv_buffer_size(4096).expect("a TCP socket");
    let address: SocketAddr = address.parse().expect("an address of ours");
    socket.connect(&address.into()).expect("the sidecar listens");
    socket.set_tcp_nodelay(true).expect("a TCP socket");
    socket.into()
}

/// Sends that again and again, until nobody takes it.
fn send_on(talk: &Talk, block: &[u8]) {
    write_on(&mut talk.wire.socket(), block);
}

fn write_on(socket: &mut TcpStream, block: &[u8]) {
    let (mut rest, mut refused) = (block, 0);
    while refused < 100 {
        match socket.write(rest) {
            Ok(count) => {
                rest = if count < rest.len() { &rest[count..] } else { block };
                refused = 0;
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock, "the connection is open: {error}");
                refused += 1;
                thread::sleep(Duration::from_millis(2));
            }
        }
    }
}

pub(crate) fn chunk(bytes: usize) -> Vec<u8> {
    let mut chunk = format!("{bytes:x}\r\n").into_bytes();
    chunk.resize(chunk.len() + bytes, b'x');
    chunk.extend_from_slice(b"\r\n");
    chunk
}

/// Some of them.
pub(crate) fn chunks(bytes: usize) -> Vec<u8> {
    let chunk = chunk(bytes);
    chunk.repeat((16 * 1024_usize).div_ceil(chunk.len()))
}
