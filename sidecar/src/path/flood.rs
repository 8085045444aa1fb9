//! Clients that do what nobody does who wants an answer. What they hold is bounded wherever they do it; here it gets its name, so
//! that somebody notices.

use std::cell::Cell;
use std::rc::Rc;

use svc_core::outcome::Failure;

use super::roster::Remote;
use crate::clock;

/// A kind of flood, as `svcmesh_floods_total` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flood {
    /// More connections than `--max-connections`.
    Connections,
    /// A request head that does not end in time.
    SlowHead,
    /// A request head that is longer than any may be.
    LongHead,
    /// Streams that are opened to be reset.
    Resets,
    /// More memory than there is for all clients together, and most of it this one's.
    Memory,
    /// An answer of which nothing is taken for a long time.
    SlowRead,
    /// The body of a request of which nothing comes for a long time.
    SlowBody,
    /// Frames of HTTP/2 that no message needs: a head or a body in ever smaller pieces, streams that are reset before we have seen them.
    Frames,
}

impl Flood {
    pub(crate) const ALL: [Flood; 8] = [
        Flood::Connections,
        Flood::SlowHead,
        Flood::LongHead,
        Flood::Resets,
        Flood::Memory,
        Flood::SlowRead,
        Flood::SlowBody,
        Flood::Frames,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Flood::Connections => "connections",
            Flood::SlowHead => "slow-head",
            Flood::LongHead => "long-head",
            Flood::Resets => "resets",
            Flood::Memory => "memory",
            Flood::SlowRead => "slow-read",
            Flood::SlowBody => "slow-body",
            Flood::Frames => "frames",
        }
    }

    /// The one that a request is which we refuse, if it is any.
    pub(crate) fn behind(refused: Failure) -> Option<Flood> {
        matches!(refused, Failure::HeadTooLarge | Failure::TargetTooLong).then_some(Flood::LongHead)
    }
}

/// What a client of HTTP/2 makes of its streams. h2 bounds those that are reset before we have looked at them; each of the others has
/// cost an endpoint a request (CVE-2023-44487).
pub(crate) struct Streams {
    answered: Cell<u32>,
    /// Given up within [`PREMATURE_MS`] of their beginning.
    cancelled: Cell<u32>,
    connection: Remote,
}

/// A client that has waited for longer has given up; who cancels sooner never wanted an answer. Envoy's bound as well.
const PREMATURE_MS: u128 = 1000;

/// So many that it is no mishap: twice the streams that are open at once when a client goes away.
const CANCELLED_MAX: u32 = 256;

impl Streams {
    pub(crate) fn of(connection: Remote) -> Rc<Streams> {
        Rc::new(Streams { answered: Cell::new(0), cancelled: Cell::new(0), connection })
    }

    /// A stream begins: dropped before it is [`Stream::answered`], it was cancelled.
    pub(crate) fn begin(self: &Rc<Self>) -> Stream {
        Stream { streams: self.clone(), begun_ms: clock::coarse_ms(), answered: false }
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
pub(crate) struct Stream {
    streams: Rc<Streams>,
    begun_ms: u32,
    answered: bool,
}

impl Stream {
    /// Its answer is there.
    pub(crate) fn answered(&mut self) {
        self.answered = true;
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let streams = &self.streams;
        if self.answered {
            streams.answered.set(streams.answered.get().saturating_add(1));
        } else if u128::from(clock::coarse_since(self.begun_ms)) < PREMATURE_MS {
            streams.cancel();
        }
    }
}
