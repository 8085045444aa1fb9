//! Serves HTTP/2 to a client: h2 owns the frames, each stream is a task of this worker.

use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use h2::Reason;
use h2::server::{Builder, Connection, Handshake};
use svc_core::outcome::Failure;
use tokio::io::{AsyncRead, AsyncWrite};

use super::stream::{StreamClient, serve_stream};
use crate::client::flood::{CANCELLED_AT_FIRST, StreamCounts};
use crate::client::io::ClientIo;
use crate::client::tracker::{ConnectionGuard, Graceful, supervise};
use crate::context::WorkerContext;
use crate::http::h2::backlog::{Backlog, QueuedPiece, STREAM_HELD_BYTES_MAX};
use crate::http::h2::intake::Intake;
use crate::http::h2::keep_alive::KeepAlive;
use crate::http::h2::traffic::{Traffic, Watched};
use crate::http::limits::HEADER_BYTES_MAX;
use crate::metrics::floods::Flood;
use crate::net::coalesce::coalesce;
use crate::routing::resolve::ClientOrigin;

/// Streams that one client may have open on one connection; what Envoy and nginx allow at most by default.
pub(super) const STREAMS_MAX: u32 = 128;

/// How much of a request's body waits here for an endpoint that does not read it. HAProxy's default too; 64 MB/s at 1 ms to the client
/// and back.
const STREAM_WINDOW_BYTES: u32 = 64 * 1024;

/// What all streams of a connection may have waiting: as much as each may for itself, 128 × 64 KiB = 8 MiB, so that those whose endpoints do
/// not read stop none of the others. `--memory-max` bounds the sum over all clients.
const CONNECTION_WINDOW_BYTES: u32 = STREAMS_MAX * STREAM_WINDOW_BYTES;

/// Heads beyond [`HEADER_BYTES_MAX`] are read as long as they are no larger than this, so that the answer and the record are ours. One
/// connection has one of them in the making: 128 KiB of it, and as much of what has been read of it.
const READ_HEADER_BYTES_MAX: u32 = 2 * HEADER_BYTES_MAX;

/// How many streams that we have reset in the last second h2 remembers: trailers on their way to one that it has forgotten end the
/// connection. Twice those that can be open, about half a KiB each.
const RESETS_REMEMBERED: usize = 2 * STREAMS_MAX as usize;

/// Serves a client until it leaves, the connection is overdue, or it has drained.
pub(crate) async fn serve(
    io: ClientIo,
    mut origin: ClientOrigin,
    context: &Rc<WorkerContext>,
    connection_guard: &ConnectionGuard<'_>,
) -> Result<(), Failure> {
    let patience = io.idle.or(context.config.deadlines.idle_http).unwrap_or_default();
    let traffic = Rc::new(Traffic::default());
    origin.streams = Some(StreamCounts::of(connection_guard.remote()));
    let backlog = Rc::new(Backlog::of(&origin.holder));
    let intake = Intake::of(&origin.holder);
    let client = Rc::new(StreamClient {
        origin: Rc::new(origin),
        context: context.clone(),
        backlog,
        intake,
        patience,
    });
    let (io, flusher) = coalesce(io);
    let serving = ServedConnection {
        state: ServingState::Handshake(Box::new(settings().handshake(Watched::new(io, traffic.clone())))),
        client,
        traffic,
        draining: false,
    };
    settle(supervise(pin!(serving), connection_guard, |cx| flusher.flush(cx)).await, context)
}

fn settings() -> Builder {
    let mut builder = Builder::new();
    builder
        .enable_connect_protocol()
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(READ_HEADER_BYTES_MAX)
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .data_frame_budget(usize::MAX) // `Intake` bounds what it is for
        .max_local_error_reset_streams(None) // `Traffic` and `StreamCounts` bound what it is for
        .max_concurrent_reset_streams(RESETS_REMEMBERED)
        .max_pending_accept_reset_streams(CANCELLED_AT_FIRST as usize)
        .max_send_buffer_size(2 * STREAM_HELD_BYTES_MAX); // what is queued is bounded before
    builder
}

/// A connection, which is done when its client has left, or when it has drained.
struct ServedConnection<I> {
    state: ServingState<Watched<I>>,
    client: Rc<StreamClient>,
    traffic: Rc<Traffic>,
    /// Asked to finish before it had begun.
    draining: bool,
}

#[expect(clippy::large_enum_variant, reason = "it is this variant from the first moments on")]
enum ServingState<I> {
    /// Boxed: it is there for a moment.
    Handshake(Box<Handshake<I, QueuedPiece>>),
    Open(OpenConnection<I>),
}

struct OpenConnection<I> {
    connection: Connection<I, QueuedPiece>,
    keep_alive: KeepAlive,
}

/// Why a connection failed.
#[derive(Debug)]
enum ConnectionError {
    /// h2 says so.
    Connection(h2::Error),
    /// Its client sends what no message needs.
    Flooded,
}

impl<I: AsyncRead + AsyncWrite + Unpin> Future for ServedConnection<I> {
    type Output = Result<(), ConnectionError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let serving = self.get_mut();
        loop {
            match &mut serving.state {
                ServingState::Handshake(handshake) => {
                    let mut connection =
                        ready!(Pin::new(&mut **handshake).poll(cx)).map_err(ConnectionError::Connection)?;
                    if serving.draining {
                        connection.graceful_shutdown();
                    }
                    let pings = connection.ping_pong().expect("nobody has taken it");
                    let keep_alive = KeepAlive::new(pings, serving.traffic.clone());
                    serving.state = ServingState::Open(OpenConnection { connection, keep_alive });
                }
                ServingState::Open(open) => return open.poll(&serving.client, &serving.traffic, cx),
            }
        }
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> OpenConnection<I> {
    fn poll(
        &mut self,
        client: &Rc<StreamClient>,
        traffic: &Traffic,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), ConnectionError>> {
        let ended = self.accept(client, traffic, cx);
        let (bytes, small_frames) = traffic.take_heard();
        if bytes > 0 {
            client.intake.hears(bytes, small_frames);
        }
        traffic.ends_turn(cx);
        for refused in traffic.refused() {
            client.record_refusal(refused);
        }
        if ended.is_ready() {
            return ended;
        }
        if traffic.is_flood() {
            self.connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
            let _told = self.connection.poll_closed(cx); // as far as the socket takes it
            return Poll::Ready(Err(ConnectionError::Flooded));
        }
        self.keep_alive.poll_dead(cx).map(Ok)
    }

    /// Begins the streams that the client opens; ready when it opens no more.
    fn accept(
        &mut self,
        client: &Rc<StreamClient>,
        traffic: &Traffic,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), ConnectionError>> {
        while let Some(accepted) = ready!(self.connection.poll_accept(cx)) {
            let (request, respond) = accepted.map_err(ConnectionError::Connection)?;
            traffic.accepts(respond.stream_id().as_u32());
            let request = client.receive(request);
            tokio::task::spawn_local(serve_stream(request, respond, client.clone()));
        }
        Poll::Ready(Ok(()))
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> Graceful for ServedConnection<I> {
    fn finish(self: Pin<&mut Self>) {
        let serving = self.get_mut();
        match &mut serving.state {
            ServingState::Open(open) => open.connection.graceful_shutdown(),
            ServingState::Handshake(_) => serving.draining = true,
        }
    }
}

/// What the end of a connection means. Failures of requests have their own accounts; here only what no request has seen counts.
fn settle(
    ended: Result<Result<(), ConnectionError>, Failure>,
    context: &WorkerContext,
) -> Result<(), Failure> {
    let flood = match &ended {
        Ok(Err(ConnectionError::Flooded)) => Some(Flood::Frames),
        // Which of its limits was exceeded h2 tells the client, not us.
        Ok(Err(ConnectionError::Connection(error))) if is_library(error, Reason::ENHANCE_YOUR_CALM) => {
            Some(Flood::Frames)
        }
        Err(Failure::HeaderTimeout) => Some(Flood::SlowHead),
        Err(Failure::Flooded) => Some(Flood::Resets),
        Ok(Ok(()) | Err(ConnectionError::Connection(_))) | Err(_) => None,
    };
    flood.into_iter().for_each(|flood| context.recorder.metrics.flooded(flood));
    match ended {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) if flood.is_some() => Err(Failure::Flooded),
        Ok(Err(ConnectionError::Connection(error))) if error.is_library() => {
            tracing::debug!(%error, "a client's HTTP/2 connection is malformed");
            Err(Failure::BadRequest)
        }
        Ok(Err(_)) => Ok(()), // what was under way has its own account
        Err(overdue) => Err(overdue),
    }
}

fn is_library(error: &h2::Error, reason: Reason) -> bool {
    error.is_library() && error.reason() == Some(reason)
}
