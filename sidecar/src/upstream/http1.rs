//! One HTTP/1 connection to an endpoint, driven by whoever uses it: no task of its own, no second wake-up, and no buffer while it is idle.
//!
//! HTTP/1.1 is spoken here, and not by hyper's client: that expects a task to drive a connection and another one to use it, with two channels
//! between them and two buffers of 8 KiB each, which was a third of what a request cost. hyper keeps the clients' side, whose bytes are hostile.

mod body;
mod field;
mod head;
#[cfg(any(test, feature = "fuzzing"))]
mod oracle;
mod read_error;
mod request_kind;
mod request_writer;
mod response_reader;
#[cfg(test)]
mod tests;
mod unread;

use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::StatusCode;
use hyper::body::{Frame, SizeHint};
use hyper::header::HeaderValue;
use hyper::http::response::Parts;
use svc_core::outcome::Failure;
use tokio::io::{AsyncRead, ReadBuf};

use super::conn_table::ConnHandle;
use super::io::UpstreamIo;
use super::keep_alive::IDLE_FOR;
use crate::clock;
use crate::http::interim::Interim;
use crate::http::request_body::UpstreamBody;

use head::ResponseHead;
use read_error::ReadError;
use request_kind::RequestKind;
use request_writer::{RequestWriter, SendError};
use response_reader::ResponseReader;

pub(crate) use request_writer::RequestHead;

#[cfg(feature = "fuzzing")]
pub(crate) use oracle::check;

/// A connection, and what is under way on it: one request, and its answer.
pub(crate) struct Http1 {
    io: UpstreamIo,
    writer: RequestWriter,
    reader: ResponseReader,
    idle_since_ms: u32,
    /// How long it is kept when nothing is asked: what its endpoint says, or the usual time.
    idle_for_ms: u32,
    reused: bool,
    spent: bool,
}

/// The head of an endpoint's answer, without what belonged to its hop.
pub(crate) struct Answered {
    pub(crate) head: Parts,
    /// The protocol that the connection goes on in, where it does.
    pub(crate) upgrade: Option<HeaderValue>,
    /// It has lines that end with LF alone.
    pub(crate) has_bare_line_feed: bool,
}

impl Http1 {
    pub(super) fn new(io: UpstreamIo) -> Box<Http1> {
        Box::new(Http1 {
            io,
            writer: RequestWriter::default(),
            reader: ResponseReader::default(),
            idle_since_ms: 0,
            idle_for_ms: IDLE_FOR.as_millis() as u32,
            reused: false,
            spent: false,
        })
    }

    fn line(&self) -> &Rc<ConnHandle> {
        self.io.line()
    }

    /// Whether an idle connection can serve: one that says something unasked, or has ended, cannot.
    pub(super) fn is_open(&mut self, cx: &mut Context<'_>) -> bool {
        let mut byte = [0];
        Pin::new(&mut self.io).poll_read(cx, &mut ReadBuf::new(&mut byte)).is_pending()
    }

    /// Whether its endpoint keeps it open for long enough yet.
    pub(super) fn is_fresh(&self) -> bool {
        clock::coarse_since(self.idle_since_ms) < self.idle_for_ms
    }

    /// Makes the connection ready for its next request; false when it will never be.
    pub(super) fn settle(&mut self) -> bool {
        self.reused = true;
        self.idle_since_ms = clock::coarse_ms();
        let is_done = self.writer.is_empty() && self.reader.is_empty();
        self.io.unfinished = !is_done;
        (self.writer, self.reader) = (RequestWriter::default(), ResponseReader::default()); // and their buffers
        is_done && !self.spent && self.is_fresh()
    }

    /// Sends a request and waits for the head of its answer. What is not sent by then goes while the answer's body comes.
    ///
    /// Not an `async fn`, which would keep a place for the request in each exchange.
    pub(crate) fn ask(
        &mut self,
        head: RequestHead,
        body: UpstreamBody,
        interim: &Interim,
    ) -> impl Future<Output = Result<Answered, Failure>> {
        let heard_before = self.line().heard_bytes();
        self.io.unfinished = true;
        let asks = head.asks;
        self.writer = RequestWriter::begin(head, body);
        poll_fn(move |cx| {
            let polled = self.poll_answer(asks, heard_before, interim, cx);
            polled.map_err(|failure| self.explain(failure))
        })
    }

    fn poll_answer(
        &mut self,
        asks: RequestKind,
        heard_before: u64,
        interim: &Interim,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Answered, Failure>> {
        loop {
            self.send_more(cx)?;
            let heard = ready!(self.reader.poll_head(&mut self.io, asks, cx));
            let ResponseHead { parts, persists, keeps, upgrade, has_bare_line_feed, .. } =
                heard.map_err(|unheard| match unheard {
                    ReadError::Malformed => Failure::BadResponse,
                    // It was closing the connection while the request came.
                    ReadError::CutShort if self.reused && self.line().heard_bytes() == heard_before => {
                        Failure::Unprocessed
                    }
                    ReadError::CutShort => Failure::Reset,
                })?;
            match parts.status {
                StatusCode::CONTINUE => self.writer.invite(),
                status if status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS => {
                    interim.tell(&parts);
                }
                _ => {
                    let is_tunnel =
                        asks == RequestKind::Tunnel || parts.status == StatusCode::SWITCHING_PROTOCOLS;
                    self.spent |= !persists || is_tunnel;
                    if let Some(keeps) = keeps {
                        self.idle_for_ms = keeps.saturating_sub(AHEAD).min(IDLE_FOR).as_millis() as u32;
                    }
                    return Poll::Ready(Ok(Answered { head: parts, upgrade, has_bare_line_feed }));
                }
            }
        }
    }

    /// Sends what can be sent. An endpoint that takes no more may have answered all the same; the answer is then its last.
    fn send_more(&mut self, cx: &mut Context<'_>) -> Result<(), Failure> {
        match self.writer.poll_send(&mut self.io, cx) {
            Poll::Ready(Ok(())) | Poll::Pending => Ok(()),
            Poll::Ready(Err(unsent)) => {
                self.spent = true;
                self.writer = RequestWriter::default();
                match unsent {
                    SendError::Body => Err(Failure::ClientGone),
                    SendError::Refused => Ok(()),
                }
            }
        }
    }

    /// The next part of the answer's body; nothing when it has ended.
    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        self.send_more(cx).map_err(|failure| self.explain(failure))?;
        self.reader.poll_frame(&mut self.io, cx).map_err(|_| self.explain(Failure::Truncated))
    }

    /// Whether the answer's body has ended.
    pub(crate) fn is_end(&self) -> bool {
        self.reader.is_end()
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        self.reader.left().map_or_else(SizeHint::default, SizeHint::with_exact)
    }

    /// What a failure of this connection means.
    pub(crate) fn explain(&self, looks_like: Failure) -> Failure {
        self.line().explain(looks_like)
    }

    /// Whether the endpoint has been sent all of the request.
    pub(crate) fn has_sent_all(&self) -> bool {
        self.writer.is_empty()
    }

    /// Makes this the connection's last response.
    pub(crate) fn refuse_reuse(&mut self) {
        self.spent = true;
    }

    /// Gives the socket back after a `101 Switching Protocols`, with what was read beyond the head.
    pub(crate) fn into_upgraded(mut self) -> (UpstreamIo, Bytes) {
        self.io.unfinished = false;
        (self.io, self.reader.into_unread())
    }
}

/// A connection is let go of this long before its endpoint would end it: a request is on its way for less.
const AHEAD: Duration = Duration::from_secs(1);
