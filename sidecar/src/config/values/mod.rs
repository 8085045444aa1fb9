//! How the values that several settings share are read.

mod address;
mod size;

pub(super) use address::{listeners, networks};
pub(super) use size::{SIZE_MAX, SIZE_MIN, size};
pub(super) use svc_proto::values::{deadline, dns_subdomain, label, optional_deadline, pause, zone};

use super::flag::{Expected, Parser};

/// Comma-separated items, white space around them ignored; each read by `item`.
pub(super) fn list<T>(raw: &str, item: Parser<T>) -> Result<Vec<T>, Expected> {
    raw.split(',').map(|part| item(part.trim())).collect()
}

/// Nothing, or what `value` reads.
pub(super) fn optional<T>(raw: &str, value: Parser<T>) -> Result<Option<T>, Expected> {
    match raw {
        "" => Ok(None),
        raw => value(raw).map(Some),
    }
}

/// A whole number from `MIN` to `MAX`.
pub(super) fn number<const MIN: usize, const MAX: usize>(raw: &str) -> Result<usize, Expected> {
    let digits = raw.bytes().all(|byte| byte.is_ascii_digit()); // `parse` alone would take a sign
    let number = raw.parse().ok().filter(|number| digits && (MIN..=MAX).contains(number));
    number.ok_or_else(|| format!("a number from {MIN} to {MAX}").into())
}

/// A port that can be listened on or connected to.
pub(super) fn port(raw: &str) -> Result<u16, Expected> {
    let port = number::<1, 65535>(raw)?;
    Ok(u16::try_from(port).expect("at most 65535"))
}

/// Anything; what it means is for the file system to say.
pub(super) fn path(raw: &str) -> Result<std::path::PathBuf, Expected> {
    match raw {
        "" => Err("a path".into()),
        raw => Ok(raw.into()),
    }
}

/// `true` or `false`.
pub(super) fn boolean(raw: &str) -> Result<bool, Expected> {
    match raw {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("`true` or `false`".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_neither_sign_nor_space_and_stays_in_its_range() {
        assert_eq!(number::<1, 64>("64"), Ok(64));
        for raw in ["", "0", "65", "+1", "-1", " 1", "1.0", "0x10", "99999999999999999999999"] {
            assert_eq!(number::<1, 64>(raw).unwrap_err(), "a number from 1 to 64", "{raw}");
        }
    }

    #[test]
    fn a_list_forgives_spaces_but_not_empty_items() {
        assert_eq!(list("80, 443", port), Ok(vec![80, 443]));
        assert!(list("80,,443", port).is_err());
        assert!(list("80,", port).is_err());
    }

    #[test]
    fn what_is_optional_may_be_empty_and_no_more() {
        assert_eq!(optional("", port), Ok(None));
        assert_eq!(optional("80", port), Ok(Some(80)));
        assert!(optional(" ", port).is_err());
    }
}
