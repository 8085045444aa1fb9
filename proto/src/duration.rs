//! Durations as people write them, in flags and annotations: `500ms`, `1s`, `1m30s`, `0`.

use core::fmt;
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

/// Shows a duration as [`parse`] reads it, to the millisecond. Its `Debug` would bring what shows fractions, 2 kB.
#[derive(Clone, Copy, Debug)]
pub struct Shown(pub Duration);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.as_secs(), self.0.subsec_millis()) {
            (seconds, 0) => write!(f, "{seconds}s"),
            (seconds, millis) => {
                write!(f, "{}ms", seconds.saturating_mul(1000).saturating_add(u64::from(millis)))
            }
        }
    }
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
    fn what_is_shown_is_read_again() {
        for (millis, text) in
            [(0, "0s"), (100, "100ms"), (1_000, "1s"), (90_500, "90500ms"), (300_000, "300s")]
        {
            let duration = Duration::from_millis(millis);
            assert_eq!(Shown(duration).to_string(), text);
            assert_eq!(parse(text), Some(duration));
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
