//! Whether a failed request is sent again, to another endpoint.

use crate::outcome::{Failure, Retry};

/// What matters of a request that failed.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    /// How many endpoints have been tried, this one included.
    pub tried: usize,
    /// Whether the method is idempotent (RFC 9110 §9.2.2).
    pub idempotent: bool,
    /// Whether the body can be sent once more from its first byte.
    pub body_whole: bool,
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

/// The most endpoints one request is tried on, where its Service says nothing: beyond three, a fourth rarely helps and the client has
/// waited long enough.
pub const ATTEMPTS_MAX: usize = 3;

/// Decides. A failed connect costs the endpoint nothing and has no limit but the number of endpoints.
pub fn again(failure: Failure, attempt: Attempt) -> bool {
    let connected =
        !matches!(failure, Failure::ConnectRefused | Failure::ConnectTimeout | Failure::Unreachable);
    if connected && attempt.tried >= ATTEMPTS_MAX {
        return false;
    }
    match failure.verdict().retry {
        Retry::Always => attempt.body_whole,
        Retry::WhenIdempotent => attempt.body_whole && attempt.idempotent,
        Retry::Never => false,
    }
}

/// RFC 9110 §9.2.2; an unknown method is not.
pub fn is_idempotent(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "OPTIONS" | "TRACE" | "PUT" | "DELETE")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(failure: Failure, tried: usize, idempotent: bool, body_whole: bool, expected: bool) {
        assert_eq!(again(failure, Attempt { tried, idempotent, body_whole }), expected);
    }

    #[test]
    fn a_refused_connection_is_tried_elsewhere_whatever_the_method() {
        check(Failure::ConnectRefused, 1, false, true, true);
        check(Failure::ConnectRefused, 40, false, true, true);
    }

    #[test]
    fn a_post_that_an_endpoint_may_have_seen_is_not_sent_twice() {
        check(Failure::Reset, 1, false, true, false);
        check(Failure::Reset, 1, true, true, true);
        check(Failure::Unprocessed, 1, false, true, true);
    }

    #[test]
    fn a_body_that_is_partly_gone_cannot_be_sent_again() {
        check(Failure::Unprocessed, 1, true, false, false);
        check(Failure::Reset, 1, true, false, false);
    }

    #[test]
    fn attempts_end() {
        check(Failure::Reset, ATTEMPTS_MAX, true, true, false);
    }

    #[test]
    fn an_answered_request_is_never_sent_again() {
        check(Failure::Truncated, 1, true, true, false);
        check(Failure::BadResponse, 1, true, true, false);
    }
}
