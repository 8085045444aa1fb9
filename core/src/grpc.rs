//! gRPC's status codes (`statuscodes.md`): how a call ended, and whether its Service failed.
//!
//! The ejector, the metrics and the access log ask the same table.

use crate::outcome::Failure;

/// How a call ended. The order is that of the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// 0
    Ok,
    /// 1: the client cancelled it.
    Cancelled,
    /// 2: also what a call has come to whose status is missing, or none of these.
    Unknown,
    /// 3
    InvalidArgument,
    /// 4
    DeadlineExceeded,
    /// 5
    NotFound,
    /// 6
    AlreadyExists,
    /// 7
    PermissionDenied,
    /// 8
    ResourceExhausted,
    /// 9
    FailedPrecondition,
    /// 10
    Aborted,
    /// 11
    OutOfRange,
    /// 12
    Unimplemented,
    /// 13
    Internal,
    /// 14
    Unavailable,
    /// 15
    DataLoss,
    /// 16
    Unauthenticated,
}

impl Status {
    /// All of them, by their numbers.
    pub const ALL: [Status; 17] = [
        Status::Ok,
        Status::Cancelled,
        Status::Unknown,
        Status::InvalidArgument,
        Status::DeadlineExceeded,
        Status::NotFound,
        Status::AlreadyExists,
        Status::PermissionDenied,
        Status::ResourceExhausted,
        Status::FailedPrecondition,
        Status::Aborted,
        Status::OutOfRange,
        Status::Unimplemented,
        Status::Internal,
        Status::Unavailable,
        Status::DataLoss,
        Status::Unauthenticated,
    ];

    /// Reads the value of `grpc-status`. What is no number of a status is [`Status::Unknown`], as it is to clients.
    pub fn parse(value: &[u8]) -> Status {
        let number = match *value {
            [digit @ b'0'..=b'9'] => digit - b'0',
            [b'1', digit @ b'0'..=b'6'] => 10 + (digit - b'0'),
            _ => return Status::Unknown,
        };
        Status::ALL[usize::from(number)]
    }

    /// What a call has come to that ended without a `grpc-status`, by the HTTP status of its answer (`http-grpc-status-mapping.md`).
    pub fn of_http(status: u16) -> Status {
        match status {
            400 => Status::Internal,
            401 => Status::Unauthenticated,
            403 => Status::PermissionDenied,
            404 => Status::Unimplemented,
            429 | 502 | 503 | 504 => Status::Unavailable,
            _ => Status::Unknown,
        }
    }

    /// What a call has come to that failed on its way: what the client is told, or finds out by itself.
    pub fn of_failure(failure: Failure) -> Status {
        match failure.verdict().status {
            400 => Status::Internal,
            408 | 504 => Status::DeadlineExceeded,
            499 => Status::Cancelled,
            501 => Status::Unimplemented,
            _ => Status::Unavailable, // safe to try again
        }
    }

    /// Whether the Service failed. The other codes are what applications use for a caller's mistakes, and for having too much to do.
    pub fn is_failure(self) -> bool {
        use Status::{DataLoss, DeadlineExceeded, Internal, Unavailable, Unknown};
        matches!(self, Unknown | DeadlineExceeded | Internal | Unavailable | DataLoss)
    }

    /// Its number in decimal digits, as the header and the metrics have it.
    pub fn as_str(self) -> &'static str {
        const NUMBERS: [&str; 17] =
            ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16"];
        NUMBERS[self as usize]
    }
}

/// Whether a `content-type` is gRPC's own (`PROTOCOL-HTTP2.md`). gRPC-Web's is not: its status stands in the body.
pub fn is_content_type(value: &[u8]) -> bool {
    const GRPC: &[u8] = b"application/grpc";
    let Some((kind, rest)) = value.split_at_checked(GRPC.len()) else { return false };
    kind.eq_ignore_ascii_case(GRPC) && matches!(rest.first(), None | Some(b'+' | b';' | b' ' | b'\t'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec::Vec;

    #[test]
    fn a_status_is_its_number_and_everything_else_is_unknown() {
        for (number, status) in Status::ALL.into_iter().enumerate() {
            assert_eq!(status as usize, number);
            assert_eq!(status.as_str(), number.to_string());
            assert_eq!(Status::parse(status.as_str().as_bytes()), status);
        }
        for absurd in ["", "17", "99", "100", "-1", "014", "00", "1 ", " 1", "OK", "1.0", "\u{ff}"] {
            assert_eq!(Status::parse(absurd.as_bytes()), Status::Unknown, "{absurd:?}");
        }
    }

    #[test]
    fn five_codes_are_failures_of_the_service() {
        let failures: Vec<_> = Status::ALL.iter().filter(|status| status.is_failure()).collect();
        let numbers: Vec<_> = failures.iter().map(|status| status.as_str()).collect();
        assert_eq!(numbers, ["2", "4", "13", "14", "15"]);
    }

    #[test]
    fn an_answer_without_a_status_is_what_clients_make_of_it() {
        for (http, status) in [
            (200, "2"),
            (400, "13"),
            (401, "16"),
            (403, "7"),
            (404, "12"),
            (429, "14"),
            (500, "2"),
            (502, "14"),
            (503, "14"),
            (504, "14"),
        ] {
            assert_eq!(Status::of_http(http).as_str(), status, "{http}");
        }
    }

    #[test]
    fn a_failure_on_the_way_has_a_status_of_its_own() {
        for (failure, status) in [
            (Failure::NoEndpoints, "14"),
            (Failure::Truncated, "14"),
            (Failure::Ended, "14"),
            (Failure::ClientGone, "1"),
            (Failure::ClientDeadline, "4"),
            (Failure::ResponseTimeout, "4"),
            (Failure::BadRequest, "13"),
        ] {
            assert_eq!(Status::of_failure(failure).as_str(), status, "{failure:?}");
        }
    }

    #[test]
    fn grpc_is_told_from_grpc_web_by_its_content_type() {
        for grpc in ["application/grpc", "application/grpc+proto", "Application/GRPC;charset=utf-8"] {
            assert!(is_content_type(grpc.as_bytes()), "{grpc}");
        }
        for other in
            ["application/grpc-web", "application/grpc-web+proto", "application/grpcx", "text/plain", ""]
        {
            assert!(!is_content_type(other.as_bytes()), "{other}");
        }
    }
}
