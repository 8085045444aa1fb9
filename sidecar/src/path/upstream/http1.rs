//! One HTTP/1 connection to an endpoint, driven by whoever uses it: no task of its own, no second wake-up.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming};
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use svc_core::outcome::Failure;

use super::{IDLE_FOR, Line, UpstreamIo, keep_alive};
use crate::clock;
use crate::path::request_body::UpstreamBody;

/// A connection and the handle that sends requests on it. hyper expects a task to drive the one and another to hold the other;
/// here a request's own task does both, by polling the connection before it looks at what it waits for.
pub(crate) struct Http1 {
    sender: SendRequest<UpstreamBody>,
    connection: Connection<TokioIo<UpstreamIo>, UpstreamBody>,
    line: Rc<Line>,
    idle_since_ms: u32,
    /// How long it is kept when nothing is asked: what its endpoint says, or the usual time.
    idle_for_ms: u32,
    reused: bool,
    spent: bool,
}

impl Http1 {
    pub(super) async fn handshake(io: UpstreamIo) -> Result<Box<Http1>, Failure> {
        let line = io.line().clone();
        let (sender, connection) =
            Builder::new().handshake(TokioIo::new(io)).await.map_err(|_| Failure::BadResponse)?;
        Ok(Box::new(Http1 {
            sender,
            connection,
            line,
            idle_since_ms: 0,
            idle_for_ms: IDLE_FOR.as_millis() as u32,
            reused: false,
            spent: false,
        }))
    }

    /// Moves whatever can be moved; true as long as the connection is open.
    pub(crate) fn drive(&mut self, cx: &mut Context<'_>) -> bool {
        self.connection.poll_without_shutdown(cx).is_pending()
    }

    pub(super) fn is_open(&mut self, cx: &mut Context<'_>) -> bool {
        self.drive(cx) && self.sender.is_ready()
    }

    /// Whether its endpoint keeps it open for long enough yet.
    pub(super) fn is_fresh(&self) -> bool {
        clock::coarse_since(self.idle_since_ms) < self.idle_for_ms
    }

    /// Makes the connection ready for its next request; false when it will never be.
    pub(super) fn settle(&mut self, cx: &mut Context<'_>) -> bool {
        self.reused = true;
        self.idle_since_ms = clock::coarse_ms();
        !self.spent && self.is_fresh() && (self.sender.is_ready() || self.is_open(cx))
    }

    /// Begins to send a request; [`Http1::hear`] goes on. Two steps, of which only the second waits: a future of both would hold the request
    /// beside what hyper makes of it, in the place that each idle connection keeps for its next exchange.
    pub(crate) fn send(&mut self, request: Request<UpstreamBody>) -> impl Future<Output = Heard> + use<> {
        self.sender.send_request(request)
    }

    /// Sends the rest of the request and waits for the head of its response.
    pub(crate) async fn hear(
        &mut self,
        mut response: Pin<&mut impl Future<Output = Heard>>,
    ) -> Result<Response<Incoming>, Failure> {
        let heard_before = self.line.heard_bytes();
        let connection = &mut self.connection;
        let answer = std::future::poll_fn(|cx| {
            // The connection first: what it has for us is then there when we look, so that nobody needs to be woken for it.
            let _ended = connection.poll_without_shutdown(cx);
            response.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        })
        .await;
        if let Ok(response) = &answer
            && let Some(keeps) = keep_alive::timeout(response.headers())
        {
            self.idle_for_ms = keeps.saturating_sub(AHEAD).min(IDLE_FOR).as_millis() as u32;
        }
        answer.map_err(|error| {
            self.explain(match error {
                error if error.is_parse() => Failure::BadResponse,
                _ if self.reused && self.line.heard_bytes() == heard_before => Failure::Unprocessed,
                error if error.is_user() => Failure::ClientGone, // the request body failed: its client has gone
                _ => Failure::Reset,
            })
        })
    }

    /// What a failure of this connection means.
    pub(crate) fn explain(&self, looks_like: Failure) -> Failure {
        self.line.explain(looks_like)
    }

    /// Makes this the connection's last response.
    pub(crate) fn refuse_reuse(&mut self) {
        self.spent = true;
    }

    /// Takes the socket back after a `101 Switching Protocols`, with what was read beyond the head.
    pub(crate) async fn into_upgraded(mut self: Box<Self>) -> Result<(UpstreamIo, Bytes), Failure> {
        std::future::poll_fn(|cx| self.connection.poll_without_shutdown(cx))
            .await
            .map_err(|_| self.explain(Failure::Truncated))?;
        let parts = self.connection.into_parts();
        Ok((parts.io.into_inner(), parts.read_buf))
    }
}

/// What hyper says came of a request.
type Heard = hyper::Result<Response<Incoming>>;

/// A connection is let go of this long before its endpoint would end it: a request is on its way for less.
const AHEAD: Duration = Duration::from_secs(1);

/// A step of a body.
pub(crate) type PolledFrame<B> = Poll<Option<Result<Frame<<B as Body>::Data>, <B as Body>::Error>>>;

/// Polls a body whose connection has just been driven, or is about to be, by the same task.
pub(crate) fn poll_unwoken<B: Body + Unpin>(body: &mut B) -> PolledFrame<B> {
    Pin::new(body).poll_frame(&mut Context::from_waker(Waker::noop()))
}
