//! What a client speaks, by its first bytes.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use svc_core::outcome::Failure;
use svc_core::sniff::{Sniffed, may_become_request, sniff};
use tokio::io::AsyncReadExt;

use super::tracker::{ConnectionGuard, Graceful, supervise};
use crate::http::pulse::Pulse;
use crate::net::stream::Stream;

/// What was found out, and the bytes that it took.
pub(crate) struct Detected {
    pub(crate) protocol: Sniffed,
    pub(crate) read: Bytes,
    /// The client said nothing, or not enough, in time.
    pub(crate) timed_out: bool,
    /// The client reset the connection before it had said anything, as health checks do that only want to know whether somebody listens.
    pub(crate) is_gone: bool,
}

/// Reads until the protocol is known. A client that has said nothing when `limit` is over, or when it ends, speaks something opaque:
/// its server may be the one to speak first. Where what it said may still begin a request, and without a limit, the deadlines of the
/// roster hold: who is slow with a first line is no less a client of HTTP.
///
/// # Errors
/// The connection broke, or is overdue.
pub(crate) async fn detect(
    stream: &mut Stream,
    pulse: &Pulse,
    limit: Option<Duration>,
    connection_guard: &ConnectionGuard<'_>,
) -> Result<Detected, Failure> {
    let mut read = BytesMut::new();
    let mut in_time = None;
    if let Some(limit) = limit {
        let detecting = pin!(read_until_known(stream, pulse, &mut read));
        let supervised = attend(detecting, pulse, connection_guard, || Sniffed::Opaque);
        in_time = crate::clock::timeout(limit, supervised).await.ok();
    }
    let protocol = match in_time {
        Some(protocol) => protocol,
        None if limit.is_some() && !may_become_request(&read) => {
            return Ok(Detected {
                protocol: Sniffed::Opaque,
                read: read.freeze(),
                timed_out: true,
                is_gone: false,
            });
        }
        None => {
            let detecting = pin!(read_until_known(stream, pulse, &mut read));
            attend(detecting, pulse, connection_guard, || Sniffed::Opaque).await
        }
    };
    let protocol = protocol.inspect_err(|_| pulse.turns.break_off(&read))?;
    let is_gone = protocol.is_err() && read.is_empty();
    let protocol = match protocol {
        Ok(protocol) => protocol,
        Err(_) if is_gone => Sniffed::Opaque,
        Err(_) => return Err(Failure::ClientGone),
    };
    Ok(Detected { protocol, read: read.freeze(), timed_out: false, is_gone })
}

async fn read_until_known(stream: &mut Stream, pulse: &Pulse, read: &mut BytesMut) -> io::Result<Sniffed> {
    loop {
        if let Some(socket) = stream.plain() {
            socket.readable().await?; // hold no buffer for a client that is silent
        }
        read.reserve(FIRST_READ_BYTES);
        if stream.read_buf(read).await? == 0 {
            return Ok(at_end(read));
        }
        pulse.read();
        match sniff(read) {
            Sniffed::More => {}
            known @ (Sniffed::Http1 | Sniffed::Http2 | Sniffed::Tls | Sniffed::Opaque) => return Ok(known),
        }
    }
}

/// What it was behind which nothing follows: some servers take the end for that of a line.
fn at_end(read: &[u8]) -> Sniffed {
    match sniff(&[read, b"\n"].concat()) {
        Sniffed::Http1 => Sniffed::Http1,
        Sniffed::Http2 | Sniffed::Tls | Sniffed::Opaque | Sniffed::More => Sniffed::Opaque,
    }
}

/// Waits for what a client says first, which `listening` tells.
///
/// A drain does not wait for a client that has said nothing since before it began, which is `silence`. One that came later is given its
/// time: what it has to say may be on its way.
pub(super) async fn attend<T>(
    listening: Pin<&mut impl Future<Output = io::Result<T>>>,
    pulse: &Pulse,
    connection_guard: &ConnectionGuard<'_>,
    silence: fn() -> T,
) -> Result<io::Result<T>, Failure> {
    let attending =
        Attending { listening, pulse, waits: connection_guard.is_draining(), proxy_header: false, silence };
    supervise(pin!(attending), connection_guard, |_| {}).await
}

struct Attending<'a, F, T> {
    listening: Pin<&'a mut F>,
    pulse: &'a Pulse,
    waits: bool,
    proxy_header: bool,
    silence: fn() -> T,
}

impl<T, F: Future<Output = io::Result<T>>> Future for Attending<'_, F, T> {
    type Output = io::Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        match self.listening.as_mut().poll(cx) {
            Poll::Pending if self.proxy_header && self.pulse.is_idle() => Poll::Ready(Ok((self.silence)())),
            polled @ (Poll::Ready(_) | Poll::Pending) => polled,
        }
    }
}

impl<F, T> Graceful for Attending<'_, F, T> {
    fn finish(mut self: Pin<&mut Self>) {
        self.proxy_header = !self.waits;
    }
}

/// Most request heads fit.
const FIRST_READ_BYTES: usize = 1024;
