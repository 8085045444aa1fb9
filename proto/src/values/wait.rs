//! What `0` means where a duration stands: each setting has its own idea.

use core::time::Duration;

use super::Expected;
use crate::duration::parse;

/// A wait that must end: above zero.
///
/// # Errors
/// It is something else.
pub fn deadline(raw: &str) -> Result<Duration, Expected> {
    let above_zero = parse(raw).filter(|duration| !duration.is_zero());
    above_zero.ok_or("a duration above zero, such as `500ms`, `1s`, `1m30s`, up to `720h`".into())
}

/// A wait that may last for ever: `0` is no limit.
///
/// # Errors
/// It is something else.
pub fn optional_deadline(raw: &str) -> Result<Option<Duration>, Expected> {
    let duration =
        parse(raw).ok_or("a duration such as `500ms`, `1s`, `1m30s`, up to `720h`, or `0` for none")?;
    Ok((!duration.is_zero()).then_some(duration))
}

/// A wait that may be left out: `0` is no wait.
///
/// # Errors
/// It is something else.
pub fn pause(raw: &str) -> Result<Duration, Expected> {
    parse(raw).ok_or("a duration such as `0`, `500ms`, `1s`, `1m30s`, up to `720h`".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_means_what_the_setting_says() {
        assert!(deadline("0").is_err());
        assert_eq!(optional_deadline("0"), Ok(None));
        assert_eq!(pause("0"), Ok(Duration::ZERO));
    }
}
