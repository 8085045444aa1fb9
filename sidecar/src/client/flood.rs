//! Clients that do what nobody does who wants an answer. What they hold is bounded wherever they do it; here it gets its name, so
//! that somebody notices.

use std::cell::Cell;
use std::rc::Rc;

use svc_core::outcome::Failure;

use super::tracker::ConnectionEnder;
use crate::clock;

/// What a client of HTTP/2 makes of its streams. h2 bounds those that are reset before we have looked at them; each of the others has
/// cost an endpoint a request (CVE-2023-44487).
pub(crate) struct StreamCounts {
    answered: Cell<u32>,
    /// Given up within [`PREMATURE_MS`] of their beginning.
    cancelled: Cell<u32>,
    connection: ConnectionEnder,
}

/// A client that has waited for longer has given up; who cancels sooner never wanted an answer. Envoy's bound as well.
const PREMATURE_MS: u128 = 1000;

/// So many that it is no mishap: twice the streams that are open at once when a client goes away.
const CANCELLED_MAX: u32 = 256;

impl StreamCounts {
    pub(crate) fn of(connection: ConnectionEnder) -> Rc<StreamCounts> {
        Rc::new(StreamCounts { answered: Cell::new(0), cancelled: Cell::new(0), connection })
    }

    /// A stream begins: dropped before it is [`CountedStream::answered`], it was cancelled.
    pub(crate) fn begin(self: &Rc<Self>) -> CountedStream {
        CountedStream { streams: self.clone(), begun_ms: clock::coarse_ms(), answered: false }
    }

    /// Ends the connection of a client that cancels quickly most of what it asks for.
    fn cancel(&self) {
        self.cancelled.set(self.cancelled.get().saturating_add(1));
        if self.cancelled.get() > CANCELLED_MAX.max(self.answered.get()) {
            self.connection.end(Failure::Flooded);
        }
    }
}

/// One of them.
pub(crate) struct CountedStream {
    streams: Rc<StreamCounts>,
    begun_ms: u32,
    answered: bool,
}

impl CountedStream {
    /// Its answer is there.
    pub(crate) fn answered(&mut self) {
        self.answered = true;
    }
}

impl Drop for CountedStream {
    fn drop(&mut self) {
        let streams = &self.streams;
        if self.answered {
            streams.answered.set(streams.answered.get().saturating_add(1));
        } else if u128::from(clock::coarse_since(self.begun_ms)) < PREMATURE_MS {
            streams.cancel();
        }
    }
}
