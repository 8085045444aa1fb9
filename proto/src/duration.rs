//! Durations as people write them, in flags and annotations: `500ms`, `1s`, `1m30s`, `0`.

use core::time::Duration;

/// Reads whole numbers with `ms`, `s`, `m` or `h`, one after the other; `0` needs no unit. `None`: it is something else, or longer
/// than [`DURATION_MAX`].
pub fn parse(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text;
    let mut sum = Duration::ZERO;
    while !rest.is_empty() {
        let (part, after) = leading(rest)?;
        sum = sum.checked_add(part)?;
        rest = after;
    }
    (!text.is_empty() && sum <= DURATION_MAX).then_some(sum)
}

/// The first number with its unit, and what follows them.
fn leading(text: &str) -> Option<(Duration, &str)> {
    let (digits, rest) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
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

/// 30 days (`720h`): longer than any connection is meant to live, and far from where adding it to a clock could overflow.
pub const DURATION_MAX: Duration = Duration::from_secs(720 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_numbers_with_units() {
        for (text, millis) in [
            ("0", 0),
            ("0s", 0),
            ("500ms", 500),
            ("1s", 1_000),
            ("5m", 300_000),
            ("1h", 3_600_000),
            ("1m30s", 90_000),
            ("720h", 2_592_000_000),
        ] {
            assert_eq!(parse(text), Some(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
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
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
