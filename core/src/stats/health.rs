//! The health of an endpoint, by its answers and failures.

use core::time::Duration;

use crate::grpc::Status;
use crate::outcome::{Failure, Side};

/// What one answer says of the endpoint that gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It works. That a client asked for what is not there is not its fault.
    Well,
    /// It does not.
    Failing,
    /// It works, and has too much to do.
    Busy,
}

impl Health {
    /// By an HTTP status. `501` and `505` (RFC 9110 §15.6.2, §15.6.6) tell of the request, `429` (RFC 6585 §4) of how many there are.
    pub fn of_status(status: u16) -> Health {
        match status {
            429 => Health::Busy,
            501 | 505 => Health::Well,
            500..=599 => Health::Failing,
            _ => Health::Well,
        }
    }

    /// By the value of `grpc-status`, in headers or in trailers.
    pub fn of_grpc_status(value: &[u8]) -> Health {
        let status = Status::parse(value);
        match status.is_failure() {
            true => Health::Failing,
            false if status == Status::ResourceExhausted => Health::Busy,
            false => Health::Well,
        }
    }
}

/// Whether a failure may be held against the endpoint that was tried. A stale connection is not: only the connection was old. Nor is that
/// it left its Service, nor that its answer has more headers than are read: what it says may be what the client made it say.
pub fn is_held_against(failure: Failure) -> bool {
    use Failure::{Drained, Left, ResponseTooLarge, Unprocessed};
    let is_nobodys = matches!(failure, Unprocessed | Left | Drained | ResponseTooLarge);
    failure.verdict().side == Side::Upstream && !is_nobodys
}

/// Whether a failure is held against an endpoint that has had all of the request for `had`, where requests may take `patience`.
///
/// Who cannot be connected to needs no request to fail. All else may be the client's doing as long as it has not sent all of its
/// request; and that an answer was late is the endpoint's only if most of the time was the endpoint's.
pub fn is_its_own(failure: Failure, had: Option<Duration>, patience: Option<Duration>) -> bool {
    if !is_held_against(failure) || failure.is_connect() {
        return is_held_against(failure);
    }
    let Some(had) = had else { return false };
    let is_late = matches!(failure, Failure::ResponseTimeout | Failure::Overdue);
    !is_late || patience.is_some_and(|patience| had >= patience / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_time_that_an_endpoint_had_with_a_whole_request_counts() {
        let own = |failure, had: Option<u64>, patience: Option<u64>| {
            is_its_own(failure, had.map(Duration::from_secs), patience.map(Duration::from_secs))
        };
        assert!(own(Failure::ConnectRefused, None, None));
        assert!(!own(Failure::Reset, None, Some(10)));
        assert!(own(Failure::Reset, Some(0), Some(10)));
        assert!(!own(Failure::ClientGone, Some(9), Some(10)));
        for late in [Failure::ResponseTimeout, Failure::Overdue] {
            assert!(own(late, Some(10), Some(10)));
            assert!(own(late, Some(5), Some(10)));
            assert!(!own(late, Some(4), Some(10)));
            assert!(!own(late, None, Some(10)));
            assert!(!own(late, Some(10), None), "the client chose how long");
        }
    }

    #[test]
    fn server_errors_count_but_for_what_the_request_asked_too_much() {
        let failing = (100..=999).filter(|status| Health::of_status(*status) == Health::Failing);
        assert!(failing.eq((500..=599).filter(|status| ![501, 505].contains(status))));
        assert_eq!(Health::of_status(429), Health::Busy);
    }

    #[test]
    fn of_grpcs_codes_five_count() {
        let code = |code: u32| Health::of_grpc_status(code.to_string().as_bytes());
        let failing: Vec<u32> = (0..=16).filter(|number| code(*number) == Health::Failing).collect();
        assert_eq!(failing, [2, 4, 13, 14, 15]);
        assert_eq!((code(8), code(16)), (Health::Busy, Health::Well));
        assert_eq!(Health::of_grpc_status(b"17"), Health::Failing, "no code: UNKNOWN");
    }

    #[test]
    fn neither_a_client_that_left_nor_a_stale_connection_nor_a_drain_is_held_against_an_endpoint() {
        let counted = |failure: &Failure| is_held_against(*failure);
        assert!(
            [Failure::ConnectRefused, Failure::Reset, Failure::ResponseTimeout, Failure::Truncated]
                .iter()
                .all(counted)
        );
        assert!(
            ![Failure::ClientGone, Failure::Unprocessed, Failure::NoEndpoints, Failure::Ended]
                .iter()
                .chain(&[Failure::Left, Failure::Drained])
                .any(counted)
        );
    }
}
