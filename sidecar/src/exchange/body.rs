//! Response bodies on their way through: counted, never collected.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use h2::Reason;
use hyper::HeaderMap;
use hyper::body::{Body, Frame, SizeHint};
use svc_core::grpc;
use svc_core::outcome::Failure;
use tokio::task::coop;

use super::account::Account;
use super::deadlines::Deadline;
use super::respond;
use super::websocket::Tunnel;
use crate::clock::{self, Sleep};
use crate::http::h2::send::ResetReason;
use crate::http::headers::strip_trailers;
use crate::http::pulse::Pulse;
use crate::memory::Holder;
use crate::routing::resolve::ClientOrigin;
use crate::upstream::{Http1, StreamAnswer, Upstream};

/// The body of a response, with the account that is closed by its last byte.
pub(crate) struct ResponseBody {
    source: BodySource,
    /// Absent for `101 Switching Protocols`: the tunnel keeps it.
    account: Option<Account>,
    pulse: Option<Arc<Pulse>>,
    /// Its client. Nothing is held on behalf of an answer of our own.
    holder: Option<Holder>,
    /// How the endpoint broke off, told one turn late: hyper closes the connection when it hears of it, and what it has not written
    /// by then is lost. A client that got no byte of a response may think that its request was never read, and send it again.
    broken: Option<BodyError>,
    /// How a gRPC client is told instead.
    last_words: Option<HeaderMap>,
    /// What follows the head on a stream of HTTP/2, where it becomes a tunnel.
    tunnel: Option<Box<Tunnel>>,
    /// When it has to have ended, if ever. Looked at whenever the client takes something: one that does not read is idle, not waiting.
    deadline: Option<Pin<Box<Sleep>>>,
    /// What it is if it has not.
    late: Failure,
}

/// Where a response's bytes come from.
pub(crate) enum BodySource {
    /// Ourselves.
    Local(Bytes),
    /// A connection that this body drives, and gives back when it has ended.
    Http1 { connection: Option<Box<Http1>>, upstream: Rc<Upstream> },
    /// A stream of a shared connection.
    Http2(StreamAnswer),
}

impl ResponseBody {
    /// The body of an endpoint's response.
    pub(crate) fn new(
        source: BodySource,
        mut account: Account,
        origin: &ClientOrigin,
        deadline: Option<Deadline>,
    ) -> ResponseBody {
        let ended = source.is_end_stream();
        if ended {
            account.done();
        }
        if let BodySource::Http2(answer) = &source {
            answer.count_for(&origin.holder);
        }
        let late = deadline.map_or(Failure::Overdue, |deadline| deadline.late);
        let left = deadline.filter(|_| !ended).map(|deadline| deadline.at.since(clock::now()));
        let deadline = left.map(|left| Box::pin(crate::clock::sleep(left)));
        ResponseBody {
            source,
            account: Some(account),
            pulse: origin.pulse.clone(),
            holder: Some(origin.holder.clone()),
            broken: None,
            tunnel: None,
            last_words: None,
            deadline,
            late,
        }
    }

    /// A short answer of our own; `account` has its outcome already.
    pub(crate) fn local(text: impl Into<Bytes>, account: Account, pulse: Option<Arc<Pulse>>) -> ResponseBody {
        ResponseBody {
            source: BodySource::Local(text.into()),
            account: Some(account),
            pulse,
            holder: None,
            broken: None,
            tunnel: None,
            last_words: None,
            deadline: None,
            late: Failure::Overdue,
        }
    }

    /// Nothing follows the head but `tunnel`, on the same stream.
    pub(crate) fn tunnelled(tunnel: Tunnel) -> ResponseBody {
        let mut body = ResponseBody::tunnel();
        body.tunnel = Some(Box::new(tunnel));
        body
    }

    /// The tunnel, if nothing else follows the head.
    pub(crate) fn take_tunnel(&mut self) -> Option<Box<Tunnel>> {
        self.tunnel.take()
    }

    /// The length of an answer of our own that has a body.
    pub(crate) fn local_bytes(&self) -> Option<usize> {
        match &self.source {
            BodySource::Local(bytes) if self.account.is_some() && !bytes.is_empty() => Some(bytes.len()),
            BodySource::Local(_) | BodySource::Http1 { .. } | BodySource::Http2(_) => None,
        }
    }

    /// It is not taken to its end.
    pub(crate) fn fail(&mut self, failure: Failure) {
        if let Some(account) = &mut self.account {
            account.failed(failure);
        }
    }

    /// Nothing follows the head but a tunnel.
    pub(crate) fn tunnel() -> ResponseBody {
        ResponseBody {
            source: BodySource::Local(Bytes::new()),
            account: None,
            pulse: None,
            holder: None,
            broken: None,
            tunnel: None,
            last_words: None,
            deadline: None,
            late: Failure::Overdue,
        }
    }
}

impl BodySource {
    /// What follows the head of an answer over HTTP/1.
    pub(crate) fn of(connection: Box<Http1>, upstream: &Rc<Upstream>) -> BodySource {
        let connection = match connection.is_end() {
            false => Some(connection),
            true => {
                upstream.give_back(connection);
                None
            }
        };
        BodySource::Http1 { connection, upstream: upstream.clone() }
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> ResponseFrame {
        match self {
            BodySource::Local(bytes) if bytes.is_empty() => Poll::Ready(None),
            BodySource::Local(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            BodySource::Http2(answer) => answer.poll_frame(cx).map_err(BodyError::Stream),
            BodySource::Http1 { connection, upstream } => {
                let Some(using) = connection else { return Poll::Ready(None) };
                let polled = using.poll_frame(cx).map_err(BodyError::Connection);
                if let Some(ended) = connection.take_if(|connection| connection.is_end()) {
                    upstream.give_back(ended);
                }
                polled
            }
        }
    }

    /// Reads what is there of an answer that nobody wants, so that its connection can serve others if that was all.
    pub(crate) fn drain(&mut self) {
        let mut cx = Context::from_waker(Waker::noop());
        let mut bytes = 0;
        while let Poll::Ready(Some(Ok(frame))) = self.poll_frame(&mut cx) {
            bytes += frame.data_ref().map_or(0, Bytes::len);
            if self.is_end_stream() || bytes > DRAINED_BYTES_MAX {
                return;
            }
        }
    }

    /// What it means that it broke off.
    fn explain(&self, broken: &BodyError) -> Failure {
        match (self, broken) {
            (_, BodyError::Connection(failure)) => *failure,
            (BodySource::Http2(answer), _) => answer.explain(Failure::Truncated),
            (BodySource::Local(_) | BodySource::Http1 { .. }, _) => Failure::Truncated,
        }
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        match self {
            BodySource::Local(bytes) => bytes.is_empty(),
            BodySource::Http1 { connection, .. } => connection.is_none(),
            BodySource::Http2(answer) => answer.is_end_stream(),
        }
    }
}

/// A page that says that something does not work is smaller; one that is larger costs its connection.
const DRAINED_BYTES_MAX: usize = 64 * 1024;

/// A step of a body.
type ResponseFrame = Poll<Option<Result<Frame<Bytes>, BodyError>>>;

/// Why a response does not go on.
#[derive(Debug)]
pub(crate) enum BodyError {
    /// A stream of HTTP/2. Passes on what the endpoint said why.
    Stream(h2::Error),
    /// A connection of HTTP/1.
    Connection(Failure),
    /// Its time is over. Says CANCEL to an HTTP/2 client.
    Overdue(h2::Error),
}

impl ResetReason for BodyError {
    /// An endpoint that has reset its stream is quoted, but for NO_ERROR: to a client it would say that the answer was whole (RFC 9113 §8.1).
    fn reset_reason(&self) -> Reason {
        match self {
            BodyError::Stream(error) if error.is_reset() => match error.reason() {
                Some(Reason::NO_ERROR) | None => Reason::INTERNAL_ERROR,
                Some(reason) => reason,
            },
            BodyError::Stream(_) | BodyError::Connection(_) => Reason::INTERNAL_ERROR,
            BodyError::Overdue(_) => Reason::CANCEL,
        }
    }
}

impl BodyError {
    /// What a gRPC client is told of an answer that had begun, as the account has it.
    fn grpc_status(&self) -> grpc::Status {
        match self {
            BodyError::Stream(_) | BodyError::Connection(_) => grpc::Status::Unavailable,
            BodyError::Overdue(_) => grpc::Status::DeadlineExceeded,
        }
    }
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the response broke off")
    }
}

impl std::error::Error for BodyError {
    /// hyper looks here for what to tell an HTTP/2 client.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            BodyError::Stream(error) => Some(error),
            BodyError::Connection(_) => None,
            BodyError::Overdue(error) => Some(error),
        }
    }
}

impl ResponseBody {
    fn is_overdue(&mut self, cx: &mut Context<'_>) -> bool {
        self.deadline.as_mut().is_some_and(|deadline| deadline.as_mut().poll(cx).is_ready())
    }

    fn break_off(&mut self, failure: Failure, broken: BodyError, cx: &Context<'_>) {
        // A stream that we reset because its request broke off looks as if its endpoint had done so.
        let failure = self.account.as_ref().and_then(Account::broken_upload).unwrap_or(failure);
        if let Some(account) = &mut self.account {
            account.failed(failure);
            if account.is_grpc() {
                let told = account.tell(failure);
                self.last_words = Some(respond::grpc_trailers(broken.grpc_status(), &told));
            }
        }
        self.broken = Some(broken);
        cx.waker().wake_by_ref();
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> ResponseFrame {
        let body = &mut *self;
        if let Some(broken) = body.broken.take() {
            let last_words = body.last_words.take();
            body.source = BodySource::Local(Bytes::new());
            return Poll::Ready(Some(last_words.map(Frame::trailers).ok_or(broken)));
        }
        if body.is_overdue(cx) {
            body.break_off(body.late, BodyError::Overdue(Reason::CANCEL.into()), cx);
            return Poll::Pending;
        }
        if let Some(holder) = &body.holder {
            ready!(holder.poll_resumed(cx));
        }
        // A chunk of a byte costs as much as one of 16 KiB: other tasks have their turn after as many as a task may have at once.
        let turn = ready!(coop::poll_proceed(cx));
        let polled = body.source.poll_frame(cx);
        if polled.is_ready() {
            turn.made_progress();
        }
        let Some(account) = &mut body.account else { return polled };
        match polled {
            Poll::Ready(Some(Ok(mut frame))) => {
                account.hears_frame(&frame);
                frame.trailers_mut().map(strip_trailers);
                account.to_client_bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
                account.moved();
                if body.source.is_end_stream() {
                    account.done();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(broken))) => {
                body.break_off(body.source.explain(&broken), broken, cx);
                Poll::Pending
            }
            Poll::Ready(None) => {
                account.done();
                Poll::Ready(None)
            }
            Poll::Pending => {
                account.awaits();
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.source.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            BodySource::Local(bytes) => SizeHint::with_exact(bytes.len() as u64),
            BodySource::Http1 { connection: Some(connection), .. } => connection.size_hint(),
            BodySource::Http1 { connection: None, .. } => SizeHint::with_exact(0),
            BodySource::Http2(answer) => answer.size_hint(),
        }
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        if let Some(pulse) = &self.pulse {
            pulse.idle();
        }
    }
}
