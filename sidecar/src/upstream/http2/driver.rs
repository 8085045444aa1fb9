//! The task of a connection: reads and writes, gathers what nobody reads, and asks whether the endpoint is there.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use h2::client::Connection;
use h2::{Ping, PingPong};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Http2State, PING_AFTER};
use crate::clock::Sleep;
use crate::http::h2::backlog::QueuedPiece;
use crate::http::h2::frames::{FrameReader, Passes};
use crate::net::coalesce::{Coalesced, Flusher};
use crate::upstream::io::UpstreamIo;

/// Drives a connection to its end: until the endpoint ends it, or nobody has a part of it any more.
pub(super) async fn drive(
    mut connection: Connection<Wire, QueuedPiece>,
    flusher: Flusher<UpstreamIo>,
    shared: Rc<Http2State>,
) {
    let mut pings = connection.ping_pong().map(Pings::new);
    let ended = poll_fn(|cx| {
        shared.turn.begin();
        let silent = pings.as_mut().is_some_and(|pings| pings.poll_silent(&shared, cx).is_ready());
        let polled = match silent {
            true => Poll::Ready(Ok(())),
            false => Pin::new(&mut connection).poll(cx),
        };
        if shared.turn.is_full() {
            shared.answers.borrow_mut().each(|answer| {
                answer.gather();
                answer.count();
            });
        }
        flusher.flush(cx);
        polled
    });
    if let Err(error) = ended.await {
        tracing::debug!(%error, "an HTTP/2 connection to an endpoint failed");
    }
    shared.ended.set(true);
}

/// How much was read since the connection was polled last, and since answers were gathered.
#[derive(Default)]
pub(super) struct ReadTurn {
    read_bytes: Cell<usize>,
    ungathered_bytes: Cell<usize>,
}

/// What is read before other tasks have their turn, and what may come before answers are gathered: 6,500 frames of one byte, which are
/// 2 MiB in h2.
const TURN_BYTES_MAX: usize = 64 * 1024;

impl ReadTurn {
    fn begin(&self) {
        self.read_bytes.set(0);
    }

    fn read(&self, bytes: usize) {
        self.read_bytes.set(self.read_bytes.get() + bytes);
        self.ungathered_bytes.set(self.ungathered_bytes.get() + bytes);
    }

    /// Whether answers are to be gathered now.
    fn is_full(&self) -> bool {
        let is_full = self.ungathered_bytes.get() >= TURN_BYTES_MAX;
        if is_full {
            self.ungathered_bytes.set(0);
        }
        is_full
    }
}

/// The connection's end of a socket, read in turns.
pub(super) struct Wire {
    io: Coalesced<UpstreamIo>,
    turn: Rc<ReadTurn>,
    frames: FrameReader,
    /// Its end was read, and is told next time.
    ended: bool,
}

impl Wire {
    pub(super) fn new(io: Coalesced<UpstreamIo>, turn: Rc<ReadTurn>) -> Wire {
        Wire { io, turn, frames: FrameReader::behind(0), ended: false }
    }
}

impl AsyncRead for Wire {
    /// The end of a connection is told one turn late: h2 calls a stream broken whose request is still being sent, although its answer is
    /// whole and waits to be taken. Whoever waits for it takes it in between.
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.turn.read_bytes.get() >= TURN_BYTES_MAX {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buf.filled().len();
        let Wire { io, frames, .. } = &mut *self;
        // h2 ends a connection when 100 of them have come in its life.
        let read = ready!(frames.poll_read(io, cx, buf, |_| Passes::Hidden));
        let bytes = buf.filled().len() - before;
        self.turn.read(bytes);
        if bytes == 0 && !std::mem::replace(&mut self.ended, true) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(read)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// Asks an endpoint that says nothing, while streams wait for it, whether it is there.
struct Pings {
    pings: PingPong,
    timer: Option<Pin<Box<Sleep>>>,
    /// What had been heard when the timer was set.
    heard_bytes: u64,
    asked: bool,
    /// For how many times [`PING_AFTER`] it has not answered.
    silences: u32,
}

/// 15 × 20 s are the idle time of HTTP connections by default. A process that does not read for a while cannot answer; whether its system does, and
/// so whether there is anybody, is seen by its acknowledgements, much sooner (`acks`).
const SILENCES_MAX: u32 = 15;

impl Pings {
    fn new(pings: PingPong) -> Pings {
        Pings { pings, timer: None, heard_bytes: 0, asked: false, silences: 0 }
    }

    /// Ready when the endpoint did not answer. Costs a look at a timer that is set at most once in [`PING_AFTER`].
    fn poll_silent(&mut self, shared: &Http2State, cx: &mut Context<'_>) -> Poll<()> {
        if self.asked && self.pings.poll_pong(cx).is_ready() {
            (self.asked, self.silences) = (false, 0);
        }
        loop {
            let Some(timer) = &mut self.timer else {
                if shared.streams.get() == 0 {
                    return Poll::Pending;
                }
                self.set(shared);
                continue;
            };
            ready!(timer.as_mut().poll(cx));
            let was_silent = shared.line.heard_bytes() == self.heard_bytes;
            if was_silent && self.asked {
                self.silences += 1;
                if self.silences == SILENCES_MAX {
                    return Poll::Ready(());
                }
                self.set(shared);
                continue;
            }
            self.timer = None;
            self.asked =
                was_silent && shared.streams.get() > 0 && self.pings.send_ping(Ping::opaque()).is_ok();
        }
    }

    fn set(&mut self, shared: &Http2State) {
        self.heard_bytes = shared.line.heard_bytes();
        self.timer = Some(Box::pin(crate::clock::sleep(PING_AFTER)));
    }
}
