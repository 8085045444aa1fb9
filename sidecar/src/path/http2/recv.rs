//! What a stream of HTTP/2 receives: a message's body, whole only by END_STREAM.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::RecvStream;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{CONTENT_LENGTH, HeaderMap};

/// The body of a message on a stream.
///
/// It ends (`None`) only where its peer has said END_STREAM, and has sent as many bytes as the head promised (RFC 9113 §8.1.1). Every
/// RST_STREAM is an error, those with NO_ERROR and CANCEL included: such a message is cut, whatever its peer meant.
pub(crate) struct RecvBody {
    stream: RecvStream,
    /// What the head's `content-length` leaves to come.
    left: Option<u64>,
    /// Bytes that the reader has, and that count against the windows until it asks for more.
    taken: usize,
    /// Nothing but trailers can follow.
    is_past_data: bool,
}

impl RecvBody {
    /// What follows a head with these headers.
    pub(crate) fn new(stream: RecvStream, headers: &HeaderMap) -> RecvBody {
        RecvBody { stream, left: content_length(headers), taken: 0, is_past_data: false }
    }

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, h2::Error>>> {
        self.give_back();
        let polled = ready!(self.stream.poll_data(cx));
        if let Some(Ok(data)) = &polled {
            self.taken = data.len();
            self.left = self.left.map(|left| left.saturating_sub(data.len() as u64));
        }
        Poll::Ready(polled)
    }

    /// The reader has done with what it took: its peer may send as much again.
    fn give_back(&mut self) {
        let taken = std::mem::take(&mut self.taken);
        if taken > 0 {
            // Fails only for more than was received.
            let _ = self.stream.flow_control().release_capacity(taken);
        }
    }
}

impl Body for RecvBody {
    type Data = Bytes;
    type Error = h2::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        let body = &mut *self;
        if !body.is_past_data {
            match ready!(body.poll_data(cx)) {
                Some(data) => return Poll::Ready(Some(data.map(Frame::data))),
                None => body.is_past_data = true,
            }
        }
        body.stream
            .poll_trailers(cx)
            .map(|polled| polled.transpose().map(|polled| polled.map(Frame::trailers)))
    }

    fn is_end_stream(&self) -> bool {
        self.stream.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match self.left {
            _ if self.stream.is_end_stream() => SizeHint::with_exact(0),
            Some(left) => SizeHint::with_exact(left),
            None => SizeHint::default(),
        }
    }
}

/// The `content-length` of a head. `h2` has refused a stream whose several values differ, or are no numbers.
fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests;
