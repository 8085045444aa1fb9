//! The values that several annotations share.

use alloc::vec::Vec;
use alloc::{format, vec};
use core::ops::RangeInclusive;
use core::time::Duration;

use super::annotations::{Problem, Problems};
use crate::duration;

/// A duration of which zero is a value: no limit, no wait.
pub(super) fn duration(text: &str) -> Result<Duration, Problems<'_>> {
    const EXPECTED: &str = "must be a duration such as 500ms, 1s, 1m30s, up to 720h, or 0 for none";
    duration::parse(text).ok_or_else(|| vec![Problem::Invalid(text, EXPECTED.into())])
}

/// A string that is a boolean: annotations have no other.
pub(super) fn truth(text: &str) -> Result<bool, Problems<'_>> {
    text.parse().map_err(|_| vec![Problem::Unsupported(text, vec!["false", "true"])])
}

/// Whole seconds without a unit, as AWS writes them.
pub(in crate::service) fn seconds<'a>(
    text: &'a str,
    range: RangeInclusive<u32>,
) -> Result<Duration, Problem<'a>> {
    number(text, range).map(|seconds| Duration::from_secs(seconds.into()))
}

/// A whole number without a sign.
pub(in crate::service) fn number(text: &str, range: RangeInclusive<u32>) -> Result<u32, Problem<'_>> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit()); // `parse` alone would take a plus
    let number = text.parse().ok().filter(|number| digits && range.contains(number));
    number.ok_or_else(|| {
        let (from, to) = range.into_inner();
        Problem::Invalid(text, format!("must be a number from {from} to {to}").into())
    })
}

/// The number of a port.
pub(in crate::service) fn port(text: &str) -> Result<u16, Problem<'_>> {
    let port = number(text, 1..=65_535)?;
    Ok(u16::try_from(port).expect("at most 65535"))
}

/// What HTTP asks for: the origin-form of RFC 9112 §3.2.1, which has no fragment.
pub(in crate::service) fn path(text: &str) -> Result<&str, Problem<'_>> {
    let fits = text.len() <= PATH_BYTES_MAX && text.starts_with('/');
    match fits && is_path(text.as_bytes()) {
        true => Ok(text),
        false => {
            let expected = "must be a path: begin with '/', of up to 1024 characters, those that no URI has percent-encoded, no '#'";
            Err(Problem::Invalid(text, expected.into()))
        }
    }
}

/// Path and query by the letter of RFC 3986 §3.3 and §3.4: what is asked for must be what servers read.
fn is_path(mut text: &[u8]) -> bool {
    while let [first, rest @ ..] = text {
        text = match (first, rest) {
            (b'%', [high, low, rest @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => rest,
            (byte, _) if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?".contains(byte) => rest,
            _ => return false,
        };
    }
    true
}

/// One part of an annotation that has several, between commas: `name=value`, or a word that is its name.
#[derive(Clone, Copy)]
pub(in crate::service) struct AnnotationSetting<'a> {
    pub(in crate::service) text: &'a str,
    pub(in crate::service) name: &'a str,
    value: &'a str,
}

/// The parts of `text`, and a problem for each that says again what one before it has said.
pub(in crate::service) fn settings(text: &str) -> (Vec<AnnotationSetting<'_>>, Problems<'_>) {
    let settings: Vec<AnnotationSetting<'_>> =
        text.split(',').map(|part| AnnotationSetting::parse(part.trim())).collect();
    let known = |(index, setting): &(usize, &AnnotationSetting<'_>)| {
        settings[..*index].iter().any(|earlier| earlier.name == setting.name)
    };
    let repeated = settings.iter().enumerate().filter(known);
    let problems = repeated.map(|(_, setting)| setting.wrong("must be given once")).collect();
    (settings, problems)
}

impl<'a> AnnotationSetting<'a> {
    fn parse(text: &'a str) -> AnnotationSetting<'a> {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        AnnotationSetting { text, name: name.trim(), value: value.trim() }
    }

    /// The whole part is wrong.
    pub(in crate::service) fn wrong(&self, expected: &'static str) -> Problem<'a> {
        Problem::Invalid(self.text, expected.into())
    }

    /// Its value as a number.
    pub(in crate::service) fn number(&self, range: RangeInclusive<u32>) -> Result<u32, Problem<'a>> {
        number(self.value, range.clone()).map_err(|_| {
            let (name, (from, to)) = (self.name, range.into_inner());
            Problem::Invalid(self.text, format!("must be {name}=N, with N from {from} to {to}").into())
        })
    }

    /// Its value as a duration.
    pub(in crate::service) fn duration(
        &self,
        range: RangeInclusive<Duration>,
    ) -> Result<Duration, Problem<'a>> {
        let duration = duration::parse(self.value).filter(|duration| range.contains(duration));
        duration.ok_or_else(|| {
            let (name, (from, to)) = (self.name, range.into_inner());
            let (from, to) = (duration::Shown(from), duration::Shown(to));
            let expected = format!("must be {name}=DURATION, from {from} to {to}");
            Problem::Invalid(self.text, expected.into())
        })
    }
}

const PATH_BYTES_MAX: usize = 1024; // what AWS allows
