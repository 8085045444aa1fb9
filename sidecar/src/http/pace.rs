//! Clients that neither take what is ready for them nor say what they are waited for: they may, but somebody should notice.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU32};
use std::time::Duration;

use crate::clock;

/// How a client keeps up with a connection. Atomic only because a client's I/O has to be `Send`; one thread writes and reads it.
#[derive(Debug, Default)]
pub(crate) struct ClientPace {
    /// Something of an answer waits for the client, and it takes nothing.
    pub(crate) untaken: StalledSince,
    /// The rest of a request's body is waited for, and nothing comes.
    pub(crate) unsaid: StalledSince,
}

/// Since when a client is waited for.
#[derive(Debug, Default)]
pub(crate) struct StalledSince {
    /// [`clock::coarse_ms`]; 0 when it is not.
    since_ms: AtomicU32,
    counted: AtomicBool,
}

impl StalledSince {
    /// It is waited for.
    #[cold]
    pub(crate) fn begin(&self) {
        if self.since_ms.load(Relaxed) == 0 {
            self.since_ms.store(clock::coarse_ms().max(1), Relaxed);
        }
    }

    /// It has done something.
    #[inline]
    pub(crate) fn end(&self) {
        if self.since_ms.load(Relaxed) != 0 {
            self.since_ms.store(0, Relaxed);
        }
    }

    /// True once for a connection: when its client has been waited for as long as that.
    pub(crate) fn is_new_flood(&self, limit: Duration) -> bool {
        let since_ms = self.since_ms.load(Relaxed);
        let is_over = since_ms != 0 && u128::from(clock::coarse_since(since_ms)) > limit.as_millis();
        is_over && !self.counted.swap(true, Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_counted_once_when_it_was_waited_for_too_long() {
        clock::pass_ms(1); // at 0, where a process begins, it counts as 1
        let (waiting, limit) = (StalledSince::default(), Duration::from_secs(10));
        waiting.begin();
        clock::pass_ms(10_000);
        waiting.begin();
        assert!(!waiting.is_new_flood(limit));
        clock::pass_ms(1);
        assert_eq!([waiting.is_new_flood(limit), waiting.is_new_flood(limit)], [true, false]);
    }

    #[test]
    fn who_takes_something_in_time_is_not_counted() {
        clock::tick();
        let (waiting, limit) = (StalledSince::default(), Duration::from_secs(10));
        for _ in 0..3 {
            waiting.begin();
            clock::pass_ms(9_000);
            assert!(!waiting.is_new_flood(limit));
            waiting.end();
        }
        clock::pass_ms(20_000);
        assert!(!waiting.is_new_flood(limit));
    }
}
