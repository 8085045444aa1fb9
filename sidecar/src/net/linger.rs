//! The end of a connection whose peer may still be sending.
//!
//! To close while bytes are unread would reset the connection, and the peer's system would drop what it has not read of our last words: an
//! answer that came before all of its request. So what still comes is read, and dropped, for a while (RFC 9112 §9.6).

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

/// Reads what a peer still sends to a connection that has been shut down for writing.
pub(crate) struct Linger {
    /// The peer is known to have more to say; else only what is there already is a sign of that.
    expects: bool,
    bytes: u64,
    /// How much of that had come when the silence began to be timed.
    timed_bytes: u64,
    silence: Option<Pin<Box<Sleep>>>,
    silences: u32,
}

/// A client that reads its answer only when it has sent all of its request has room for a large one.
const BYTES_MAX: u64 = 64 * 1024 * 1024;

/// No peer that sends or reads pauses for longer; who has read its answer ends the connection, and with it the wait.
const SILENCE_MAX: Duration = Duration::from_secs(5);

/// 6 × 5 s = 30 s, nginx's `lingering_time`.
const SILENCES_MAX: u32 = 6;

impl Linger {
    pub(crate) fn new(expects: bool) -> Linger {
        Linger { expects, bytes: 0, timed_bytes: 0, silence: None, silences: 0 }
    }

    /// Ready when the peer has ended, too, or has had its time.
    pub(crate) fn poll(&mut self, socket: &TcpStream, cx: &mut Context<'_>) -> Poll<()> {
        while let Poll::Ready(ended) = self.poll_read(socket, cx) {
            if ended || self.bytes > BYTES_MAX {
                return Poll::Ready(());
            }
        }
        if !self.expects && self.bytes == 0 {
            return Poll::Ready(());
        }
        self.poll_silence(cx)
    }

    /// Reads once; whether that was the end.
    fn poll_read(&mut self, socket: &TcpStream, cx: &mut Context<'_>) -> Poll<bool> {
        if ready!(socket.poll_read_ready(cx)).is_err() {
            return Poll::Ready(true);
        }
        match SCRATCH.with_borrow_mut(|scratch| socket.try_read(scratch)) {
            Ok(count) => {
                self.bytes += count as u64;
                Poll::Ready(count == 0)
            }
            Err(error) => Poll::Ready(error.kind() != io::ErrorKind::WouldBlock),
        }
    }

    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let silence = self.silence.get_or_insert_with(|| Box::pin(sleep(SILENCE_MAX)));
            ready!(silence.as_mut().poll(cx));
            self.silences += 1;
            if self.bytes == self.timed_bytes || self.silences == SILENCES_MAX {
                return Poll::Ready(());
            }
            self.timed_bytes = self.bytes;
            self.silence = None;
        }
    }
}

/// Ends a connection: a FIN at once, and then the time that the peer needs to hear what was said.
pub(crate) async fn linger(socket: &mut TcpStream) {
    let mut linger = Linger::new(true);
    if tokio::io::AsyncWriteExt::shutdown(socket).await.is_ok() {
        std::future::poll_fn(|cx| linger.poll(socket, cx)).await;
    }
}

/// A connection that ends so.
pub(crate) struct Lingering {
    stream: TcpStream,
    linger: Option<Linger>,
}

impl Lingering {
    pub(crate) fn new(stream: TcpStream) -> Lingering {
        Lingering { stream, linger: None }
    }
}

impl AsyncRead for Lingering {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Lingering {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Lingering { stream, linger } = &mut *self;
        if linger.is_none() {
            ready!(Pin::new(&mut *stream).poll_shutdown(cx))?;
        }
        linger.get_or_insert_with(|| Linger::new(true)).poll(stream, cx).map(Ok)
    }
}

thread_local! {
    /// What is read into it nobody reads.
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; 64 * 1024]);
}
