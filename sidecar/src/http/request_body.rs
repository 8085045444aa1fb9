//! A client's request body on its way to an endpoint, and to the next one if the first does not take it.

mod kept;

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use svc_core::outcome::Failure;
use svc_core::time::Now;

use super::client_body::{ClientBody, Cut};
use super::gate::Gate;
use super::headers::strip_trailers;
use super::pulse::Pulse;
use crate::clock;
use crate::memory::Holder;

use kept::Kept;

/// A client's request body, which an attempt takes only when its endpoint wants it. What was taken is kept for the next attempt, as
/// long as it is little.
pub(crate) struct RequestBody {
    incoming: RefCell<ClientBody>,
    kept: RefCell<Kept>,
    /// The number of the attempt that takes from it.
    attempt: Cell<u32>,
    sent_bytes: Cell<u64>,
    /// Since when the last attempt has been sent all of it.
    whole_since: Cell<Option<Now>>,
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
            kept: RefCell::new(Kept::nothing(&holder)),
            attempt: Cell::new(0),
            sent_bytes: Cell::new(0),
            whole_since: Cell::new(None),
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
        self.whole_since.set(None);
        UpstreamBody::Client(SendProgress {
            body: self.clone(),
            attempt: self.attempt.get(),
            has_trailers: false,
        })
    }

    /// Nothing of it has been taken.
    pub(crate) fn is_untouched(&self) -> bool {
        self.kept.borrow().is_untouched()
    }

    /// All that was taken of it is still here, so that it can be sent again.
    pub(crate) fn is_whole(&self) -> bool {
        self.kept.borrow().is_whole()
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

    /// Since when the last attempt's endpoint has had all of it, as far as we know: it was sent, or waits for the endpoint to take it.
    pub(crate) fn whole_since(&self) -> Option<Now> {
        self.whole_since.get()
    }

    fn poll_incoming(&self, cx: &mut Context<'_>) -> RequestFrame {
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
                if self.incoming.borrow().is_end_stream() {
                    self.holder.body_is_taken();
                }
            }
            Poll::Ready(None) => {
                self.holder.body_is_taken();
                kept.end();
            }
            Poll::Ready(Some(Err(cut))) => {
                self.broken.set(Some(cut.failure));
                kept.let_go(); // a beginning must not be sent as if it were all
            }
            Poll::Pending => self.holder.body_is_taken(),
        }
        polled
    }
}

/// A step of a body.
pub(crate) type RequestFrame = Poll<Option<Result<Frame<Bytes>, Cut>>>;

/// The request body of one attempt.
pub(crate) enum UpstreamBody {
    Empty,
    Client(SendProgress),
}

/// How far an attempt has come with its body.
pub(crate) struct SendProgress {
    body: Rc<RequestBody>,
    attempt: u32,
    /// It has sent them, the last that there is.
    has_trailers: bool,
}

impl SendProgress {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> RequestFrame {
        let body = &self.body;
        // A stream that has failed may be polled until its end has got around: what it took then, the next attempt would miss.
        if body.attempt.get() != self.attempt
            || body.gate.as_ref().is_some_and(|gate| gate.poll_open(cx).is_pending())
        {
            return Poll::Pending;
        }
        let kept = body.kept.borrow_mut().next(self.sent_bytes(), self.has_trailers);
        let polled = match kept {
            Some(frame) => Poll::Ready(Some(Ok(frame))),
            None if body.kept.borrow().has_ended() => Poll::Ready(None),
            None => body.poll_incoming(cx),
        };
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            self.has_trailers |= frame.is_trailers();
            let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
            body.sent_bytes.set(body.sent_bytes.get() + bytes);
        }
        let is_last = match &polled {
            Poll::Ready(Some(Ok(frame))) => frame.is_trailers() || self.is_end_stream(),
            Poll::Ready(None) => true,
            Poll::Ready(Some(Err(_))) | Poll::Pending => false,
        };
        if is_last && self.body.whole_since.get().is_none() {
            self.body.whole_since.set(Some(clock::now()));
        }
        polled
    }

    /// Of the attempt that takes from the body. What is kept is shorter than any number of bytes that does not fit.
    fn sent_bytes(&self) -> usize {
        usize::try_from(self.body.sent_bytes.get()).unwrap_or(usize::MAX)
    }

    fn is_end_stream(&self) -> bool {
        let kept = self.body.kept.borrow();
        kept.is_sent(self.sent_bytes(), self.has_trailers)
            && (kept.has_ended() || self.body.incoming.borrow().is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let to_come = self.body.incoming.borrow().size_hint();
        match to_come.exact() {
            Some(bytes) => SizeHint::with_exact(bytes + self.body.kept.borrow().left(self.sent_bytes())),
            None => to_come,
        }
    }
}

impl UpstreamBody {
    /// Whose it is.
    pub(crate) fn holder(&self) -> Option<&Holder> {
        match self {
            UpstreamBody::Empty => None,
            UpstreamBody::Client(sending) => Some(&sending.body.holder),
        }
    }

    /// The endpoint asks for it.
    pub(crate) fn invite(&self) {
        if let UpstreamBody::Client(SendProgress { body, .. }) = self
            && let Some(gate) = &body.gate
        {
            gate.open();
        }
    }
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> RequestFrame {
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
