//! Whether a failed request is sent again, to another endpoint.

mod budget;

pub use budget::Budget;

use crate::outcome::{Failure, Retry};

/// What matters of a request that failed.
#[derive(Clone, Copy, Debug)]
pub struct FailedAttempt {
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

/// What a Service lets be sent again (`svcmesh.dev/retry`), beside what always is: a request whose connection could not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// An idempotent request whose connection was lost, or whose try took too long, before the head of an answer.
    pub reset: bool,
    /// An idempotent request that was answered 502, 503 or 504; a gRPC call that was answered UNAVAILABLE and nothing else.
    pub gateway_error: bool,
    /// How often a request is sent in all, failed connects aside; at least 1.
    pub attempts: u8,
}

impl Default for RetryPolicy {
    /// Resets, [`ATTEMPTS_MAX`] in all.
    fn default() -> RetryPolicy {
        RetryPolicy { reset: true, gateway_error: false, attempts: ATTEMPTS_MAX as u8 }
    }
}

/// The most endpoints that may act on one request, where its Service says nothing: beyond three, a fourth rarely helps and the client
/// has waited long enough.
pub const ATTEMPTS_MAX: u32 = 3;

/// How often one request is sent again that no endpoint looked at: once for a connection that turned out to be old, and for one more
/// of an endpoint that is leaving. Only the first is free: an endpoint may refuse every stream that it is sent.
const UNPROCESSED_MAX: u32 = 3;

/// Decides. A failed connect was no request yet: it costs neither attempt nor budget, and has no limit but the number of endpoints.
pub fn again(failure: Failure, attempt: FailedAttempt, policy: RetryPolicy) -> Again {
    let FailedAttempt { sent, unprocessed, idempotent, body_whole } = attempt;
    let wanted = if failure == Failure::GatewayError { policy.gateway_error } else { policy.reset };
    let again = match failure.verdict().retry {
        Retry::Always if failure == Failure::Unprocessed => unlooked_at(unprocessed),
        Retry::Always => Again::Free,
        Retry::WhenIdempotent if wanted && idempotent && sent < u32::from(policy.attempts) => {
            Again::FromBudget
        }
        Retry::WhenIdempotent | Retry::Never => Again::No,
    };
    if body_whole { again } else { Again::No }
}

fn unlooked_at(times: u32) -> Again {
    match times {
        1 => Again::Free,
        2..UNPROCESSED_MAX => Again::FromBudget,
        _ => Again::No,
    }
}

/// Whether an answer is one that `gateway-error` is about: 502, 503, 504, or gRPC's UNAVAILABLE in a response that has no message
/// (`grpc_status` is that of its head).
pub fn is_gateway_error(status: u16, grpc_status: Option<&[u8]>) -> bool {
    matches!(status, 502..=504) || grpc_status == Some(b"14") // UNAVAILABLE
}

/// RFC 9110 §9.2.2; an unknown method is not.
pub fn is_idempotent(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "OPTIONS" | "TRACE" | "PUT" | "DELETE")
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: FailedAttempt = FailedAttempt { sent: 1, unprocessed: 0, idempotent: true, body_whole: true };
    const POST: FailedAttempt = FailedAttempt { idempotent: false, ..GET };

    #[track_caller]
    fn check(failure: Failure, attempt: FailedAttempt, expected: Again) {
        assert_eq!(again(failure, attempt, RetryPolicy::default()), expected);
    }

    #[test]
    fn a_refused_connection_is_tried_elsewhere_whatever_the_method() {
        check(Failure::ConnectRefused, FailedAttempt { sent: 0, ..POST }, Again::Free);
        check(Failure::ConnectTimeout, FailedAttempt { sent: ATTEMPTS_MAX, ..POST }, Again::Free);
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
        let unprocessed = |unprocessed| FailedAttempt { sent: 0, unprocessed, ..POST };
        check(Failure::Unprocessed, unprocessed(1), Again::Free);
        check(Failure::Unprocessed, unprocessed(2), Again::FromBudget);
        check(Failure::Unprocessed, unprocessed(3), Again::No);
    }

    #[test]
    fn a_body_that_is_partly_gone_cannot_be_sent_again() {
        let gone = FailedAttempt { unprocessed: 1, body_whole: false, ..GET };
        check(Failure::Unprocessed, gone, Again::No);
        check(Failure::Reset, gone, Again::No);
    }

    #[test]
    fn attempts_end() {
        check(Failure::Reset, FailedAttempt { sent: ATTEMPTS_MAX, ..GET }, Again::No);
    }

    #[test]
    fn an_answered_request_is_never_sent_again() {
        check(Failure::Truncated, GET, Again::No);
        check(Failure::BadResponse, GET, Again::No);
    }

    #[test]
    fn a_service_says_what_is_sent_again_and_how_often() {
        let nothing = RetryPolicy { reset: false, gateway_error: false, attempts: 5 };
        for (failure, policy) in [
            (Failure::Reset, RetryPolicy { reset: true, ..nothing }),
            (Failure::ResponseTimeout, RetryPolicy { reset: true, ..nothing }),
            (Failure::GatewayError, RetryPolicy { gateway_error: true, ..nothing }),
        ] {
            assert_ne!(again(failure, GET, policy), Again::No, "{failure:?}");
            assert_eq!(again(failure, GET, nothing), Again::No, "{failure:?}");
        }
        let twice = RetryPolicy { reset: true, attempts: 2, ..nothing };
        assert_eq!(again(Failure::Reset, GET, twice), Again::FromBudget);
        assert_eq!(again(Failure::Reset, FailedAttempt { sent: 2, ..GET }, twice), Again::No);
        let stale = FailedAttempt { sent: 0, unprocessed: 1, ..POST };
        assert_eq!(again(Failure::Unprocessed, stale, nothing), Again::Free, "no endpoint looked at it");
        assert_eq!(again(Failure::ConnectRefused, POST, nothing), Again::Free, "it was no request yet");
    }

    #[test]
    fn an_answer_is_no_failure_unless_a_service_says_so() {
        check(Failure::GatewayError, GET, Again::No);
        let asked = RetryPolicy { gateway_error: true, ..RetryPolicy::default() };
        assert_eq!(again(Failure::GatewayError, POST, asked), Again::No);
    }

    #[test]
    fn gateway_errors_are_three_statuses_and_one_of_grpc() {
        for (status, grpc_status, expected) in [
            (500, None, false),
            (502, None, true),
            (503, None, true),
            (504, None, true),
            (505, None, false),
            (200, Some(&b"14"[..]), true),
            (200, Some(&b"13"[..]), false),
        ] {
            assert_eq!(is_gateway_error(status, grpc_status), expected, "{status} {grpc_status:?}");
        }
    }
}
