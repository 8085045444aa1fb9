//! A client's request body on its way to an endpoint, and to the next one if the first does not take it.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::HeaderMap;
use hyper::body::{Body, Frame, SizeHint};
use svc_core::outcome::Failure;

use super::client_body::{ClientBody, Cut};
use super::gate::Gate;
use super::http2::send::ResetReason;
use super::memory::Holder;
use super::request::strip_trailers;
use super::roster::Pulse;

/// A client's request body, which an attempt takes only when its endpoint wants it. What was taken is kept for the next attempt, as
/// long as it is little.
pub(crate) struct RequestBody {
    incoming: RefCell<ClientBody>,
    kept: RefCell<Kept>,
    /// The number of the attempt that takes from it.
    attempt: Cell<u32>,
    sent_bytes: Cell<u64>,
    /// Why it has no end.
    broken: Cell<Option<Failure>>,
    gate: Option<Rc<Gate>>,
    /// Its client.
    holder: Holder,
    /// Its connection's, where that carries nothing else.
    pulse: Option<Arc<Pulse>>,
}

impl RequestBody {
    pub(crate) fn new(
        incoming: ClientBody,
        gate: Option<Rc<Gate>>,
        holder: Holder,
        pulse: Option<Arc<Pulse>>,
    ) -> Rc<RequestBody> {
        Rc::new(RequestBody {
            incoming: RefCell::new(incoming),
            kept: RefCell::new(Kept::NOTHING),
            attempt: Cell::new(0),
            sent_bytes: Cell::new(0),
            broken: Cell::new(None),
            gate,
            holder,
            pulse,
        })
    }

    /// The body for one more attempt, from its first byte; attempts before get nothing more.
    pub(crate) fn sending(self: &Rc<Self>) -> UpstreamBody {
        self.attempt.set(self.attempt.get() + 1);
        self.sent_bytes.set(0);
        UpstreamBody::Client(Sending { body: self.clone(), attempt: self.attempt.get(), next: 0 })
    }

    /// Nothing of it has been taken.
    pub(crate) fn is_untouched(&self) -> bool {
        let kept = self.kept.borrow();
        kept.whole && !kept.ended && kept.pieces.is_empty()
    }

    /// All that was taken of it is still here, so that it can be sent again.
    pub(crate) fn is_whole(&self) -> bool {
        self.kept.borrow().whole
    }

    /// Why the client's body broke off, if it did: it is then no endpoint that has failed.
    pub(crate) fn broken(&self) -> Option<Failure> {
        self.broken.get()
    }

    /// No further attempt follows: what is still to come passes through.
    pub(crate) fn settle(&self) {
        self.kept.borrow_mut().let_go();
    }

    /// What the last attempt sent.
    pub(crate) fn sent_bytes(&self) -> u64 {
        self.sent_bytes.get()
    }

    fn poll_incoming(&self, cx: &mut Context<'_>) -> PolledFrame {
        ready!(self.holder.poll_resumed(cx));
        let mut polled = Pin::new(&mut *self.incoming.borrow_mut()).poll_frame(cx);
        let mut kept = self.kept.borrow_mut();
        if let Some(pulse) = &self.pulse
            && (matches!(polled, Poll::Ready(None)) || self.incoming.borrow().is_end_stream())
        {
            pulse.heard_all();
        }
        match &mut polled {
            Poll::Ready(Some(Ok(frame))) => {
                frame.trailers_mut().map(strip_trailers);
                kept.push(frame);
            }
            Poll::Ready(None) => kept.ended = true,
            Poll::Ready(Some(Err(cut))) => {
                self.broken.set(Some(cut.failure));
                kept.let_go(); // a beginning must not be sent as if it were all
            }
            Poll::Pending => {}
        }
        polled
    }
}

/// What was taken of a body.
struct Kept {
    pieces: Vec<Piece>,
    bytes: usize,
    whole: bool,
    /// There is no more to take.
    ended: bool,
}

/// One frame: the bytes are shared with whoever sends them.
enum Piece {
    Data(Bytes),
    Trailers(Box<HeaderMap>),
}

/// A body that is larger is not sent again once some of it went (Linkerd's limit too). 10_000 connections × 64 KiB = 640 MiB if all of
/// them upload that much and no endpoint has begun to answer; from then on nothing is kept.
const KEPT_BYTES_MAX: usize = 64 * 1024;

/// A piece keeps the buffer it was read into. 64 KiB in segments of 536 bytes, the least that TCP assumes, are 123 pieces.
const KEPT_PIECES_MAX: usize = 128;

impl Kept {
    const NOTHING: Kept = Kept { pieces: Vec::new(), bytes: 0, whole: true, ended: false };

    fn push(&mut self, frame: &Frame<Bytes>) {
        if !self.whole {
            return;
        }
        let piece = match (frame.data_ref(), frame.trailers_ref()) {
            (Some(data), _) => Piece::Data(data.clone()),
            (None, Some(trailers)) => Piece::Trailers(Box::new(trailers.clone())),
            (None, None) => return,
        };
        self.bytes += piece.bytes();
        self.pieces.push(piece);
        if self.bytes > KEPT_BYTES_MAX || self.pieces.len() > KEPT_PIECES_MAX {
            self.let_go();
        }
    }

    fn let_go(&mut self) {
        self.whole = false;
        self.pieces = Vec::new();
    }

    /// How much comes from here for who has the first `next` pieces.
    fn data_bytes(&self, next: usize) -> u64 {
        let rest = self.pieces.get(next..).unwrap_or_default();
        rest.iter().map(|piece| if let Piece::Data(data) = piece { data.len() as u64 } else { 0 }).sum()
    }
}

impl Piece {
    fn bytes(&self) -> usize {
        match self {
            Piece::Data(data) => data.len(),
            Piece::Trailers(trailers) => {
                trailers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
            }
        }
    }

    fn frame(&self) -> Frame<Bytes> {
        match self {
            Piece::Data(data) => Frame::data(data.clone()),
            Piece::Trailers(trailers) => Frame::trailers((**trailers).clone()),
        }
    }
}

/// A step of a body.
pub(crate) type PolledFrame = Poll<Option<Result<Frame<Bytes>, Cut>>>;

/// The request body of one attempt.
pub(crate) enum UpstreamBody {
    Empty,
    Client(Sending),
}

/// How far an attempt has come with its body.
pub(crate) struct Sending {
    body: Rc<RequestBody>,
    attempt: u32,
    /// The first piece that it has not sent.
    next: usize,
}

impl Sending {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> PolledFrame {
        let body = &self.body;
        // A stream that has failed may be polled until its end has got around: what it took then, the next attempt would miss.
        if body.attempt.get() != self.attempt
            || body.gate.as_ref().is_some_and(|gate| gate.poll_open(cx).is_pending())
        {
            return Poll::Pending;
        }
        let kept = self.kept_frame();
        let polled = match kept {
            Some(frame) => Poll::Ready(Some(Ok(frame))),
            None if body.kept.borrow().ended => Poll::Ready(None),
            None => body.poll_incoming(cx),
        };
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            self.next += 1;
            let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
            body.sent_bytes.set(body.sent_bytes.get() + bytes);
        }
        polled
    }

    fn kept_frame(&self) -> Option<Frame<Bytes>> {
        self.body.kept.borrow().pieces.get(self.next).map(Piece::frame)
    }

    fn is_end_stream(&self) -> bool {
        let kept = self.body.kept.borrow();
        self.next >= kept.pieces.len() && (kept.ended || self.body.incoming.borrow().is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let to_come = self.body.incoming.borrow().size_hint();
        match to_come.exact() {
            Some(bytes) => SizeHint::with_exact(bytes + self.body.kept.borrow().data_bytes(self.next)),
            None => to_come,
        }
    }
}

impl UpstreamBody {
    /// The endpoint asks for it.
    pub(crate) fn invite(&self) {
        if let UpstreamBody::Client(Sending { body, .. }) = self
            && let Some(gate) = &body.gate
        {
            gate.open();
        }
    }
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> PolledFrame {
        match &mut *self {
            UpstreamBody::Empty => Poll::Ready(None),
            UpstreamBody::Client(sending) => sending.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            UpstreamBody::Empty => true,
            UpstreamBody::Client(sending) => sending.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            UpstreamBody::Empty => SizeHint::with_exact(0),
            UpstreamBody::Client(sending) => sending.size_hint(),
        }
    }
}

impl ResetReason for hyper::Error {
    fn reset_reason(&self) -> h2::Reason {
        h2::Reason::CANCEL
    }
}
