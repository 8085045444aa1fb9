//! One HTTP/2 connection to an endpoint, shared by the streams of all clients of a worker.

mod answer;
mod driver;
mod sent_request;
#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use h2::client::{Builder, SendRequest};
use h2::{Error, Reason};
use svc_core::outcome::Failure;

use super::conn_table::ConnHandle;
use super::io::UpstreamIo;
use super::keep_alive::IDLE_FOR;
use crate::clock;
use crate::http::h2::backlog::{Backlog, QueuedPiece};
use crate::http::h2::intake::Bodies;
use crate::http::limits::HEADER_BYTES_MAX;
use crate::net::coalesce::coalesce;

use driver::{ReadTurn, Wire, drive};

pub(crate) use answer::StreamAnswer;

/// A connection that streams share.
pub(crate) struct Http2 {
    sender: SendRequest<QueuedPiece>,
    shared: Rc<Http2State>,
}

/// What a connection's pool, task and streams have in common.
struct Http2State {
    line: Rc<ConnHandle>,
    streams: Cell<usize>,
    /// Since when it has had none ([`clock::coarse_ms`]).
    idle_since_ms: Cell<u32>,
    /// Its task has ended.
    ended: Cell<bool>,
    /// What of requests' bodies waits for the socket.
    backlog: Rc<Backlog>,
    answers: RefCell<Bodies>,
    turn: Rc<ReadTurn>,
}

/// The right to one stream.
pub(crate) struct Slot {
    sender: SendRequest<QueuedPiece>,
    stream: Rc<StreamSlot>,
}

/// One stream, counted for as long as somebody has a part of it.
struct StreamSlot {
    shared: Rc<Http2State>,
}

/// Streams on one connection, whatever more the peer allows: a second connection then shares the load, and a lost one costs less.
const STREAMS_MAX: u32 = 512;

/// Streams before the peer has said how many it allows: as many as it should at least (RFC 9113 §6.5.2).
const FIRST_STREAMS_MAX: usize = 100;

/// How much of an answer waits here for a client that does not read. 10 Gbit/s at 0.1 ms from endpoint to endpoint, 1 Gbit/s at 1 ms.
const STREAM_WINDOW_BYTES: u32 = 128 * 1024;

/// All that the windows of its streams allow, 64 MiB: no stream ever waits for the reader of another one. What is held is bounded by
/// the streams that are open, and they by their clients.
const CONNECTION_WINDOW_BYTES: u32 = STREAMS_MAX * STREAM_WINDOW_BYTES;

/// Heads beyond [`HEADER_BYTES_MAX`] are read as long as they are no larger than this, so that it can be said what is wrong with them.
const READ_HEADER_BYTES_MAX: u32 = 4 * HEADER_BYTES_MAX;

/// An endpoint that is silent for this long is asked (PING), and given up when it stays so for five minutes.
const PING_AFTER: Duration = Duration::from_secs(20);

impl Http2 {
    pub(super) async fn handshake(io: UpstreamIo) -> Result<Http2, Failure> {
        let line = io.line().clone();
        let (io, flusher) = coalesce(io);
        let turn = Rc::<ReadTurn>::default();
        let mut builder = Builder::new();
        builder
            .enable_push(false)
            .initial_max_send_streams(FIRST_STREAMS_MAX)
            .initial_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .data_frame_budget(usize::MAX) // answers are gathered
            .max_local_error_reset_streams(None) // one client's answers that come too late end no other's
            .max_concurrent_reset_streams(STREAMS_MAX as usize)
            .max_header_list_size(READ_HEADER_BYTES_MAX);
        let handshake = builder.handshake::<_, QueuedPiece>(Wire::new(io, turn.clone()));
        let begun = flusher.clone().drive(handshake).await;
        let (sender, connection) = begun.map_err(|_| line.explain(Failure::Reset))?;
        let shared = Rc::new(Http2State {
            line,
            streams: Cell::new(0),
            idle_since_ms: Cell::new(clock::coarse_ms()),
            ended: Cell::new(false),
            backlog: Rc::default(),
            answers: RefCell::default(),
            turn,
        });
        tokio::task::spawn_local(drive(connection, flusher, shared.clone()));
        Ok(Http2 { sender, shared })
    }

    /// Whether it takes streams: not after a GOAWAY, nor when it has had all the numbers that there are.
    pub(super) fn is_open(&mut self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        !self.shared.ended.get() && !matches!(self.sender.poll_ready(&mut cx), Poll::Ready(Err(_)))
    }

    /// Whether it has had no stream for too long. Let go of, it says GOAWAY and is closed.
    pub(super) fn is_stale(&self) -> bool {
        self.shared.streams.get() == 0
            && u128::from(clock::coarse_since(self.shared.idle_since_ms.get())) >= IDLE_FOR.as_millis()
    }

    /// Whether the peer's limit leaves room for one more stream: beyond it requests would queue here, where no other endpoint
    /// could take them.
    pub(super) fn has_room(&self) -> bool {
        self.shared.streams.get() < self.sender.current_max_send_streams().min(STREAMS_MAX as usize)
    }

    pub(super) fn slot(&self) -> Slot {
        self.shared.streams.set(self.shared.streams.get() + 1);
        Slot { sender: self.sender.clone(), stream: Rc::new(StreamSlot { shared: self.shared.clone() }) }
    }
}

impl StreamSlot {
    /// What a failure of this stream means.
    fn explain(&self, looks_like: Failure) -> Failure {
        self.shared.line.explain(looks_like)
    }

    /// What an error before the head of an answer means.
    fn explain_unanswered(&self, error: &Error) -> Failure {
        let looks_like = failure(error);
        // What the endpoint has said of it holds, whatever came afterwards.
        let known = looks_like == Failure::Unprocessed;
        if known { looks_like } else { self.explain(looks_like) }
    }
}

impl Drop for StreamSlot {
    fn drop(&mut self) {
        self.shared.streams.set(self.shared.streams.get() - 1);
        self.shared.idle_since_ms.set(clock::coarse_ms());
    }
}

/// What an error before the head of an answer looks like: whether the endpoint has said that it did not process the request (RFC 9113
/// §6.8, §8.7), or has said what is no answer.
fn failure(error: &Error) -> Failure {
    let is_go_away = error.is_go_away();
    match error.reason() {
        Some(_) if is_go_away && error.is_remote() => Failure::Unprocessed,
        Some(Reason::REFUSED_STREAM) if error.is_remote() => Failure::Unprocessed,
        // "header_list_way_too_large": h2 ends the connection then.
        Some(Reason::ENHANCE_YOUR_CALM) if is_go_away && error.is_library() => Failure::ResponseTooLarge,
        Some(_) if is_go_away && error.is_library() => Failure::ProtocolBroken,
        Some(_) if error.is_library() => Failure::BadResponse,
        Some(_) | None => Failure::Reset,
    }
}
