//! Session affinity at size: 50,000 clients, each with an address of its own.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::thread;
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use crate::support::*;
use crate::web::{VIP, WEB, backend, documents};

#[test]
fn fifty_thousand_clients_keep_their_endpoints_and_one_that_leaves_takes_only_its_own() {
    isolated(|| {
        let pod = Pod::here();
        (1..=3).for_each(|number| name_tells(backend(&pod, number), number));
        let arguments = [VIP, &["--workers", "2"]].concat();
        let mut sidecar = Sidecar::start(Manifests::of(&[with_affinity([1, 2, 3])]), &arguments);
        (0..4).for_each(|_| drop(places(0..1_000))); // all that connections need is there
        let (pinned_before, rss_before_kib) = (pinned(&sidecar), sidecar.process().rss_kib());

        let before = places(0..CLIENTS);
        let rss_kib = sidecar.process().rss_kib().saturating_sub(rss_before_kib);
        let entries = pinned(&sidecar);
        let bytes = rss_kib * 1024 / (entries - pinned_before);
        println!("{entries} clients are pinned, {bytes} bytes of memory each ({rss_kib} KiB)");
        assert_eq!(entries, u64::from(CLIENTS));
        assert!(bytes <= ENTRY_BYTES_MAX, "{bytes} bytes each");

        sidecar.manifests().write("test.yaml", &with_affinity([1, 3]));
        let left = entries - before.iter().filter(|place| **place == 2).count() as u64;
        until("its own are unpinned, whether they come or not", || (pinned(&sidecar) == left).then_some(()));
        let after = places(0..CLIENTS / 2); // all would take too long: the count above is of all
        for (client, (before, after)) in before.iter().zip(&after).enumerate() {
            assert!(
                *after != 2 && (before == after || *before == 2),
                "client {client} went from {before} to {after}"
            );
        }
        let back = before[..after.len()].iter().filter(|place| **place == 2).count() as u64;
        assert_eq!(pinned(&sidecar), left + back);
        assert_eq!(places(0..1_000), after[..1_000]);
    });
}

/// What `web` and its endpoints are, with affinity.
fn with_affinity(endpoints: impl IntoIterator<Item = u8>) -> String {
    documents("tcp", endpoints).replacen("spec:\n", "spec:\n  sessionAffinity: ClientIP\n", 1)
}

fn pinned(sidecar: &Sidecar) -> u64 {
    sidecar.measured("svcmesh_affinity_entries ")[0]
}

/// The number of the endpoint that each of these clients is sent to.
fn places(clients: Range<u32>) -> Vec<u8> {
    let share = clients.len().div_ceil(THREADS) as u32;
    let starts: Vec<u32> = clients.clone().step_by(share as usize).collect();
    thread::scope(|scope| {
        let visit = |start| move || (start..clients.end.min(start + share)).map(place).collect::<Vec<u8>>();
        let visits: Vec<_> = starts.into_iter().map(|start| scope.spawn(visit(start))).collect();
        visits.into_iter().flat_map(|visit| visit.join().expect("every client is served")).collect()
    })
}

/// One connection: a byte there, and the endpoint's number back.
fn place(client: u32) -> u8 {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("sockets are to be had");
    forget_at_close(&socket);
    let source = IpAddr::from(Ipv4Addr::from_bits(FIRST_SOURCE + client));
    socket.bind(&SocketAddr::new(source, 0).into()).expect("all of 127.0.0.0/8 is ours");
    socket.connect(&WEB.parse::<SocketAddr>().expect("an address").into()).expect("the VIP listens");
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout above zero is legal");
    let mut number = [0];
    stream.write_all(b"?").and_then(|()| stream.read_exact(&mut number)).expect("an endpoint answers");
    number[0]
}

/// Answers the first byte of each connection with the endpoint's number, and waits for its end.
fn name_tells(listener: TcpListener, number: u8) {
    for _ in 0..THREADS {
        let listener = listener.try_clone().expect("file descriptors are to be had");
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                forget_at_close(&socket2::SockRef::from(&stream));
                let mut byte = [0];
                let _gone = stream.read_exact(&mut byte).and_then(|()| stream.write_all(&[number]));
                let _end = stream.read(&mut byte);
            }
        });
    }
}

/// Its port can be used again at once: there are not enough of them for all these connections to linger.
fn forget_at_close(socket: &Socket) {
    socket.set_linger(Some(Duration::ZERO)).expect("a TCP socket");
}

const CLIENTS: u32 = 50_000;

/// 40 of them are the entry's (`core/src/affinity/tests.rs` counts them); what the allocator keeps of the smaller tables before it differs
/// from run to run.
const ENTRY_BYTES_MAX: u64 = 100;

/// 127.128.0.0: no address here begins so.
const FIRST_SOURCE: u32 = 0x7f80_0000;

/// Clients at a time, and connections that an endpoint serves at a time.
const THREADS: usize = 8;

const PATIENCE: Duration = Duration::from_secs(10);
