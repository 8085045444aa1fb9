//! The body of a client's request, in whatever version it comes.

use std::error::Error;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::Reason;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use svc_core::outcome::Failure;

use super::http2::recv::RecvBody;
use super::http2::send::ResetReason;

/// A request's body as its client sends it.
pub(crate) enum ClientBody {
    /// In hyper's framing, which knows where it ends.
    Http1(Incoming),
    /// Ends by END_STREAM alone.
    #[allow(dead_code, reason = "the server side comes next")]
    Http2(RecvBody),
}

impl Body for ClientBody {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        match &mut *self {
            ClientBody::Http1(incoming) => {
                Pin::new(incoming).poll_frame(cx).map_err(|error| Cut::of_http1(&error))
            }
            ClientBody::Http2(stream) => {
                Pin::new(stream).poll_frame(cx).map_err(|error| Cut::of_http2(&error))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            ClientBody::Http1(incoming) => incoming.is_end_stream(),
            ClientBody::Http2(stream) => stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            ClientBody::Http1(incoming) => incoming.size_hint(),
            ClientBody::Http2(stream) => stream.size_hint(),
        }
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
