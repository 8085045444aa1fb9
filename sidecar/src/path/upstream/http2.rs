//! One HTTP/2 connection to an endpoint, shared by the streams of all clients of a worker.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http2::{Builder, Connection, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use svc_core::outcome::Failure;

use super::{Line, UpstreamIo};
use crate::path::coalesce::{Coalesced, coalesce};
use crate::path::http::{HEADER_BYTES_MAX, STREAM_WINDOW_BYTES};
use crate::path::request_body::UpstreamBody;
use crate::path::spawn::Flushing;

/// A connection that streams share.
pub(crate) struct Http2 {
    sender: SendRequest<UpstreamBody>,
    streams: Rc<Cell<usize>>,
    line: Rc<Line>,
    /// Asked for what the peer allows at the moment; [`drive`] polls it, and takes it out when it has ended.
    connection: Rc<RefCell<Option<Driven>>>,
}

type Driven = Connection<TokioIo<Coalesced<UpstreamIo>>, UpstreamBody, Flushing<UpstreamIo>>;

/// The right to one stream; held until the response has ended.
pub(crate) struct Slot {
    sender: SendRequest<UpstreamBody>,
    streams: Rc<Cell<usize>>,
    line: Rc<Line>,
}

/// Streams on one connection, whatever more the peer allows: a second connection then shares the load, and a lost one costs less.
const STREAMS_MAX: usize = 512;

/// An endpoint that is silent for this long is asked (PING), and given up after as long again.
const PING_AFTER: Duration = Duration::from_secs(20);

impl Http2 {
    pub(super) async fn handshake(io: UpstreamIo) -> Result<Http2, Failure> {
        let line = io.line().clone();
        let (io, flusher) = coalesce(io);
        let handshake = Builder::new(Flushing(flusher.clone()))
            .timer(TokioTimer::new())
            .keep_alive_interval(PING_AFTER)
            .keep_alive_timeout(PING_AFTER)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(16 * STREAM_WINDOW_BYTES)
            .max_header_list_size(HEADER_BYTES_MAX)
            .handshake(TokioIo::new(io));
        let (sender, connection) =
            flusher.clone().drive(handshake).await.map_err(|_| Failure::BadResponse)?;
        let connection = Rc::new(RefCell::new(Some(connection)));
        tokio::task::spawn_local(flusher.drive(drive(connection.clone())));
        Ok(Http2 { sender, streams: Rc::default(), line, connection })
    }

    pub(super) fn is_open(&self) -> bool {
        self.connection.borrow().is_some() && !self.sender.is_closed()
    }

    /// Whether the peer's limit leaves room for one more stream: beyond it requests would queue here, where no other endpoint
    /// could take them. Asked each time: SETTINGS wake a task of hyper's own, not the one that [`drive`] is.
    pub(super) fn has_room(&self) -> bool {
        let connection = self.connection.borrow();
        let allowed = connection.as_ref().map_or(0, |connection| connection.current_max_send_streams());
        self.streams.get() < allowed.min(STREAMS_MAX)
    }

    pub(super) fn slot(&self) -> Slot {
        self.streams.set(self.streams.get() + 1);
        Slot { sender: self.sender.clone(), streams: self.streams.clone(), line: self.line.clone() }
    }
}

/// Drives a connection until it takes no stream any more; those that it has are driven by a task of hyper's.
async fn drive(connection: Rc<RefCell<Option<Driven>>>) {
    let ended = std::future::poll_fn(|cx| match &mut *connection.borrow_mut() {
        Some(driven) => Pin::new(driven).poll(cx),
        None => Poll::Ready(Ok(())),
    });
    if let Err(error) = ended.await {
        tracing::debug!(%error, "an HTTP/2 connection to an endpoint failed");
    }
    // It says that it is closed, and gives back the requests that came too late, only when it is dropped.
    drop(connection.take());
}

impl Slot {
    /// Begins to send a request; [`Slot::hear`] goes on. Two steps for the reason of `Http1::send`.
    pub(crate) fn send(&mut self, request: Request<UpstreamBody>) -> impl Future<Output = Heard> + use<> {
        self.sender.try_send_request(request)
    }

    /// Waits for the head of the response. `None`: the connection took no stream any more (after a GOAWAY it is only found out so), and
    /// nothing was sent.
    pub(crate) async fn hear(
        &self,
        response: Pin<&mut impl Future<Output = Heard>>,
    ) -> Result<Option<Response<Incoming>>, Failure> {
        match response.await {
            Ok(response) => Ok(Some(response)),
            Err(mut error) => match error.take_message() {
                Some(_unsent) => Ok(None),
                None => {
                    let looks_like = failure(&error.into_error());
                    // What the endpoint has said of it holds, whatever came afterwards.
                    let known = looks_like == Failure::Unprocessed;
                    Err(if known { looks_like } else { self.explain(looks_like) })
                }
            },
        }
    }

    /// What a failure of this stream means.
    pub(crate) fn explain(&self, looks_like: Failure) -> Failure {
        self.line.explain(looks_like)
    }
}

/// What hyper says came of a request, which it gives back where it was not sent.
type Heard = Result<Response<Incoming>, TrySendError<Request<UpstreamBody>>>;

impl Drop for Slot {
    fn drop(&mut self) {
        self.streams.set(self.streams.get() - 1);
    }
}

/// What an error before the response head means: whether the endpoint has said that it did not process the request
/// (RFC 9113 §6.8, §8.7).
fn failure(error: &hyper::Error) -> Failure {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<h2::Error>());
    match cause {
        Some(cause) if cause.is_go_away() && cause.is_remote() => Failure::Unprocessed,
        Some(cause) if cause.reason() == Some(h2::Reason::REFUSED_STREAM) => Failure::Unprocessed,
        Some(cause) if cause.is_reset() && cause.is_remote() => Failure::Reset,
        Some(_) => Failure::Reset,
        None if error.is_canceled() => Failure::Unprocessed,
        None if error.is_user() => Failure::ClientGone,
        None => Failure::Reset,
    }
}
