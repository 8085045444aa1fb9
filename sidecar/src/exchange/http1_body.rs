//! An answer on its way to an HTTP/1 client: one piece at a time, so that a client that does not read holds one piece.
//!
//! hyper queues up to 16 pieces of a body, each of which may keep the whole buffer that it was read into. Here the next piece is asked for
//! when the one before has gone to the socket. What comes in small pieces is gathered into larger ones meanwhile.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, Bytes, BytesMut};
use hyper::body::{Body, Frame, SizeHint};

use super::body::{BodyError, ResponseBody};
use crate::memory::{Held, Holder};
use crate::routing::resolve::ClientOrigin;

/// The body of an answer over HTTP/1.
pub(crate) struct Http1Body {
    body: ResponseBody,
    /// What came after the small pieces that were gathered.
    next: Option<WriteStep>,
    /// Whether a piece is on its way. Made with the first one that another may follow.
    way: Option<Rc<BodyFraming>>,
    begun: bool,
    holder: Holder,
}

type WriteStep = Option<Result<Frame<Bytes>, BodyError>>;

/// What hyper has of a body.
#[derive(Debug, Default)]
struct BodyFraming {
    taken: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

/// A piece of a body, until it is written.
#[derive(Debug)]
pub(crate) struct WrittenPiece {
    bytes: Bytes,
    way: Option<Rc<BodyFraming>>,
    _held: Held,
}

/// Pieces below this are gathered. Two pages, as where requests are sent.
const SMALL_BYTES: usize = 8 * 1024;

/// So much is gathered at most: with a read buffer of 32 KiB that small pieces are cut from, and hyper's own two of 8 KiB, a client that does not
/// read holds 64 KiB.
const GATHERED_BYTES_MAX: usize = 16 * 1024;

/// The least that is read at once, and kept by any part of it.
const BUFFER_BYTES: usize = 8 * 1024;

impl Http1Body {
    pub(crate) fn new(body: ResponseBody, origin: &ClientOrigin) -> Http1Body {
        Http1Body { body, next: None, way: None, begun: false, holder: origin.holder.clone() }
    }

    /// Ready when the piece before has gone.
    fn poll_way(&self, cx: &Context<'_>) -> Poll<()> {
        match &self.way {
            Some(way) if way.taken.get() => {
                *way.waker.borrow_mut() = Some(cx.waker().clone());
                Poll::Pending
            }
            Some(_) | None => Poll::Ready(()),
        }
    }

    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<WriteStep> {
        match self.next.take() {
            Some(step) => Poll::Ready(step),
            None => Pin::new(&mut self.body).poll_frame(cx),
        }
    }

    /// A copy of `first` with what else is there, up to the bound.
    fn gather(&mut self, first: &Bytes, cx: &mut Context<'_>) -> Option<BytesMut> {
        let mut gathered = None;
        while !Body::is_end_stream(self) {
            let Poll::Ready(step) = self.poll_step(cx) else { break };
            let room = GATHERED_BYTES_MAX - gathered.as_ref().map_or(first.len(), BytesMut::len);
            match &step {
                Some(Ok(frame)) if frame.data_ref().is_some_and(|data| data.len() <= room) => {
                    let gathered = gathered.get_or_insert_with(|| {
                        let mut begun = BytesMut::with_capacity(GATHERED_BYTES_MAX);
                        begun.extend_from_slice(first);
                        begun
                    });
                    gathered.extend_from_slice(frame.data_ref().map_or(&[], |data| &data[..]));
                }
                Some(_) | None => {
                    self.next = Some(step);
                    break;
                }
            }
        }
        gathered
    }

    fn piece(&mut self, data: Bytes, cx: &mut Context<'_>) -> WrittenPiece {
        let is_first = !std::mem::replace(&mut self.begun, true);
        let mut gathered = None;
        if data.len() < SMALL_BYTES && !Body::is_end_stream(self) {
            gathered = self.gather(&data, cx);
        }
        let (bytes, allocated) = match gathered {
            Some(gathered) => (gathered.freeze(), GATHERED_BYTES_MAX),
            // What follows a head is read with it, into the least of buffers.
            None if is_first || data.len() >= SMALL_BYTES => {
                let allocated = data.len().next_power_of_two().max(BUFFER_BYTES);
                (data, allocated)
            }
            None => (Bytes::copy_from_slice(&data), data.len()),
        };
        let way = (!Body::is_end_stream(self) && !bytes.is_empty()).then(|| {
            let way = self.way.get_or_insert_default();
            way.taken.set(true);
            way.clone()
        });
        WrittenPiece { bytes, way, _held: self.holder.hold(allocated) }
    }
}

impl Body for Http1Body {
    type Data = WrittenPiece;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<WrittenPiece>, BodyError>>> {
        ready!(self.poll_way(cx));
        let step = ready!(self.poll_step(cx));
        Poll::Ready(step.map(|result| {
            result.map(|frame| match frame.into_data() {
                Ok(data) => Frame::data(self.piece(data, cx)),
                Err(other) => other.map_data(|_| unreachable!("a frame is data or something else")),
            })
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.next.is_none() && self.body.is_end_stream()
    }

    /// Asked for before the first piece.
    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Buf for WrittenPiece {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
    }
}

impl Drop for WrittenPiece {
    fn drop(&mut self) {
        if let Some(way) = &self.way {
            way.taken.set(false);
            if let Some(waker) = way.waker.take() {
                waker.wake();
            }
        }
    }
}
