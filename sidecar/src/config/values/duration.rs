//! Durations: `500ms`, `1s`, `1m30s`, `0`.

use std::time::Duration;

use crate::config::flag::Expected;

/// A wait that must end: above zero.
pub(in crate::config) fn deadline(raw: &str) -> Result<Duration, Expected> {
    let above_zero = parse(raw).filter(|duration| !duration.is_zero());
    above_zero.ok_or("a duration above zero, such as `500ms`, `1s`, `1m30s`, up to `720h`".into())
}

/// A wait that may last for ever: `0` is no limit.
pub(in crate::config) fn optional_deadline(raw: &str) -> Result<Option<Duration>, Expected> {
    let duration =
        parse(raw).ok_or("a duration such as `500ms`, `1s`, `1m30s`, up to `720h`, or `0` for none")?;
    Ok((!duration.is_zero()).then_some(duration))
}

/// A wait that may be left out: `0` is no wait.
pub(in crate::config) fn pause(raw: &str) -> Result<Duration, Expected> {
    parse(raw).ok_or("a duration such as `0`, `500ms`, `1s`, `1m30s`, up to `720h`".into())
}

fn parse(raw: &str) -> Option<Duration> {
    if raw == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = raw;
    let mut sum = Duration::ZERO;
    while !rest.is_empty() {
        let (part, after) = leading(rest)?;
        sum = sum.checked_add(part)?;
        rest = after;
    }
    (!raw.is_empty() && sum <= DURATION_MAX).then_some(sum)
}

/// The first number with its unit, and what follows them.
fn leading(raw: &str) -> Option<(Duration, &str)> {
    let (digits, rest) = raw.split_at(raw.find(|c: char| !c.is_ascii_digit())?);
    let (unit, rest) = rest.split_at(rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len()));
    let count: u32 = digits.parse().ok()?;
    let unit = match unit {
        "ms" => Duration::from_millis(1),
        "s" => Duration::from_secs(1),
        "m" => Duration::from_secs(60),
        "h" => Duration::from_secs(60 * 60),
        _ => return None,
    };
    Some((unit.checked_mul(count)?, rest))
}

/// 30 days: longer than any connection is meant to live, and far from where adding it to a clock could
/// overflow.
const DURATION_MAX: Duration = Duration::from_secs(720 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_numbers_with_units() {
        for (raw, millis) in [
            ("0", 0),
            ("0s", 0),
            ("500ms", 500),
            ("1s", 1_000),
            ("5m", 300_000),
            ("1h", 3_600_000),
            ("1m30s", 90_000),
        ] {
            assert_eq!(pause(raw), Ok(Duration::from_millis(millis)), "{raw}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for raw in [
            "",
            "1",
            "s",
            "1 s",
            "-1s",
            "+1s",
            "1.5s",
            "1d",
            "1S",
            "1s ",
            "00",
            "721h",
            "99999999999h",
            "1sm",
            "5µs",
            "1s1",
        ] {
            assert!(pause(raw).is_err(), "{raw}");
        }
    }

    #[test]
    fn zero_means_what_the_setting_says() {
        assert!(deadline("0").is_err());
        assert_eq!(optional_deadline("0"), Ok(None));
        assert_eq!(pause("0"), Ok(Duration::ZERO));
    }
}
