//! What a stream of HTTP/2 receives: a message's body, whole only by END_STREAM.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Bytes, BytesMut};
use h2::RecvStream;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{CONTENT_LENGTH, HeaderMap};

use crate::memory::{Holder, Received};

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
    /// What was gathered while the reader took nothing.
    gathered: GatheredParts,
    /// The reader, while it waits for more.
    reader: Option<Waker>,
    /// What waits for the reader, on the ledger.
    held: Option<Received>,
}

impl RecvBody {
    /// What follows a head with these headers.
    pub(crate) fn new(stream: RecvStream, headers: &HeaderMap) -> RecvBody {
        RecvBody {
            stream,
            left: content_length(headers),
            taken: 0,
            is_past_data: false,
            gathered: GatheredParts::default(),
            reader: None,
            held: None,
        }
    }

    /// Has what waits for its reader counted as held for `holder`, whenever it [is counted](RecvBody::count).
    pub(crate) fn count_for(&mut self, holder: &Holder) {
        self.held = Some(holder.receive());
    }

    /// Counts what waits for its reader.
    pub(crate) fn count(&mut self) {
        let waiting = self.stream.flow_control().used_capacity() + self.gathered.slack();
        if let Some(held) = &mut self.held {
            held.resize(waiting);
        }
    }

    /// Takes over what h2 has received of the stream.
    ///
    /// h2 keeps some 300 bytes for each frame, and all of the buffer that it was read into, however few bytes it has: a window of 128 KiB
    /// becomes 40 MiB in frames of one byte. Whoever drives a connection gathers the bodies of its streams each time that as much came as
    /// may be held so; what is held then is little more than what the windows count.
    pub(crate) fn gather(&mut self) {
        if self.is_past_data {
            return;
        }
        let reader = self.reader.take();
        let mut cx = Context::from_waker(reader.as_ref().unwrap_or(Waker::noop()));
        loop {
            match self.stream.poll_data(&mut cx) {
                Poll::Ready(Some(Ok(data))) => self.gathered.push(data),
                Poll::Ready(None) => self.is_past_data = true,
                // An error is there again when the reader comes to it.
                Poll::Ready(Some(Err(_))) | Poll::Pending => break,
            }
            if self.is_past_data {
                break;
            }
        }
        self.reader = reader;
    }

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, h2::Error>>> {
        self.give_back();
        let polled = match self.gathered.pop() {
            Some(data) => Some(Ok(data)),
            None if self.is_past_data => None,
            None => ready!(self.poll_stream(cx)),
        };
        match &polled {
            Some(Ok(data)) => {
                self.taken = data.len();
                self.left = self.left.map(|left| left.saturating_sub(data.len() as u64));
            }
            Some(Err(_)) => {}
            None => self.is_past_data = true,
        }
        Poll::Ready(polled)
    }

    /// Asks h2, which remembers one task: that of the reader, whoever asks.
    fn poll_stream(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, h2::Error>>> {
        let polled = self.stream.poll_data(cx);
        match &mut self.reader {
            reader if polled.is_ready() => *reader = None,
            Some(reader) => reader.clone_from(cx.waker()),
            reader @ None => *reader = Some(cx.waker().clone()),
        }
        polled
    }

    /// The reader has done with what it took: its peer may send as much again.
    fn give_back(&mut self) {
        let taken = std::mem::take(&mut self.taken);
        if taken > 0 {
            // Fails only for more than was received.
            let _ = self.stream.flow_control().release_capacity(taken);
            if self.held.as_ref().is_some_and(|held| held.bytes() > 0) {
                self.count();
            }
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
        if let Some(data) = ready!(body.poll_data(cx)) {
            return Poll::Ready(Some(data.map(Frame::data)));
        }
        body.stream
            .poll_trailers(cx)
            .map(|polled| polled.transpose().map(|polled| polled.map(Frame::trailers)))
    }

    fn is_end_stream(&self) -> bool {
        self.gathered.is_empty() && self.stream.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match self.left {
            _ if self.is_end_stream() => SizeHint::with_exact(0),
            Some(left) => SizeHint::with_exact(left),
            None => SizeHint::default(),
        }
    }
}

/// Parts of a body that wait for a reader: small ones are copied together.
#[derive(Default)]
struct GatheredParts {
    parts: VecDeque<Bytes>,
    /// Behind them.
    small: BytesMut,
}

/// A part of this size stays as it is: h2 reads into buffers of 8 to 16 KiB, so that what it keeps alive is four times as much at most.
const WHOLE_BYTES_MIN: usize = 4 * 1024;

/// What h2 reads into at most.
const READ_BUFFER_BYTES: usize = 16 * 1024;

impl GatheredParts {
    fn push(&mut self, data: Bytes) {
        if data.len() < WHOLE_BYTES_MIN {
            self.small.extend_from_slice(&data);
        } else {
            self.settle();
            self.parts.push_back(data);
        }
    }

    fn settle(&mut self) {
        if !self.small.is_empty() {
            self.parts.push_back(self.small.split().freeze());
        }
    }

    fn pop(&mut self) -> Option<Bytes> {
        if self.parts.is_empty() {
            self.settle();
        }
        let part = self.parts.pop_front();
        if self.is_empty() {
            *self = GatheredParts::default(); // and its buffers
        }
        part
    }

    /// What its buffers have beside the bytes in them.
    fn slack(&self) -> usize {
        let of_part = |part: &Bytes| READ_BUFFER_BYTES.saturating_sub(part.len());
        self.parts.iter().map(of_part).sum::<usize>() + self.small.capacity() - self.small.len()
    }

    fn is_empty(&self) -> bool {
        self.parts.is_empty() && self.small.is_empty()
    }
}

/// The `content-length` of a head. `h2` has refused a stream whose several values differ, or are no numbers.
fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests;
