//! Clients that do what nobody does who wants an answer. What they hold is bounded wherever they do it; here it gets its name, so
//! that somebody notices.

use std::cell::Cell;
use std::rc::Rc;

use svc_core::outcome::Failure;

use super::tracker::ConnectionEnder;
use crate::clock;

/// What a client of HTTP/2 makes of its streams. h2 bounds those that are reset before we have looked at them; each of the others has cost
/// an endpoint a request, whether the client resets it (CVE-2023-44487) or makes us do so (CVE-2025-8671).
pub(crate) struct StreamCounts {
    cancels: Cancels,
    connection: ConnectionEnder,
}

/// How many more streams it may give up within [`PREMATURE_MS`] of their beginning.
struct Cancels {
    left: Cell<u32>,
    since_ms: Cell<u32>,
}

/// A client that has waited for longer has given up; who cancels sooner never wanted an answer. Envoy's bound as well.
const PREMATURE_MS: u128 = 1000;

/// So many that it is no mishap: twice the streams that are open at once when a client goes away.
pub(crate) const CANCELLED_AT_FIRST: u32 = 256;

/// For each answer one more: who asks two and takes the first gives up the other. No more is saved, so that not all of a long life can be
/// spent at once.
const CANCELLED_MAX: u32 = 16 * CANCELLED_AT_FIRST;

/// As many as who waits for [`PREMATURE_MS`] can give up: the streams that may be open.
const CANCELLED_PER_SECOND: u32 = 128;

impl StreamCounts {
    pub(crate) fn of(connection: ConnectionEnder) -> Rc<StreamCounts> {
        Rc::new(StreamCounts { cancels: Cancels::default(), connection })
    }

    /// A stream begins: dropped before it is [`CountedStream::answered`], it was cancelled.
    pub(crate) fn begin(self: &Rc<Self>) -> CountedStream {
        CountedStream { streams: self.clone(), begun_ms: clock::coarse_ms(), answered: false }
    }
}

impl Default for Cancels {
    fn default() -> Cancels {
        Cancels { left: Cell::new(CANCELLED_AT_FIRST), since_ms: Cell::new(clock::coarse_ms()) }
    }
}

impl Cancels {
    fn earn(&self) {
        self.left.set((self.left.get() + 1).min(CANCELLED_MAX));
    }

    /// Whether one more was left.
    fn spend(&self) -> bool {
        let passed_ms = u64::from(clock::coarse_since(self.since_ms.get()));
        let earned = passed_ms * u64::from(CANCELLED_PER_SECOND) / 1000;
        if earned > 0 {
            self.since_ms.set(clock::coarse_ms());
            let refilled = (u64::from(self.left.get()) + earned).min(CANCELLED_AT_FIRST.into()) as u32; // at most CANCELLED_AT_FIRST
            self.left.set(refilled.max(self.left.get()));
        }
        let left = self.left.get().checked_sub(1);
        self.left.set(left.unwrap_or(0));
        left.is_some()
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
        let StreamCounts { cancels, connection } = &*self.streams;
        if self.answered {
            cancels.earn();
        } else if u128::from(clock::coarse_since(self.begun_ms)) < PREMATURE_MS && !cancels.spend() {
            connection.end(Failure::Flooded);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_may_last_for_ever_whose_client_gives_up_half_of_what_it_asks_for() {
        let cancels = Cancels::default();
        for _ in 0..1_000_000 {
            cancels.earn();
            assert!(cancels.spend());
        }
    }

    #[test]
    fn a_connection_may_last_for_ever_whose_client_gives_up_a_hundred_streams_a_second() {
        let cancels = Cancels::default();
        for _ in 0..10_000 {
            assert!((0..10).all(|_| cancels.spend()));
            clock::pass_ms(100);
        }
    }

    #[test]
    fn who_gives_up_many_streams_at_once_is_cut_off_however_long_the_connection_has_lasted() {
        let cancels = Cancels::default();
        (0..1_000_000).for_each(|_| cancels.earn());
        clock::pass_ms(1_000_000);
        let given_up = (0..).take_while(|_| cancels.spend()).count();
        assert_eq!(given_up, CANCELLED_MAX as usize);
        assert_eq!((0..CANCELLED_AT_FIRST).filter(|_| cancels.spend()).count(), 0);
    }
}
