//! An answer on its way from an endpoint: its head, then its body as it comes.

use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::Frame;
use tokio::io::AsyncRead;

use super::body::{BodyStep, ResponseFraming};
use super::head::{self, ResponseHead};
use super::read_error::ReadError;
use super::request_kind::RequestKind;
use super::unread::Unread;

/// What an endpoint says.
#[derive(Default)]
pub(super) struct ResponseReader {
    unread: Unread,
    framing: ResponseFraming,
}

impl ResponseReader {
    /// Whether all of an answer was heard, and nothing behind it.
    pub(super) fn is_empty(&self) -> bool {
        self.is_end() && self.unread.len() == 0
    }

    /// Whether the answer's body has ended.
    pub(super) fn is_end(&self) -> bool {
        self.framing.is_end()
    }

    /// How many bytes of it are to come, where that is known.
    pub(super) fn left(&self) -> Option<u64> {
        self.framing.left()
    }

    /// What follows the head of an answer that has no body.
    pub(super) fn into_unread(self) -> Bytes {
        self.unread.bytes
    }

    /// The next head: a 1xx, or that of an answer, whose body [`ResponseReader::poll_frame`] has then.
    pub(super) fn poll_head(
        &mut self,
        io: &mut (impl AsyncRead + Unpin),
        asks: RequestKind,
        cx: &mut Context<'_>,
    ) -> Poll<Result<ResponseHead, ReadError>> {
        let mut seen = 0;
        loop {
            if let Some(head) = head::take(&mut self.unread.bytes, seen, asks)? {
                self.framing = head.framing;
                return Poll::Ready(Ok(head));
            }
            seen = self.unread.len();
            match ready!(self.unread.poll_more(io, None, cx)) {
                Ok(true) => {}
                Ok(false) | Err(_) => return Poll::Ready(Err(ReadError::CutShort)),
            }
        }
    }

    /// The next part of the answer's body; nothing when it has ended.
    pub(super) fn poll_frame(
        &mut self,
        io: &mut (impl AsyncRead + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ReadError>>> {
        loop {
            match self.framing.step(&mut self.unread.bytes)? {
                BodyStep::Frame(frame) => return Poll::Ready(Some(Ok(frame))),
                BodyStep::End => return Poll::Ready(None),
                BodyStep::More => {}
            }
            match ready!(self.unread.poll_more(io, self.framing.left(), cx)) {
                Ok(true) => {}
                Ok(false) if self.framing == ResponseFraming::Rest => self.framing = ResponseFraming::NOTHING,
                Ok(false) | Err(_) => return Poll::Ready(Some(Err(ReadError::CutShort))),
            }
        }
    }
}
