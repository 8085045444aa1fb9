//! Response bodies on their way through: counted, never collected.

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use svc_core::outcome::Failure;

use super::account::Account;
use super::request::strip_trailers;
use super::request_body::{PolledFrame, RequestBody};
use super::roster::Pulse;
use super::upstream::{Http1, Slot, Upstream, poll_unwoken};

/// The body of a response, with the account that is closed by its last byte.
pub(crate) struct ResponseBody {
    source: Source,
    request: Option<Rc<RequestBody>>,
    /// Absent for `101 Switching Protocols`: the tunnel keeps it.
    account: Option<Account>,
    pulse: Option<Arc<Pulse>>,
    /// How the endpoint broke off, told one turn late: hyper closes the connection when it hears of it, and what it has not written
    /// by then is lost. A client that got no byte of a response may think that its request was never read, and send it again.
    broken: Option<hyper::Error>,
}

/// Where a response's bytes come from.
pub(crate) enum Source {
    /// Ourselves.
    Local(Bytes),
    /// A connection that this body drives, and gives back when it has ended.
    Http1 { incoming: Incoming, connection: Option<Box<Http1>>, upstream: Rc<Upstream> },
    /// A stream of a shared connection.
    Http2 { incoming: Incoming, slot: Slot },
}

impl ResponseBody {
    /// The body of an endpoint's response.
    pub(crate) fn new(
        source: Source,
        request: Option<Rc<RequestBody>>,
        mut account: Account,
        pulse: Option<Arc<Pulse>>,
    ) -> ResponseBody {
        if source.is_end_stream() {
            account.done();
        }
        ResponseBody { source, request, account: Some(account), pulse, broken: None }
    }

    /// A short answer of our own; `account` has its outcome already.
    pub(crate) fn local(text: impl Into<Bytes>, account: Account, pulse: Option<Arc<Pulse>>) -> ResponseBody {
        ResponseBody {
            source: Source::Local(text.into()),
            request: None,
            account: Some(account),
            pulse,
            broken: None,
        }
    }

    /// Nothing follows the head but a tunnel.
    pub(crate) fn tunnel() -> ResponseBody {
        ResponseBody {
            source: Source::Local(Bytes::new()),
            request: None,
            account: None,
            pulse: None,
            broken: None,
        }
    }
}

impl Source {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> PolledFrame {
        match self {
            Source::Local(bytes) if bytes.is_empty() => Poll::Ready(None),
            Source::Local(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Source::Http2 { incoming, .. } => Pin::new(incoming).poll_frame(cx),
            Source::Http1 { incoming, connection, upstream } => {
                let mut polled = poll_unwoken(incoming);
                if let (Poll::Pending, Some(connection)) = (&polled, connection.as_mut()) {
                    connection.drive(cx);
                    polled = poll_unwoken(incoming);
                }
                let ended = matches!(polled, Poll::Ready(None)) || incoming.is_end_stream();
                if let Some(connection) = connection.take_if(|_| ended) {
                    upstream.give_back(connection, cx);
                }
                polled
            }
        }
    }

    /// Why the endpoint broke off.
    fn broken(&self) -> Failure {
        match self {
            Source::Http1 { connection: Some(connection), .. } => connection.explain(Failure::Truncated),
            Source::Http2 { slot, .. } => slot.explain(Failure::Truncated),
            Source::Local(_) | Source::Http1 { connection: None, .. } => Failure::Truncated,
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Source::Local(bytes) => bytes.is_empty(),
            Source::Http1 { incoming, .. } | Source::Http2 { incoming, .. } => incoming.is_end_stream(),
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> PolledFrame {
        let body = &mut *self;
        if let Some(error) = body.broken.take() {
            return Poll::Ready(Some(Err(error)));
        }
        let polled = body.source.poll_frame(cx);
        let Some(account) = &mut body.account else { return polled };
        match polled {
            Poll::Ready(Some(Ok(mut frame))) => {
                account.hears_frame(&frame);
                frame.trailers_mut().map(strip_trailers);
                account.to_client_bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
                if body.source.is_end_stream() {
                    account.done();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                account.failed(body.source.broken());
                body.broken = Some(error);
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Poll::Ready(None) => {
                account.done();
                Poll::Ready(None)
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.source.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Local(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Source::Http1 { incoming, .. } | Source::Http2 { incoming, .. } => incoming.size_hint(),
        }
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        if let (Some(account), Some(request)) = (&mut self.account, &self.request) {
            account.to_upstream_bytes = request.sent_bytes();
        }
        if let Some(pulse) = &self.pulse {
            pulse.idle();
        }
    }
}
