//! Any `Retry-After`: what is taken for a time is one, and a date means the same whoever writes it.

use std::time::Duration;

use svc_core::http_date;
use svc_core::stats::pushback_of_status;

pub(crate) fn check(bytes: &[u8]) {
    let asked = pushback_of_status(429, Some(bytes), 0).expect("a 429 always asks for something");
    assert_eq!(pushback_of_status(503, Some(bytes), 0).unwrap_or(UNSAID), asked);
    if let Some(date) = http_date::parse(bytes) {
        assert_eq!(asked, Duration::from_secs(date));
        assert_eq!(pushback_of_status(429, Some(bytes), date), Some(Duration::ZERO));
        assert!(date < END_OF_9999, "years have four digits");
    }
}

/// What a 429 gets that does not say.
const UNSAID: Duration = Duration::from_secs(5);

/// 10000-01-01 00:00:00 UTC, and a leap second.
const END_OF_9999: u64 = 253_402_300_801;
