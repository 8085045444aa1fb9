//! Whom the Envoy of a story meets beside the client: the sidecar that it asks for news, and the endpoint that it goes to. Both listen
//! from the start and are played by the thread that tells the story, so that nothing happens between two steps.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::super::client::read_head;
use super::super::head::Head;

/// Their two addresses.
pub(super) struct Scene {
    sidecar: TcpListener,
    endpoint: TcpListener,
}

/// A request that waits for its answer.
pub(super) struct Asked {
    pub(super) head: Head,
    stream: TcpStream,
}

impl Scene {
    pub(super) fn new() -> Scene {
        let bound = || TcpListener::bind("127.0.0.1:0").expect("some port is free");
        Scene { sidecar: bound(), endpoint: bound() }
    }

    pub(super) fn sidecar(&self) -> SocketAddr {
        self.sidecar.local_addr().expect("it is bound")
    }

    pub(super) fn endpoint(&self) -> SocketAddr {
        self.endpoint.local_addr().expect("it is bound")
    }

    /// The endpoint's, to wait for whom Envoy sends.
    pub(super) fn endpoint_listener(&self) -> &TcpListener {
        &self.endpoint
    }

    /// The questions for news, one from each thread of Envoy: that of its only worker, and the main thread, which has a VM as well.
    pub(super) fn questions(&self) -> Vec<Asked> {
        (0..THREADS).map(|_| asked(&self.sidecar)).collect()
    }

    /// The request that Envoy sends to the endpoint.
    pub(super) fn request(&self) -> Asked {
        asked(&self.endpoint)
    }
}

impl Asked {
    /// Answers, and closes the connection: the next request will be a new connection.
    pub(super) fn answer(mut self, status: u16, body: &str) {
        let length = body.len();
        let head =
            format!("HTTP/1.1 {status} As Told\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
        self.stream.write_all((head + body).as_bytes()).expect("Envoy reads");
    }
}

/// Which of these has something to read; panics when none has for long.
pub(super) fn ready<const N: usize>(sources: [BorrowedFd<'_>; N]) -> [bool; N] {
    let mut sources = sources.map(|source| PollFd::from_borrowed_fd(source, PollFlags::IN));
    let count = poll(&mut sources, Some(&Timespec { tv_sec: LIFE.as_secs() as i64, tv_nsec: 0 }));
    assert!(count.expect("all are open") > 0, "nothing comes from Envoy within {LIFE:?}");
    sources.map(|source| !source.revents().is_empty())
}

/// The next request of a listener. A connection that was given up before its request was none: a machine that stands still for longer than a
/// call may take makes Envoy do that, and ask anew at its next tick.
fn asked(listener: &TcpListener) -> Asked {
    loop {
        ready([listener.as_fd()]);
        let (stream, _) = listener.accept().expect("Envoy connects");
        stream.set_read_timeout(Some(LIFE)).expect("a timeout above zero is legal");
        let mut stream = BufReader::new(stream);
        let is_given_up = stream.fill_buf().expect("Envoy sends a head").is_empty();
        if !is_given_up {
            let head = read_head(&mut stream).expect("Envoy sends a head").expect("and all of it");
            return Asked { head: Head::parse(&head), stream: stream.into_inner() };
        }
    }
}

const THREADS: usize = 2;

/// Far more than anything takes here.
const LIFE: Duration = Duration::from_secs(20);
