//! What clients make this process hold, and which of them have to stop when that is too much (`--memory-max`).
//!
//! Every buffer that a client can fill, or can keep full by not reading, is held by somebody: a [`Holder`] is one client connection, a
//! [`Held`] is what one buffer of it has allocated. What counts is the allocation, not the bytes of a message in it. A connection that
//! says nothing holds nothing here; how many of those there may be is what `--max-connections` bounds.
//!
//! Nothing is locked to hold something: a connection and its worker have counters, and the worker adds to the process's ledger when its
//! own count has changed by [`FLUSH_BYTES`]. Who has to stop is decided on the worker's tick, and at once when the bound is crossed.

use std::cell::RefCell;
use std::cmp::Ordering;
use std::mem;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU32, AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use tokio::sync::Notify;

use crate::clock;
use crate::sync::lock;

/// What all workers hold together.
#[derive(Debug)]
pub(crate) struct Ledger {
    /// May be a little below zero for a moment: workers tell their changes one after the other.
    held_bytes: AtomicI64,
    max_bytes: AtomicU64,
    /// When the last line about it was logged, and whether there was one.
    logged_ms: AtomicU64,
}

impl Default for Ledger {
    fn default() -> Ledger {
        Ledger {
            held_bytes: AtomicI64::new(0),
            max_bytes: AtomicU64::new(u64::MAX),
            logged_ms: AtomicU64::new(0),
        }
    }
}

impl Ledger {
    /// Sets the bound of the process.
    pub(crate) fn limit(&self, max_bytes: u64) {
        self.max_bytes.store(max_bytes, Relaxed);
    }

    pub(crate) fn max_bytes(&self) -> u64 {
        self.max_bytes.load(Relaxed)
    }

    /// What is held now, but for at most [`FLUSH_BYTES`] of each worker.
    pub(crate) fn held_bytes(&self) -> u64 {
        u64::try_from(self.held_bytes.load(Relaxed)).unwrap_or(0)
    }

    /// Whether it is time for another line in the log.
    fn may_log(&self) -> bool {
        let (last, now) = (self.logged_ms.load(Relaxed), u64::from(clock::coarse_ms()) + 1);
        let is_due = last == 0 || now.saturating_sub(last) >= LOG_EVERY_MS;
        is_due && self.logged_ms.compare_exchange(last, now, Relaxed, Relaxed).is_ok()
    }
}

/// One worker's part of the ledger.
#[derive(Debug, Default)]
struct Books {
    ledger: Arc<Ledger>,
    /// What the ledger does not know of yet.
    unflushed_bytes: AtomicI64,
    /// The bound was crossed.
    alarm: Notify,
}

/// 64 workers × 64 KiB = 4 MiB are what the ledger may be wrong by.
const FLUSH_BYTES: u64 = 64 * 1024;

impl Books {
    fn change(&self, bytes: i64) {
        let unflushed = self.unflushed_bytes.fetch_add(bytes, Relaxed) + bytes;
        if unflushed.unsigned_abs() >= FLUSH_BYTES {
            self.flush();
        }
    }

    fn flush(&self) {
        let change = self.unflushed_bytes.swap(0, Relaxed);
        let before = self.ledger.held_bytes.fetch_add(change, Relaxed);
        let max = i64::try_from(self.ledger.max_bytes()).unwrap_or(i64::MAX);
        if before <= max && before + change > max {
            self.alarm.notify_one();
        }
    }
}

/// A client connection, as far as it makes us hold something. Cheap to clone.
///
/// Atomic only because hyper wants the I/O that it may hand out as an upgrade to be `Send`; one thread uses it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Holder(Arc<HolderAccount>);

#[derive(Debug, Default)]
struct HolderAccount {
    books: Arc<Books>,
    held_bytes: AtomicUsize,
    /// What of it peers have sent, and nobody has taken yet.
    received_bytes: AtomicUsize,
    request: BufferedRequest,
    state: AtomicU8,
    paused_ms: AtomicU32,
    /// What it held when it was paused.
    paused_bytes: AtomicUsize,
    /// It has been counted as one that holds too much.
    noted: AtomicBool,
    /// Who waits for it to go on. Locked only while it is paused.
    waiting: Mutex<Vec<Waker>>,
}

/// What hyper holds of an HTTP/1 client's request, which it tells nobody: known from what it has read.
#[derive(Debug, Default)]
struct BufferedRequest {
    /// Of its head so far.
    head_read_bytes: AtomicUsize,
    head_bytes: AtomicUsize,
    /// Of a body that its endpoint does not take.
    body_bytes: AtomicUsize,
}

/// What hyper reads into at least.
const READ_BUFFER_BYTES: usize = 8 * 1024;

/// The buffer that hyper has for so many bytes: it doubles.
fn read_buffer_bytes(read: usize) -> usize {
    read.next_power_of_two().max(READ_BUFFER_BYTES)
}

/// What a connection may do.
const GOES_ON: u8 = 0;
/// Nothing more is read for it, neither from it nor from its endpoints.
const PAUSED: u8 = 1;
/// It is over.
const ENDED: u8 = 2;

impl HolderAccount {
    /// What was so large has another size now.
    fn change(&self, before: usize, after: usize) {
        match after.cmp(&before) {
            Ordering::Equal => return,
            Ordering::Greater => self.held_bytes.fetch_add(after - before, Relaxed),
            Ordering::Less => self.held_bytes.fetch_sub(before - after, Relaxed),
        };
        self.books.change(after as i64 - before as i64); // no buffer has 2^63 bytes
    }

    fn set(&self, part: &AtomicUsize, bytes: usize) {
        self.change(part.swap(bytes, Relaxed), bytes);
    }
}

impl Drop for HolderAccount {
    fn drop(&mut self) {
        self.set(&self.request.head_bytes, 0);
        self.set(&self.request.body_bytes, 0);
    }
}

impl Holder {
    fn of(books: Arc<Books>) -> Holder {
        Holder(Arc::new(HolderAccount {
            books,
            held_bytes: AtomicUsize::new(0),
            received_bytes: AtomicUsize::new(0),
            request: BufferedRequest::default(),
            state: AtomicU8::new(GOES_ON),
            paused_ms: AtomicU32::new(0),
            paused_bytes: AtomicUsize::new(0),
            noted: AtomicBool::new(false),
            waiting: Mutex::default(),
        }))
    }

    /// Holds `bytes` until the answer is dropped.
    pub(crate) fn hold(&self, bytes: usize) -> Held {
        let mut held = Held { holder: self.clone(), bytes: 0 };
        held.resize(bytes);
        held
    }

    /// Holds nothing yet of what is received on a stream. Windows bound it; that much of it waits is as often the reader's doing, and no sign
    /// of a flood.
    pub(crate) fn receive(&self) -> Received {
        Received(self.hold(0))
    }

    /// What it makes us hold.
    pub(crate) fn held_bytes(&self) -> usize {
        self.0.held_bytes.load(Relaxed)
    }

    /// So much more of a request's head has been read.
    pub(crate) fn reads_head(&self, bytes: usize) {
        let request = &self.0.request;
        let read = request.head_read_bytes.fetch_add(bytes, Relaxed) + bytes;
        self.0.set(&request.head_bytes, read_buffer_bytes(read));
    }

    /// So much of a request's body has been read at once: one such buffer is on its way to the endpoint, one may wait.
    pub(crate) fn reads_body(&self, bytes: usize) {
        self.0.set(&self.0.request.body_bytes, 2 * read_buffer_bytes(bytes));
    }

    /// Of what was read of a request's body, nothing waits.
    pub(crate) fn body_is_taken(&self) {
        self.0.set(&self.0.request.body_bytes, 0);
    }

    /// The request has its answer: nothing is held of it.
    pub(crate) fn request_is_over(&self) {
        let request = &self.0.request;
        request.head_read_bytes.store(0, Relaxed);
        self.0.set(&request.head_bytes, 0);
        self.0.set(&request.body_bytes, 0);
    }

    /// Ready while the connection may make us hold more. Whoever is about to read something for it asks first, and is woken when it may.
    #[inline]
    pub(crate) fn poll_resumed(&self, cx: &Context<'_>) -> Poll<()> {
        match self.0.state.load(Relaxed) {
            GOES_ON => Poll::Ready(()),
            _ => self.wait(cx),
        }
    }

    /// Whether the connection has to end, for the sake of all others.
    pub(crate) fn must_end(&self) -> bool {
        self.0.state.load(Relaxed) == ENDED
    }

    #[cold]
    fn wait(&self, cx: &Context<'_>) -> Poll<()> {
        let mut waiting = lock(&self.0.waiting);
        if !waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            waiting.push(cx.waker().clone());
        }
        Poll::Pending
    }

    /// True once, if it holds all that a connection may, or was paused.
    fn is_new_flood(&self) -> bool {
        let queued_bytes = self.held_bytes().saturating_sub(self.0.received_bytes.load(Relaxed));
        let is_flood = queued_bytes >= FLOOD_BYTES || self.is_paused();
        is_flood && !self.0.noted.swap(true, Relaxed)
    }

    fn is_paused(&self) -> bool {
        self.0.state.load(Relaxed) == PAUSED
    }

    /// True when it went on until now.
    fn pause(&self) -> bool {
        let goes_on = self.0.state.load(Relaxed) == GOES_ON;
        if goes_on {
            self.0.paused_ms.store(clock::coarse_ms(), Relaxed);
            self.0.paused_bytes.store(self.held_bytes(), Relaxed);
            self.0.state.store(PAUSED, Relaxed);
        }
        goes_on
    }

    fn resume(&self) {
        if self.is_paused() {
            self.0.state.store(GOES_ON, Relaxed);
            self.wake();
        }
    }

    /// True when it had its time to let go of something, and had not ended before.
    fn end_if_overdue(&self) -> bool {
        let is_overdue =
            self.is_paused() && clock::coarse_since(self.0.paused_ms.load(Relaxed)) >= END_AFTER_MS;
        if is_overdue {
            self.0.state.store(ENDED, Relaxed);
            self.wake();
        }
        is_overdue
    }

    /// Whether it has let go of most of what it was paused for.
    fn is_relieved(&self) -> bool {
        self.held_bytes() < self.0.paused_bytes.load(Relaxed) / 2
    }

    fn wake(&self) {
        let waiting = mem::take(&mut *lock(&self.0.waiting));
        waiting.into_iter().for_each(Waker::wake);
    }
}

/// What one buffer holds for a connection, until it is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    holder: Holder,
    bytes: usize,
}

impl Held {
    /// The buffer has another size now.
    pub(crate) fn resize(&mut self, bytes: usize) {
        let before = mem::replace(&mut self.bytes, bytes);
        self.holder.0.change(before, bytes);
    }

    /// Whose it is.
    pub(crate) fn holder(&self) -> &Holder {
        &self.holder
    }
}

/// What has been received on a stream and waits to be taken.
#[derive(Debug)]
pub(crate) struct Received(Held);

impl Received {
    pub(crate) fn bytes(&self) -> usize {
        self.0.bytes
    }

    /// It is so much now.
    pub(crate) fn resize(&mut self, bytes: usize) {
        let change = bytes.wrapping_sub(self.0.bytes); // wraps where it is less
        self.0.holder.0.received_bytes.fetch_add(change, Relaxed);
        self.0.resize(bytes);
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        self.resize(0);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.resize(0);
    }
}

/// The connections of a worker.
#[derive(Default)]
pub(crate) struct Holders {
    books: Arc<Books>,
    all: RefCell<Vec<Holder>>,
}

/// What a look at the connections came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Judged {
    /// So many hold too much that did not before: all that a connection may, or the most when all hold too much.
    pub(crate) floods: u64,
    /// So many were paused.
    pub(crate) paused: u64,
    /// So many have to end.
    pub(crate) ended: u64,
}

impl Holders {
    pub(crate) fn new(ledger: Arc<Ledger>) -> Holders {
        let books = Books { ledger, ..Books::default() };
        Holders { books: Arc::new(books), all: RefCell::default() }
    }

    /// A new connection.
    pub(crate) fn enter(&self) -> Holder {
        let holder = Holder::of(self.books.clone());
        self.all.borrow_mut().push(holder.clone());
        holder
    }

    /// Ready when the bound has been crossed.
    pub(crate) async fn alarmed(&self) {
        self.books.alarm.notified().await;
    }

    /// Sees to it that the process stays below its bound: pauses the connections that hold the most, ends those that hold it for
    /// [`END_AFTER_MS`] all the same, and lets go on whoever may. Cost: a few ns for each of at most `--max-connections`.
    pub(crate) fn judge(&self) -> Judged {
        self.books.flush();
        let mut all = self.all.borrow_mut();
        all.retain(|holder| Arc::strong_count(&holder.0) > 1); // else the connection has gone
        let judged = self.keep_below(&all);
        Judged { floods: all.iter().filter(|holder| holder.is_new_flood()).count() as u64, ..judged }
    }

    fn keep_below(&self, all: &[Holder]) -> Judged {
        let (held, max) = (self.books.ledger.held_bytes(), self.books.ledger.max_bytes());
        let enough = max - max / RELIEF_PART;
        if held <= enough {
            all.iter().for_each(Holder::resume);
            return Judged::default();
        }
        if held <= max {
            all.iter().filter(|holder| holder.is_relieved()).for_each(Holder::resume);
            return Judged::default();
        }
        let judged = stop_largest(all, held - enough, held);
        self.log(judged, held, max);
        judged
    }

    fn log(&self, judged: Judged, held_bytes: u64, max_bytes: u64) {
        if judged != Judged::default() && self.books.ledger.may_log() {
            let Judged { paused, ended, .. } = judged;
            tracing::warn!(
                held_bytes,
                max_bytes,
                paused,
                ended,
                "clients make us hold more than `--memory-max`: those that hold the most are paused, then ended"
            );
        }
    }
}

/// Stops the largest of a worker's connections until its part of what is too much of all that is held would be free without them.
fn stop_largest(all: &[Holder], excess: u64, held: u64) -> Judged {
    let mut holding: Vec<(u64, &Holder)> = all
        .iter()
        .map(|holder| (holder.held_bytes() as u64, holder))
        .filter(|(bytes, _)| *bytes > 0)
        .collect();
    holding.sort_unstable_by_key(|(bytes, _)| std::cmp::Reverse(*bytes));
    let ours: u64 = holding.iter().map(|(bytes, _)| bytes).sum();
    let part = u128::from(excess) * u128::from(ours) / u128::from(held.max(1));
    let (mut stopped, mut judged) = (0_u128, Judged::default());
    for (bytes, holder) in holding {
        if stopped >= part {
            break;
        }
        stopped += u128::from(bytes);
        if holder.pause() {
            judged.paused += 1;
        } else if holder.end_if_overdue() {
            judged.ended += 1;
        }
    }
    judged
}

/// As much as a connection may hold, but for what goes and comes at the moment.
const FLOOD_BYTES: usize = CONNECTION_HELD_BYTES_MAX / 8 * 7;

/// Connections are paused until an eighth of the bound is free: else each would be paused anew as soon as it goes on.
const RELIEF_PART: u64 = 8;

/// A client that was only slow has read a send buffer of 4 MiB by then, at 6 Mbit/s.
const END_AFTER_MS: u32 = 5000;

/// One line in ten seconds says that it goes on, and drowns nothing.
const LOG_EVERY_MS: u64 = 10_000;

#[cfg(test)]
mod tests;

/// What is queued of all streams of a connection. Beyond it a stream waits, however little it has: 1 MiB, and for each of 128 streams
/// the one piece that it holds in its hand.
pub(crate) const CONNECTION_HELD_BYTES_MAX: usize = 1024 * 1024;
