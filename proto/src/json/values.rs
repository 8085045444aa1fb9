//! JSON values → values.

use serde_json::Value;

use crate::values::Expected;

/// What `parse` makes of a text.
pub(crate) fn text<'v, T>(
    value: &'v Value,
    parse: fn(&'v str) -> Result<T, Expected>,
) -> Result<T, Expected> {
    match value.as_str() {
        Some(text) => parse(text),
        None => Err(parse("").err().unwrap_or("a text".into())),
    }
}

pub(crate) fn boolean(value: &Value) -> Result<bool, Expected> {
    value.as_bool().ok_or("`true` or `false`".into())
}

/// One of a few words.
pub(crate) fn one_of<T: Copy>(value: &Value, words: &[(&'static str, T)]) -> Result<T, Expected> {
    crate::values::one_of(value.as_str().unwrap_or_default(), words)
}

/// A port that can be connected to.
pub(crate) fn port(value: &Value) -> Result<u16, Expected> {
    number(value).filter(|port| *port != 0).ok_or("a number from 1 to 65535".into())
}

/// The number that it is, where that is a whole one that fits.
pub(crate) fn number<T: TryFrom<u64>>(value: &Value) -> Option<T> {
    T::try_from(value.as_u64()?).ok()
}
