//! JSON values → values.

use super::Value;
use crate::values::Expected;

/// What `parse` makes of a text.
pub(crate) fn text<'v, T>(
    value: &'v Value<'v>,
    parse: fn(&'v str) -> Result<T, Expected>,
) -> Result<T, Expected> {
    match value.as_text() {
        Some(text) => parse(text),
        None => Err(parse("").err().unwrap_or("a text".into())),
    }
}

pub(crate) fn boolean(value: &Value<'_>) -> Result<bool, Expected> {
    if let Value::Bool(value) = value { Ok(*value) } else { Err("`true` or `false`".into()) }
}

/// One of a few words.
pub(crate) fn one_of<T: Copy>(value: &Value<'_>, words: &[(&'static str, T)]) -> Result<T, Expected> {
    crate::values::one_of(value.as_text().unwrap_or_default(), words)
}

/// A port that can be connected to.
pub(crate) fn port(value: &Value<'_>) -> Result<u16, Expected> {
    value.as_number().filter(|port| *port != 0).ok_or("a number from 1 to 65535".into())
}
