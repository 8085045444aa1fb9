//! Whether a failed request is sent again, to another endpoint.

mod budget;

pub use budget::Budget;

use crate::outcome::{Failure, Retry};

/// What matters of a request that failed.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    /// How many endpoints may have acted on it, this one included.
    pub sent: u32,
    /// How often an endpoint did not look at it, this time included.
    pub unprocessed: u32,
    /// Whether the method is idempotent (RFC 9110 §9.2.2).
    pub idempotent: bool,
    /// Whether the body can be sent once more from its first byte.
    pub body_whole: bool,
}

/// What follows from a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// The failure is the client's answer.
    No,
    /// Another attempt is made.
    Free,
    /// Another attempt is made if the [`Budget`] has one.
    FromBudget,
}

/// What a Service lets be sent again (`svcmesh.dev/retry`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// A request whose connection could not be opened.
    pub connect: bool,
    /// An idempotent request whose connection was lost, or whose try took too long, before the head of an answer.
    pub reset: bool,
    /// An idempotent request that was answered 502, 503 or 504.
    pub gateway_error: bool,
    /// How often a request is sent in all, failed connects aside; at least 1.
    pub attempts: u8,
}

impl Default for RetryPolicy {
    /// Failed connects and resets, [`ATTEMPTS_MAX`] in all.
    fn default() -> RetryPolicy {
        RetryPolicy { connect: true, reset: true, gateway_error: false, attempts: ATTEMPTS_MAX as u8 }
    }
}

/// The most endpoints that may act on one request, where its Service says nothing: beyond three, a fourth rarely helps and the client
/// has waited long enough.
pub const ATTEMPTS_MAX: u32 = 3;

/// How often one request is sent again that no endpoint looked at: once for a connection that turned out to be old, and for one more
/// of an endpoint that is leaving. Only the first is free: an endpoint may refuse every stream that it is sent.
const UNPROCESSED_MAX: u32 = 3;

/// Decides. A failed connect was no request yet: it costs neither attempt nor budget, and has no limit but the number of endpoints.
pub fn again(failure: Failure, attempt: Attempt) -> Again {
    let Attempt { sent, unprocessed, idempotent, body_whole } = attempt;
    let (may, again) = match failure.verdict().retry {
        Retry::Always if failure == Failure::Unprocessed => {
            (unprocessed < UNPROCESSED_MAX, if unprocessed == 1 { Again::Free } else { Again::FromBudget })
        }
        Retry::Always => (true, Again::Free),
        Retry::WhenIdempotent => (idempotent && sent < ATTEMPTS_MAX, Again::FromBudget),
        Retry::Never => (false, Again::No),
    };
    if may && body_whole { again } else { Again::No }
}

/// RFC 9110 §9.2.2; an unknown method is not.
pub fn is_idempotent(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "OPTIONS" | "TRACE" | "PUT" | "DELETE")
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: Attempt = Attempt { sent: 1, unprocessed: 0, idempotent: true, body_whole: true };
    const POST: Attempt = Attempt { idempotent: false, ..GET };

    #[track_caller]
    fn check(failure: Failure, attempt: Attempt, expected: Again) {
        assert_eq!(again(failure, attempt), expected);
    }

    #[test]
    fn a_refused_connection_is_tried_elsewhere_whatever_the_method() {
        check(Failure::ConnectRefused, Attempt { sent: 0, ..POST }, Again::Free);
        check(Failure::ConnectTimeout, Attempt { sent: ATTEMPTS_MAX, ..POST }, Again::Free);
    }

    #[test]
    fn a_post_that_an_endpoint_may_have_seen_is_not_sent_twice() {
        check(Failure::Reset, POST, Again::No);
        check(Failure::ResponseTimeout, POST, Again::No);
        check(Failure::Reset, GET, Again::FromBudget);
        check(Failure::ResponseTimeout, GET, Again::FromBudget);
    }

    #[test]
    fn what_no_endpoint_looked_at_is_sent_again_and_the_first_time_costs_nothing() {
        let unprocessed = |unprocessed| Attempt { sent: 0, unprocessed, ..POST };
        check(Failure::Unprocessed, unprocessed(1), Again::Free);
        check(Failure::Unprocessed, unprocessed(2), Again::FromBudget);
        check(Failure::Unprocessed, unprocessed(3), Again::No);
    }

    #[test]
    fn a_body_that_is_partly_gone_cannot_be_sent_again() {
        let gone = Attempt { unprocessed: 1, body_whole: false, ..GET };
        check(Failure::Unprocessed, gone, Again::No);
        check(Failure::Reset, gone, Again::No);
    }

    #[test]
    fn attempts_end() {
        check(Failure::Reset, Attempt { sent: ATTEMPTS_MAX, ..GET }, Again::No);
    }

    #[test]
    fn an_answered_request_is_never_sent_again() {
        check(Failure::Truncated, GET, Again::No);
        check(Failure::BadResponse, GET, Again::No);
    }
}
