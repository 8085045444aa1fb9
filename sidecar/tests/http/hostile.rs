//! Clients that make us hold as much as they can: they hold little, are counted, and nobody else notices.

use std::io::Write as _;
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use super::backend::{Backend, Talk};
use super::memory::{chunk, chunks, narrow, narrow_kernel};
use super::support::{until, within};
use super::wire::Wire;
use super::world::World;

/// What a sidecar may take beside any of them, in a build for tests too.
const RSS_KIB_MAX: u64 = 64 * 1024;

#[test]
fn streams_with_endless_windows_whose_client_reads_nothing() {
    for bytes in [1, 10, 100, 1000, 100_000] {
        let backend = Backend::start(move |talk| serve(talk, &chunks(bytes)));
        let mut world = World::of(&[&backend], &[]);
        narrow_kernel();
        let _hostile = endless(&world, 128);
        beside(&mut world, &format!("streams of chunks of {bytes}"));
        // A build for tests takes half a minute to parse a million chunks.
        within(Duration::from_secs(120), "it is counted", || (counted(&world, "memory") == 1).then_some(()));
        beside(&mut world, &format!("full streams of chunks of {bytes}"));
    }
}

#[test]
fn bodies_in_small_chunks_that_no_endpoint_answers() {
    for bytes in [1, 10, 100, 1000] {
        let backend = Backend::start(|talk| serve(talk, b""));
        let mut world = World::of(&[&backend], HASTY);
        let mut hostile: Vec<TcpStream> = (0..200).map(|_| narrow(&world.address())).collect();
        let say = |hostile: &mut [TcpStream], text: &[u8]| {
            hostile.iter_mut().for_each(|client| client.write_all(text).expect("it is open"));
        };
        say(&mut hostile, b"PUT /kept HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\n\r\n");
        (0..126).for_each(|_| say(&mut hostile, &chunk(bytes)));
        beside(&mut world, &format!("bodies in chunks of {bytes}"));
        until("each is counted", || (counted(&world, "slow-body") == 200).then_some(()));
    }
}

#[test]
fn clients_of_http1_that_do_not_read() {
    for bytes in [1, 10, 100, 1000, 100_000] {
        let backend = Backend::start(move |talk| serve(talk, &chunks(bytes)));
        let mut world = World::of(&[&backend], HASTY);
        narrow_kernel();
        let ask = |_| {
            let mut client = narrow(&world.address());
            client.write_all(b"GET /large HTTP/1.1\r\nHost: web\r\n\r\n").expect("it is open");
            client
        };
        // A build for tests takes as long to parse what ten of them hold of single bytes as what all hold of larger chunks.
        let clients = match bytes {
            1 => 10,
            10 => 100,
            _ => 200,
        };
        let _hostile: Vec<TcpStream> = (0..clients).map(ask).collect();
        beside(&mut world, &format!("slow readers of chunks of {bytes}"));
        within(Duration::from_secs(120), "each is counted", || {
            (counted(&world, "slow-read") == clients).then_some(())
        });
        beside(&mut world, &format!("full readers of chunks of {bytes}"));
    }
}

/// Whoever says and takes nothing for so long is counted.
const HASTY: &[&str] = &["--header-timeout", "1s"];

fn counted(world: &World, kind: &str) -> u64 {
    world.measured(&format!("svcmesh_floods_total{{kind=\"{kind}\"}}"))[0]
}

/// Gives `/large` without end, `/kept` no answer, and `ok` to everything else.
fn serve(talk: &mut Talk, block: &[u8]) {
    while let Ok(head) = talk.wire.head() {
        if head.start.contains(" /kept ") {
            thread::sleep(Duration::from_secs(60));
        } else if head.start.contains(" /large ") {
            talk.wire.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            let mut socket = talk.wire.socket();
            socket.set_nonblocking(false).expect("a TCP socket");
            while socket.write_all(block).is_ok() {}
            return;
        }
        talk.wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    }
}

/// For some seconds another client has all of its answers; the sidecar stays small, and ejects nobody.
fn beside(world: &mut World, what: &str) {
    let mut kept = world.client();
    let ask = |client: &mut Wire| {
        client.send("GET / HTTP/1.1\r\nHost: web\r\n\r\n");
        assert_eq!(client.response("GET").map(|response| response.body), Ok("ok".to_owned()), "{what}");
    };
    let (mut answers, mut peak_kib) = (0, 0);
    for _ in 0..100 {
        ask(&mut kept);
        ask(&mut world.client());
        answers += 2;
        peak_kib = peak_kib.max(world.rss_kib());
        thread::sleep(Duration::from_millis(10));
    }
    let held = until("the metrics answer", || world.measured("svcmesh_memory_held_bytes").pop());
    eprintln!("{what}: {peak_kib} KiB at most, {held} bytes on the ledger, {answers} answers beside");
    assert!(peak_kib < RSS_KIB_MAX, "{what}: {peak_kib} KiB");
    assert_eq!(world.measured("svcmesh_ejections_total").iter().sum::<u64>(), 0, "{what}");
}

/// A client of HTTP/2 with so many streams and windows of 2^31 - 1 bytes, that reads nothing.
fn endless(world: &World, streams: u32) -> TcpStream {
    let mut client = narrow(&world.address());
    let mut frames = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    let window = (i32::MAX as u32).to_be_bytes();
    frames.extend(frame(0x4, 0, 0, &[&[0x0, 0x4], &window[..]].concat())); // SETTINGS_INITIAL_WINDOW_SIZE, RFC 9113 §6.5.2
    frames.extend(frame(0x8, 0, 0, &(i32::MAX as u32 - 65_535).to_be_bytes())); // WINDOW_UPDATE, §6.9
    for stream in 0..streams {
        frames.extend(frame(0x1, 0x5, 2 * stream + 1, LARGE)); // HEADERS with END_STREAM and END_HEADERS, §6.2
    }
    client.write_all(&frames).expect("it is open");
    client
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("frames here are short").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

// The static table's `:method: GET` and `:scheme: http`, `:path` and `:authority` written out (RFC 7541 §6.1, §6.2.2).
const LARGE: &[u8] = b"\x82\x86\x04\x06/large\x01\x03web";
