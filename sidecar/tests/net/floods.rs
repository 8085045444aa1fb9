//! Hostile clients: each flood is bounded in memory, counted by its name, and unnoticed by a client beside it.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use crate::support::*;
use crate::web::{WEB, nginx};

#[test]
fn heads_that_come_a_line_at_a_time() {
    flooded("slow-head", 1, |over| {
        let mut clients: Vec<TcpStream> =
            (0..1000).map(|_| begun("GET / HTTP/1.1\r\nHost: web\r\n")).collect();
        while !over() {
            for client in &mut clients {
                if client.write_all(b"X-Slow: 1\r\n").is_err() {
                    *client = begun("GET / HTTP/1.1\r\nHost: web\r\n");
                }
            }
            thread::sleep(Duration::from_millis(200));
        }
    });
}

#[test]
fn heads_that_never_end() {
    flooded("long-head", 100, |over| {
        let junk = [b'a'; 8 * 1024];
        while !over() {
            let mut clients: Vec<TcpStream> =
                (0..100).map(|_| begun("GET / HTTP/1.1\r\nHost: web\r\nX-Long: ")).collect();
            for _ in 0..40 {
                clients.iter_mut().for_each(|client| drop(client.write_all(&junk)));
            }
        }
    });
}

#[test]
fn streams_that_are_reset_as_they_begin() {
    flooded("frames", 10, |over| {
        while !over() {
            let mut client = Http2::connect();
            let mut open = true;
            while open && !over() {
                let stream = client.next();
                open = client.send(&[headers(stream, END, GET), reset(stream)]);
            }
        }
    });
}

#[test]
fn streams_that_are_reset_while_an_endpoint_is_at_work() {
    flooded("resets", 1, |over| {
        while !over() {
            let mut client = Http2::connect();
            let mut open = true;
            while open && !over() {
                let streams: Vec<u32> = (0..100).map(|_| client.next()).collect();
                open = streams.iter().all(|stream| client.send(&[headers(*stream, END, SLOW)]));
                thread::sleep(Duration::from_millis(100));
                open &= streams.iter().all(|stream| client.send(&[reset(*stream)]));
            }
        }
    });
}

#[test]
fn heads_in_frames_without_end() {
    flooded("frames", 10, |over| {
        while !over() {
            let mut client = Http2::connect();
            let stream = client.next();
            client.send(&[headers(stream, NOT_YET, GET)]);
            while !over() && client.send(&[frame(0x9, 0, stream, b"\x00\x01a\x01b")]) {} // CONTINUATION, RFC 9113 §6.10
        }
    });
}

#[test]
fn bodies_in_frames_of_a_byte() {
    // What somebody types comes so, too: they are gathered, and no more come than a window has.
    flooded("frames", 0, |over| {
        while !over() {
            let mut client = Http2::connect();
            let stream = client.next();
            client.send(&[headers(stream, MORE, POST)]);
            let bytes = frame(0x0, 0, stream, b"x").repeat(100); // DATA, RFC 9113 §6.1
            while !over() && client.send(std::slice::from_ref(&bytes)) {}
        }
    });
}

#[test]
fn thousands_of_connections_that_say_nothing() {
    flooded("connections", 100, |over| {
        let clients: Vec<TcpStream> = (0..4000).map(|_| begun("")).collect();
        while !over() {
            thread::sleep(Duration::from_millis(50));
        }
        drop(clients);
    });
}

/// Floods `web` for some seconds, while another client goes on; then judges what that cost. The flood is counted `at_least` that often.
fn flooded(kind: &str, at_least: u64, flood: impl Fn(&dyn Fn() -> bool) + Send + Sync) {
    isolated(|| {
        let pod = Pod::here();
        let _web = nginx(&pod, "a", 1);
        let stalled = pod.node.enter(|| TcpListener::bind((Pod::backend_v4(2).as_str(), 80)));
        let _never_answers = stalled.expect("addresses in a namespace are free");
        let manifests = Manifests::of(&[
            service("web", &["10.96.0.10"], 80, ""),
            slice("web", &[&Pod::backend_v4(1)], 80),
            service("slow", &["10.96.0.11"], 80, ""),
            slice("slow", &[&Pod::backend_v4(2)], 80),
        ]);
        let flags = ["--forward-proxy", WEB, "--header-timeout", "2s", "--max-connections", "3000"];
        let mut sidecar = Sidecar::start(manifests, &flags);
        let client = |seconds| {
            wrk_with(&["-H", "Host: web"], &format!("http://{WEB}/"), 8, Duration::from_secs(seconds))
        };
        client(1);
        let baseline_kib = sidecar.process().rss_kib();
        let over = AtomicBool::new(false);
        let beside = thread::scope(|scope| {
            scope.spawn(|| flood(&|| over.load(Relaxed)));
            let beside = client(FLOOD_SECONDS);
            over.store(true, Relaxed);
            beside
        });
        let peak_kib = sidecar.process().peak_rss_kib();
        let counted = sidecar.measured(&format!("svcmesh_floods_total{{kind=\"{kind}\"}}"))[0];
        eprintln!("{kind}: {baseline_kib} KiB before, {peak_kib} KiB at most, {counted} times, {beside:?}");
        assert!(beside.responses > 0 && beside.refused == 0 && beside.broken == 0, "{beside:?}");
        assert!(peak_kib < 64 * 1024, "{peak_kib} KiB");
        assert!(counted >= at_least, "{counted}");
        let mut rss_kib = 0;
        within(Duration::from_secs(10), "memory is given back", || {
            rss_kib = sidecar.process().rss_kib();
            (rss_kib < 2 * baseline_kib).then_some(())
        });
        eprintln!("{kind}: {rss_kib} KiB afterwards");
    });
}

const FLOOD_SECONDS: u64 = 4;

/// A connection on which that has been said.
fn begun(text: &str) -> TcpStream {
    let mut client = TcpStream::connect(WEB).expect("the kernel accepts for the sidecar");
    client.set_write_timeout(Some(Duration::from_secs(1))).expect("a timeout above zero is legal");
    let _refused = client.write_all(text.as_bytes());
    client
}

/// A client that writes frames and reads nothing.
struct Http2 {
    socket: TcpStream,
    last: u32,
}

impl Http2 {
    fn connect() -> Http2 {
        let mut client = Http2 { socket: begun("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), last: 0 };
        client.send(&[frame(0x4, 0, 0, b"")]); // SETTINGS, RFC 9113 §6.5
        let mut ignored = client.socket.try_clone().expect("file descriptors are to be had");
        thread::spawn(move || while ignored.read(&mut [0; 4096]).is_ok_and(|count| count > 0) {});
        client
    }

    /// The next stream of a client.
    fn next(&mut self) -> u32 {
        self.last = if self.last == 0 { 1 } else { self.last + 2 };
        self.last
    }

    /// False when the connection is closed.
    fn send(&mut self, frames: &[Vec<u8>]) -> bool {
        self.socket.write_all(&frames.concat()).is_ok()
    }
}

impl Drop for Http2 {
    fn drop(&mut self) {
        let _closed = self.socket.shutdown(Shutdown::Both);
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("frames here are short").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

fn headers(stream: u32, flags: u8, block: &[u8]) -> Vec<u8> {
    frame(0x1, flags, stream, block) // HEADERS, RFC 9113 §6.2
}

fn reset(stream: u32) -> Vec<u8> {
    frame(0x3, 0, stream, &8_u32.to_be_bytes()) // RST_STREAM with CANCEL, RFC 9113 §6.4
}

const END: u8 = 0x5; // END_STREAM and END_HEADERS
const MORE: u8 = 0x4; // END_HEADERS
const NOT_YET: u8 = 0x1; // END_STREAM

// The static table's `:method`, `:scheme: http`, `:path: /`, and `:authority` written out (RFC 7541 §6.1, §6.2.2).
const GET: &[u8] = b"\x82\x86\x84\x01\x03web";
const POST: &[u8] = b"\x83\x86\x84\x01\x03web";
const SLOW: &[u8] = b"\x82\x86\x84\x01\x04slow";
