//! An answer on its way from an endpoint: its head, then its body as it comes.

use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::Frame;
use tokio::io::AsyncRead;

use super::asks::Asks;
use super::body::{Framing, Step};
use super::head::{self, Head};
use super::unheard::Unheard;
use super::unread::Unread;

/// What an endpoint says.
#[derive(Default)]
pub(super) struct Inbox {
    unread: Unread,
    framing: Framing,
}

impl Inbox {
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

    /// The next head: a 1xx, or that of an answer, whose body [`Inbox::poll_frame`] has then.
    pub(super) fn poll_head(
        &mut self,
        io: &mut (impl AsyncRead + Unpin),
        asks: Asks,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Head, Unheard>> {
        let mut seen = 0;
        loop {
            if let Some(head) = head::take(&mut self.unread.bytes, seen, asks)? {
                self.framing = head.framing;
                return Poll::Ready(Ok(head));
            }
            seen = self.unread.len();
            match ready!(self.unread.poll_more(io, None, cx)) {
                Ok(true) => {}
                Ok(false) | Err(_) => return Poll::Ready(Err(Unheard::CutShort)),
            }
        }
    }

    /// The next part of the answer's body; nothing when it has ended.
    pub(super) fn poll_frame(
        &mut self,
        io: &mut (impl AsyncRead + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Unheard>>> {
        loop {
            match self.framing.step(&mut self.unread.bytes)? {
                Step::Frame(frame) => return Poll::Ready(Some(Ok(frame))),
                Step::End => return Poll::Ready(None),
                Step::More => {}
            }
            match ready!(self.unread.poll_more(io, self.framing.left(), cx)) {
                Ok(true) => {}
                Ok(false) if self.framing == Framing::Rest => self.framing = Framing::NOTHING,
                Ok(false) | Err(_) => return Poll::Ready(Some(Err(Unheard::CutShort))),
            }
        }
    }
}
