//! How long an endpoint keeps a connection open when nothing is asked: `Keep-Alive: timeout=5`. No RFC in force has it (RFC 2068
//! §19.7.1.1 is the last that did), but Node.js, Apache and others close by it.

use std::time::Duration;

use hyper::header::HeaderValue;

/// What the header says.
pub(super) fn timeout(value: &HeaderValue) -> Option<Duration> {
    let mut parameters = value.to_str().ok()?.split(',').filter_map(|parameter| parameter.split_once('='));
    let (_, seconds) = parameters.find(|(name, _)| name.trim().eq_ignore_ascii_case("timeout"))?;
    seconds.trim().parse().ok().map(Duration::from_secs)
}

/// How long an idle connection is kept. Below the 60 s and 75 s after which common servers close theirs; those that close
/// sooner are noticed when they do.
pub(super) const IDLE_FOR: Duration = Duration::from_secs(50);

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: &'static str, expected_s: Option<u64>) {
        let said = timeout(&HeaderValue::from_static(value));
        assert_eq!(said, expected_s.map(Duration::from_secs), "{value}");
    }

    #[test]
    fn the_timeout_is_found_among_other_parameters() {
        check("timeout=5", Some(5));
        check("max=100, Timeout = 15", Some(15));
        check("timeout=0", Some(0));
    }

    #[test]
    fn what_says_no_time_says_nothing() {
        check("", None);
        check("max=100", None);
        check("timeout", None);
        check("timeout=soon", None);
        check("timeout=-1", None);
        check("timeout=99999999999999999999", None);
    }
}
