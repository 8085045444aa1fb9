//! `grpc-timeout`: how long a gRPC client waits for a whole call ("gRPC over HTTP2", Timeout).

use alloc::format;
use alloc::string::String;
use core::time::Duration;

/// Reads 1 to 8 digits and a unit; nothing when it is not that.
pub fn parse(text: &[u8]) -> Option<Duration> {
    let (unit, digits) = text.split_last()?;
    if !(1..=DIGITS_MAX).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let count = digits.iter().fold(0, |count, digit| count * 10 + u64::from(digit - b'0'));
    let &(_, unit_ns) = UNITS.iter().find(|(letter, _)| letter == unit)?;
    Some(Duration::from_nanos(count.saturating_mul(unit_ns)))
}

/// Writes the finest unit that has room for it, rounded down, but never nothing: a timeout is above zero.
pub fn write(timeout: Duration) -> String {
    let total_ns = timeout.as_nanos().max(1);
    let mut counts = UNITS.iter().map(|(unit, unit_ns)| (*unit, total_ns / u128::from(*unit_ns)));
    let (unit, count) = counts.find(|(_, count)| *count < COUNT_END).unwrap_or((b'H', COUNT_END - 1));
    format!("{count}{}", char::from(unit))
}

const DIGITS_MAX: usize = 8;
const COUNT_END: u128 = 100_000_000;

/// Each unit in ns, the finest first.
const UNITS: [(u8, u64); 6] = [
    (b'n', 1),
    (b'u', 1_000),
    (b'm', 1_000_000),
    (b'S', 1_000_000_000),
    (b'M', 60_000_000_000),
    (b'H', 3_600_000_000_000),
];

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use proptest::prelude::*;

    #[test]
    fn a_timeout_is_up_to_eight_digits_and_a_unit() {
        for (text, expected) in [
            ("1n", Some(Duration::from_nanos(1))),
            ("20u", Some(Duration::from_micros(20))),
            ("300m", Some(Duration::from_millis(300))),
            ("4S", Some(Duration::from_secs(4))),
            ("05M", Some(Duration::from_secs(300))),
            ("6H", Some(Duration::from_secs(6 * 3600))),
            ("99999999H", Some(Duration::from_nanos(u64::MAX))), // 584 years of 11,415
            ("", None),
            ("S", None),
            ("1", None),
            ("1s", None),
            ("+1S", None),
            ("1.5S", None),
            ("123456789n", None),
        ] {
            assert_eq!(parse(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn the_finest_unit_that_has_room_is_written() {
        for (timeout, expected) in [
            (Duration::ZERO, "1n"),
            (Duration::from_millis(99), "99000000n"),
            (Duration::from_millis(100), "100000u"),
            (Duration::from_secs(100), "100000m"),
            (Duration::from_secs(3600 * 24 * 365), "31536000S"),
            (Duration::MAX, "99999999H"),
        ] {
            assert_eq!(write(timeout), expected.to_string());
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_as_the_same_but_for_its_last_digit(ns in 1_u64..) {
            let timeout = Duration::from_nanos(ns);
            let read = parse(write(timeout).as_bytes()).expect("it is a timeout");
            prop_assert!(read <= timeout && timeout - read <= timeout / 100_000, "{read:?} of {timeout:?}");
        }
    }
}
