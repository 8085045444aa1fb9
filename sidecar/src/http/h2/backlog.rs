//! What waits in a connection's queue for its socket, counted as it is held: the bytes, the buffers that they keep alive, and the
//! frames around them.
//!
//! h2 queues whatever it is given. It is only given what the peer's windows allow, so what waits here waits for the socket alone, and
//! goes as soon as that takes more. Windows bound what the peer is ready to take, not what it costs us to have it ready: a window of
//! 2^31 - 1 bytes over a socket that is never read must not become a queue of that size.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes};

use crate::memory::{CONNECTION_HELD_BYTES_MAX, Held as Ledger, Holder};

/// What one connection's queue holds.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    held_bytes: Cell<usize>,
    /// The same in the process's ledger, in steps of [`LEDGER_STEP_BYTES`].
    ledger: Option<RefCell<Ledger>>,
    noted_bytes: Cell<usize>,
    /// Streams that have something to send, and have to wait until less is held.
    waiting: RefCell<Vec<Waker>>,
}

/// What one stream has in it.
#[derive(Debug, Default)]
pub(crate) struct StreamShare {
    held_bytes: Cell<usize>,
    /// The same in the process's ledger, where the connection's queue is not: it is a client's who shares the connection with others.
    ledger: Option<RefCell<Ledger>>,
    waiting: RefCell<Option<Waker>>,
}

/// What is queued of one stream: two frames of the usual size, so that one can be written while the next one is made.
pub(crate) const STREAM_HELD_BYTES_MAX: usize = 32 * 1024;

/// While no more than this is queued, a piece may keep the buffer that it is a part of. Beyond it a small piece is copied, so that what is
/// counted is what is held.
const RELAXED_BYTES_MAX: usize = 64 * 1024;

/// What a frame costs beside its bytes: h2's slot for it (some 300 bytes with that of a head, the largest), and the allocator's share.
const FRAME_BYTES: usize = 512;

/// The ledger hears of changes of this size: an answer that is written at once is none of its business. 10_000 connections × 16 KiB =
/// 160 MiB that it does not know of, if each of them has just as much in its queue.
const LEDGER_STEP_BYTES: usize = 16 * 1024;

impl Backlog {
    /// Of a connection whose client is `holder`.
    pub(crate) fn of(holder: &Holder) -> Backlog {
        Backlog { ledger: Some(RefCell::new(holder.hold(0))), ..Backlog::default() }
    }

    fn set(&self, held_bytes: usize) {
        self.held_bytes.set(held_bytes);
        if held_bytes.abs_diff(self.noted_bytes.get()) >= LEDGER_STEP_BYTES {
            self.noted_bytes.set(held_bytes);
            self.ledger.iter().for_each(|ledger| ledger.borrow_mut().resize(held_bytes));
        }
    }

    /// Whether so little is held that it does not matter what buffers the pieces keep alive.
    pub(super) fn is_relaxed(&self) -> bool {
        self.held_bytes.get() <= RELAXED_BYTES_MAX
    }

    #[cfg(test)]
    pub(crate) fn held_bytes(&self) -> usize {
        self.held_bytes.get()
    }

    /// Ready when the connection may hold more; else the task is woken once it may.
    pub(super) fn poll_room(&self, cx: &Context<'_>) -> Poll<()> {
        if self.held_bytes.get() < CONNECTION_HELD_BYTES_MAX {
            return Poll::Ready(());
        }
        let mut waiting = self.waiting.borrow_mut();
        if !waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            waiting.push(cx.waker().clone());
        }
        Poll::Pending
    }

    fn hold(&self, bytes: usize) {
        self.set(self.held_bytes.get() + bytes);
    }

    fn give_back(&self, bytes: usize) {
        let (before, now) = (self.held_bytes.get(), self.held_bytes.get().saturating_sub(bytes));
        self.set(now);
        if before >= CONNECTION_HELD_BYTES_MAX && now < CONNECTION_HELD_BYTES_MAX {
            self.waiting.take().into_iter().for_each(Waker::wake);
        }
    }
}

impl StreamShare {
    /// That of a stream which carries what `holder` sends.
    pub(super) fn of(holder: Option<&Holder>) -> StreamShare {
        StreamShare { ledger: holder.map(|holder| RefCell::new(holder.hold(0))), ..StreamShare::default() }
    }

    fn set(&self, held_bytes: usize) {
        self.held_bytes.set(held_bytes);
        self.ledger.iter().for_each(|ledger| ledger.borrow_mut().resize(held_bytes));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.held_bytes.get() == 0
    }

    /// Ready when the stream holds no more than `bytes`; else the task is woken when something of it has gone.
    pub(super) fn poll_at_most(&self, bytes: usize, cx: &Context<'_>) -> Poll<()> {
        if self.held_bytes.get() <= bytes {
            return Poll::Ready(());
        }
        let mut waiting = self.waiting.borrow_mut();
        if !waiting.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            *waiting = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    fn give_back(&self, bytes: usize) {
        self.set(self.held_bytes.get().saturating_sub(bytes));
        if let Some(waker) = self.waiting.take() {
            waker.wake();
        }
    }
}

/// A part of a body in a connection's queue. It counts as held from when it is made until h2 lets go of it.
#[derive(Debug)]
pub(crate) struct QueuedPiece {
    bytes: Bytes,
    _held: Option<HeldInBacklog>,
}

#[derive(Debug)]
struct HeldInBacklog {
    bytes: usize,
    backlog: Rc<Backlog>,
    /// Absent of a stream's last piece, whose going nobody waits for.
    share: Option<Rc<StreamShare>>,
}

impl QueuedPiece {
    /// Nothing, for a frame that only says that a body has ended.
    pub(super) const EMPTY: QueuedPiece = QueuedPiece { bytes: Bytes::new(), _held: None };

    /// `bytes`, in a buffer of `buffer_bytes`.
    pub(super) fn new(
        bytes: Bytes,
        buffer_bytes: usize,
        backlog: &Rc<Backlog>,
        share: Option<&Rc<StreamShare>>,
    ) -> QueuedPiece {
        let held_bytes = buffer_bytes.max(bytes.len()) + FRAME_BYTES;
        backlog.hold(held_bytes);
        if let Some(share) = share {
            share.set(share.held_bytes.get() + held_bytes);
        }
        let held = HeldInBacklog { bytes: held_bytes, backlog: backlog.clone(), share: share.cloned() };
        QueuedPiece { bytes, _held: Some(held) }
    }
}

impl Buf for QueuedPiece {
    fn remaining(&self) -> usize {
        self.bytes.len()
    }

    fn chunk(&self) -> &[u8] {
        &self.bytes
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
    }
}

impl Drop for HeldInBacklog {
    fn drop(&mut self) {
        self.backlog.give_back(self.bytes);
        if let Some(share) = &self.share {
            share.give_back(self.bytes);
        }
    }
}
