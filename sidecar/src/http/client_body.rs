//! The body of a client's request, in whatever version it comes.

use std::cell::RefCell;
use std::error::Error;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::{fmt, io};

use bytes::Bytes;
use h2::Reason;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use svc_core::outcome::Failure;

use super::h2::malformed::rule_broken_by_fields;
use super::h2::recv::RecvBody;
use super::h2::send::ResetReason;
use super::interim::{Interim, Respond};
use super::limits::exceeded_by;

/// A request's body as its client sends it.
pub(crate) enum ClientBody {
    /// In hyper's framing, which knows where it ends.
    Http1(Incoming),
    /// Ends by END_STREAM alone. Boxed: each exchange keeps a place for the body of its request, and most have none.
    Http2(Option<Box<BodyStream>>, Rc<Respond>),
    /// There is none.
    Empty,
}

impl Body for ClientBody {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        match &mut *self {
            ClientBody::Http1(incoming) => {
                Pin::new(incoming).poll_frame(cx).map_err(|error| Cut::of_http1(&error))
            }
            ClientBody::Http2(Some(stream), _) => {
                stream.poll_frame(cx).map_err(|error| Cut::of_http2(&error)).map(well_formed)
            }
            ClientBody::Http2(None, _) | ClientBody::Empty => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            ClientBody::Http1(incoming) => incoming.is_end_stream(),
            ClientBody::Http2(Some(stream), _) => stream.is_end_stream(),
            ClientBody::Http2(None, _) | ClientBody::Empty => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            ClientBody::Http1(incoming) => incoming.size_hint(),
            ClientBody::Http2(Some(stream), _) => stream.size_hint(),
            ClientBody::Http2(None, _) | ClientBody::Empty => SizeHint::with_exact(0),
        }
    }
}

/// A body on a stream of HTTP/2, whose last bytes come with its end: an HTTP/1 endpoint that was promised a length would else have all of a
/// request that its client may yet give up.
pub(crate) struct BodyStream {
    /// Shared with those who count it.
    body: Rc<RefCell<RecvBody>>,
    /// All that was promised is there, and the end is not.
    last: Option<Bytes>,
    /// What ended it, behind that.
    trailers: Option<Frame<Bytes>>,
}

impl BodyStream {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        if self.trailers.is_some() {
            return self.end();
        }
        loop {
            let polled = Pin::new(&mut *self.body.borrow_mut()).poll_frame(cx);
            match ready!(polled) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) if self.is_last(&data) => self.last = Some(data),
                    Ok(data) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                    Err(trailers) => {
                        self.trailers = Some(trailers);
                        return self.end();
                    }
                },
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return self.end(),
            }
        }
    }

    /// The end has been said: what waited for it, one after the other.
    fn end(&mut self) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        let last = self.last.take().map(Frame::data);
        Poll::Ready(last.or_else(|| self.trailers.take()).map(Ok))
    }

    fn is_last(&self, data: &Bytes) -> bool {
        let body = self.body.borrow();
        !data.is_empty() && body.size_hint().exact() == Some(0) && !body.is_end_stream()
    }

    fn is_end_stream(&self) -> bool {
        self.last.is_none() && self.trailers.is_none() && self.body.borrow().is_end_stream()
    }

    /// What is promised and not taken yet. A length of nothing is no promise before the end is there: the head alone would be all of a request.
    fn size_hint(&self) -> SizeHint {
        let last_bytes = self.last.as_ref().map_or(0, |last| last.len() as u64);
        let left = self.body.borrow().size_hint().exact().map(|left| left + last_bytes);
        left.filter(|left| *left > 0 || self.is_end_stream())
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl ClientBody {
    /// The body on a stream, if there is any, whose client can have interim answers.
    pub(crate) fn of_stream(body: Option<Rc<RefCell<RecvBody>>>, respond: Rc<Respond>) -> ClientBody {
        let stream = body.map(|body| Box::new(BodyStream { body, last: None, trailers: None }));
        ClientBody::Http2(stream, respond)
    }

    /// What takes interim answers to the client, if it can have any.
    pub(crate) fn interim(&self) -> Option<Interim> {
        match self {
            ClientBody::Http2(_, respond) => Some(Interim::Client(respond.clone())),
            ClientBody::Http1(_) | ClientBody::Empty => None,
        }
    }
}

/// Trailers are held to the rules of all fields.
fn well_formed(part: Option<Result<Frame<Bytes>, Cut>>) -> Option<Result<Frame<Bytes>, Cut>> {
    let trailers = part.as_ref().and_then(|part| part.as_ref().ok()?.trailers_ref());
    let broken = |fields| {
        rule_broken_by_fields(fields).or_else(|| exceeded_by(fields, 0).then_some("length of the trailers"))
    };
    match trailers.and_then(broken) {
        Some(rule) => {
            tracing::debug!(rule, "trailers are refused");
            Some(Err(Cut::new(Failure::BadRequest)))
        }
        None => part,
    }
}

/// Why a client's body has no end.
#[derive(Debug)]
pub(crate) struct Cut {
    /// It is malformed, or its client has gone.
    pub(crate) failure: Failure,
    /// An HTTP/2 endpoint is told CANCEL: nothing is wrong but that nobody waits any more (RFC 9113 §7).
    told: h2::Error,
}

impl Cut {
    fn new(failure: Failure) -> Cut {
        Cut { failure, told: Reason::CANCEL.into() }
    }

    fn of_http1(error: &hyper::Error) -> Cut {
        let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
        Cut::new(match cause.map(io::Error::kind) {
            Some(io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) => Failure::BadRequest,
            Some(_) | None => Failure::ClientGone,
        })
    }

    /// h2 refuses what is malformed, a length that is not reached among it, with a reset of its own.
    fn of_http2(error: &h2::Error) -> Cut {
        let is_malformed = error.is_library() && error.reason() == Some(Reason::PROTOCOL_ERROR);
        Cut::new(if is_malformed { Failure::BadRequest } else { Failure::ClientGone })
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the client's request broke off")
    }
}

impl Error for Cut {
    /// hyper looks here for what to tell an HTTP/2 endpoint.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.told)
    }
}

impl ResetReason for Cut {
    fn reset_reason(&self) -> Reason {
        Reason::CANCEL
    }
}
