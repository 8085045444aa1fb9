//! What a client's connection does at the moment, and when it last moved.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32};
use std::time::Duration;

use svc_core::outcome::Failure;

use super::guard::RequestTurns;
use super::pace::ClientPace;
use crate::clock;
use crate::memory::Holder;
use crate::net::acks::{Acks, SILENCE_MAX};
use crate::net::{TcpStream, ending};

/// When a connection last moved, and what it waits for. Atomic only because hyper wants the I/O it may hand out as an
/// upgrade to be `Send`; one thread writes and reads it.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    phase: AtomicU8,
    moved_ms: AtomicU32,
    head_ms: AtomicU32,
    /// Whose turn it is of an HTTP/1 connection's requests.
    pub(crate) turns: RequestTurns,
    /// What the connection makes us hold.
    holder: Holder,
    ends_answers: AtomicBool,
    unheard: AtomicBool,
    /// Whether the client acknowledges what it is sent.
    pub(crate) acks: Acks,
    /// Whether it reads, and says what it has begun.
    pub(crate) pace: ClientPace,
    /// It is to be looked at, by who has its socket.
    look: AtomicBool,
}

/// What an HTTP/1 connection waits for; `BUSY` where it is none.
const IDLE: u8 = 0;

const HEAD: u8 = 1;

const BUSY: u8 = 2;

const ASKED: u8 = 3;

impl Pulse {
    pub(crate) fn new() -> Arc<Pulse> {
        Pulse::of(Holder::default())
    }

    /// That of a connection which may hold something.
    pub(crate) fn of(holder: Holder) -> Arc<Pulse> {
        let pulse = Pulse { holder, ..Pulse::default() };
        pulse.moved_ms.store(clock::coarse_ms(), Relaxed);
        Arc::new(pulse)
    }

    /// Bytes came; when nothing was expected, they begin a request head.
    pub(crate) fn read(&self) {
        self.wrote();
        if self.phase.load(Relaxed) == IDLE {
            self.head_ms.store(clock::coarse_ms(), Relaxed);
            self.phase.store(HEAD, Relaxed);
        }
    }

    /// So many bytes came. What is no HTTP/1 is counted where it is kept.
    pub(crate) fn received(&self, bytes: usize) {
        self.read();
        match self.phase.load(Relaxed) {
            BUSY => {}
            ASKED => self.holder.reads_body(bytes),
            _ => self.holder.reads_head(bytes),
        }
    }

    /// Bytes went.
    pub(crate) fn wrote(&self) {
        self.moved_ms.store(clock::coarse_ms(), Relaxed);
    }

    /// What the connection makes us hold.
    pub(crate) fn holder(&self) -> &Holder {
        &self.holder
    }

    /// A request head is complete, or the connection has none.
    pub(crate) fn busy(&self) {
        self.phase.store(BUSY, Relaxed);
    }

    /// The end of this connection may be the end of an answer: its client knows no chunks.
    pub(crate) fn end_answers(&self) {
        self.ends_answers.store(true, Relaxed);
    }

    pub(crate) fn ends_answers(&self) -> bool {
        self.ends_answers.load(Relaxed)
    }

    /// A request head is complete, and its answer is to come; of the request there is a body, if there is, to hear.
    pub(crate) fn asked(&self, has_body: bool) {
        self.unheard.store(has_body, Relaxed);
        self.pace.unsaid.end();
        self.phase.store(ASKED, Relaxed);
    }

    /// The request was heard to its end.
    pub(crate) fn heard_all(&self) {
        self.unheard.store(false, Relaxed);
    }

    /// There is a request whose end was not heard. An answer to it is its connection's last: nobody knows whether its end will come.
    pub(crate) fn is_unheard(&self) -> bool {
        self.unheard.load(Relaxed)
    }

    /// The client owes the rest of a request that it waits to be answered.
    pub(crate) fn owes_body(&self) -> bool {
        self.waits() && self.is_unheard()
    }

    /// The client has asked something, and not had all of its answer.
    pub(crate) fn waits(&self) -> bool {
        self.phase.load(Relaxed) == ASKED
    }

    /// The client was stopped short: in a request, or in the head of one.
    pub(crate) fn may_say_more(&self) -> bool {
        self.is_unheard() || self.phase.load(Relaxed) == HEAD
    }

    /// Has who owns the socket look at what the client acknowledges.
    pub(crate) fn is_due_to_look(&self) {
        self.look.store(true, Relaxed);
    }

    /// Whether a look is due at what the client acknowledges.
    pub(crate) fn is_to_look(&self) -> bool {
        self.look.load(Relaxed)
    }

    /// Looks at the client if that is due.
    ///
    /// # Errors
    /// It has acknowledged nothing for too long.
    pub(crate) fn look(&self, socket: &TcpStream) -> io::Result<()> {
        match self.is_to_look() {
            true => self.look_closely(socket),
            false => Ok(()),
        }
    }

    #[cold]
    fn look_closely(&self, socket: &TcpStream) -> io::Result<()> {
        if self.acks.is_silent(socket, SILENCE_MAX) {
            ending::break_when_dropped(socket); // what it has not taken it will not
            return Err(io::ErrorKind::TimedOut.into()); // and the next look says so again
        }
        self.look.store(false, Relaxed);
        Ok(())
    }

    /// Nothing is under way.
    pub(crate) fn is_idle(&self) -> bool {
        self.phase.load(Relaxed) == IDLE
    }

    /// Whether reading stops while the connection is paused. An HTTP/2 client has to be heard: what it holds goes as it opens its windows.
    pub(crate) fn is_pausable(&self) -> bool {
        self.phase.load(Relaxed) != BUSY
    }

    /// The answer has been sent.
    pub(crate) fn idle(&self) {
        self.turns.end();
        self.phase.store(IDLE, Relaxed);
        self.holder.request_is_over();
    }

    pub(crate) fn overdue(&self, limits: ConnDeadlines) -> Option<Failure> {
        if self.holder.must_end() {
            return Some(Failure::MemoryExceeded);
        }
        let over = |since_ms, limit: Duration| {
            !limit.is_zero() && u128::from(clock::coarse_since(since_ms)) > limit.as_millis()
        };
        if self.phase.load(Relaxed) == HEAD && over(self.head_ms.load(Relaxed), limits.header) {
            return Some(Failure::HeaderTimeout);
        }
        over(self.moved_ms.load(Relaxed), limits.idle).then_some(Failure::IdleTimeout)
    }
}

/// How long a connection may take; zero is for ever.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnDeadlines {
    pub(crate) header: Duration,
    pub(crate) idle: Duration,
}
