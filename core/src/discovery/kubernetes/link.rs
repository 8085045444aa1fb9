//! The connection: when to open one.

use super::pauses;
use crate::draws::Draws;
use crate::time::Now;

/// The state of the one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    /// There is none until then.
    Waiting(Now),
    /// One is being opened.
    Connecting,
    /// It is there.
    Up {
        /// Whether it has had an answer that is no refusal of our credentials.
        serves: bool,
    },
}

impl Link {
    /// The first is opened at once.
    pub(super) fn new() -> Link {
        Link::Waiting(Now::default())
    }

    /// Whether to open one now; it counts as being opened.
    pub(super) fn opens(&mut self, now: Now) -> bool {
        let opens = matches!(self, Link::Waiting(at) if *at <= now);
        if opens {
            *self = Link::Connecting;
        }
        opens
    }

    pub(super) fn connected(&mut self) {
        if *self == Link::Connecting {
            *self = Link::Up { serves: false };
        }
    }

    /// Whether this is the first answer that it has.
    pub(super) fn served(&mut self) -> bool {
        let first = *self == Link::Up { serves: false };
        if first {
            *self = Link::Up { serves: true };
        }
        first
    }

    /// It is gone, or did not come to be; whether that is new.
    pub(super) fn lost(&mut self, now: Now, draws: &Draws) -> bool {
        let pause = match self {
            Link::Waiting(_) => return false,
            Link::Connecting | Link::Up { serves: false } => pauses::after_failed_connect(draws),
            Link::Up { serves: true } => pauses::after_loss(draws),
        };
        *self = Link::Waiting(pauses::after(now, pause));
        true
    }

    pub(super) fn is_up(self) -> bool {
        matches!(self, Link::Up { .. })
    }

    /// Whether the last attempt failed: requests do not wait for the next.
    pub(super) fn is_lost(self) -> bool {
        matches!(self, Link::Waiting(at) if at > Now::default())
    }

    pub(super) fn wake(self) -> Option<Now> {
        match self {
            Link::Waiting(at) => Some(at),
            Link::Connecting | Link::Up { .. } => None,
        }
    }
}
