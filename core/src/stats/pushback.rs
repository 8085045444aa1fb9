//! Server pushback: what an endpoint asks for when it has too much to do.

use core::time::Duration;

use super::health::Health;
use crate::http_date;

/// How long an answer with this status, and with this `Retry-After` if it has one, asks to be left alone (RFC 9110 §10.2.3).
/// `unix_seconds` is the time of day, which a date is compared with.
pub fn pushback_of_status(status: u16, retry_after: Option<&[u8]>, unix_seconds: u64) -> Option<Duration> {
    let asked = retry_after.and_then(|value| after(value, unix_seconds));
    match status {
        429 => Some(asked.unwrap_or(UNSAID)),
        503 => asked,
        _ => None,
    }
}

/// How long a gRPC status asks for that: `grpc-retry-pushback-ms` says it where it is there (gRFC A6); a negative one asks not to
/// send the call again, which is no time.
pub fn pushback_of_grpc_status(status: &[u8], pushback_ms: Option<&[u8]>) -> Option<Duration> {
    let asked = pushback_ms.and_then(number).map(Duration::from_millis);
    (Health::of_grpc_status(status) == Health::Busy).then(|| asked.unwrap_or(UNSAID))
}

/// What is granted to an endpoint that says only that it is busy.
const UNSAID: Duration = Duration::from_secs(5);

fn after(value: &[u8], unix_seconds: u64) -> Option<Duration> {
    let seconds = number(value);
    let seconds = seconds.or_else(|| Some(http_date::parse(value)?.saturating_sub(unix_seconds)))?;
    Some(Duration::from_secs(seconds))
}

/// Digits alone; more of them than fit are a long time.
fn number(value: &[u8]) -> Option<u64> {
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    let digit = |sum: u64, digit: &u8| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
    digits.then(|| value.iter().fold(0, digit))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: u64 = 784_111_777; // Sun, 06 Nov 1994 08:49:37 GMT, RFC 9110 §5.6.7

    #[track_caller]
    fn check(status: u16, retry_after: Option<&str>, seconds: Option<u64>) {
        let asked = pushback_of_status(status, retry_after.map(str::as_bytes), NOON);
        assert_eq!(asked, seconds.map(Duration::from_secs), "{status} {retry_after:?}");
    }

    #[test]
    fn too_many_requests_are_spared_as_long_as_they_ask_for_or_five_seconds() {
        check(429, None, Some(5));
        check(429, Some("120"), Some(120));
        check(429, Some("0"), Some(0));
        check(429, Some("soon"), Some(5));
        check(429, Some("-1"), Some(5));
        check(429, Some("99999999999999999999"), Some(u64::MAX));
        check(429, Some("Sun, 06 Nov 1994 08:50:00 GMT"), Some(23));
        check(429, Some("Sun, 06 Nov 1994 08:00:00 GMT"), Some(0));
    }

    #[test]
    fn an_unavailable_service_is_spared_where_it_asks_and_others_are_not() {
        check(503, None, None);
        check(503, Some("7"), Some(7));
        check(301, Some("7"), None);
        check(500, Some("7"), None);
    }

    #[test]
    fn an_exhausted_resource_is_spared_as_its_pushback_says() {
        let asked = |status: &str, pushback: Option<&str>| {
            pushback_of_grpc_status(status.as_bytes(), pushback.map(str::as_bytes))
                .map(|time| time.as_millis())
        };
        assert_eq!(asked("8", None), Some(5_000));
        assert_eq!(asked("8", Some("250")), Some(250));
        assert_eq!(asked("8", Some("-1")), Some(5_000));
        assert_eq!(asked("14", Some("250")), None);
    }
}
