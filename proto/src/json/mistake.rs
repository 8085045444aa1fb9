//! What is wrong with a field.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;

use serde_json::Value;

use crate::values::{Escaped, Expected};

/// One field that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where: `handOff.by`, `trustedProxies[1]`.
    pub field: String,
    /// What is there; `None` where nothing is, or where it is not to be shown.
    pub value: Option<String>,
    /// What should be.
    pub expected: Expected,
}

impl Mistake {
    pub(crate) fn new(field: String, value: Option<&Value>, expected: impl Into<Expected>) -> Mistake {
        Mistake { field, value: value.map(shown), expected: expected.into() }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Mistake { field, value, expected } = self;
        f.write_str(field)?;
        if let Some(value) = value {
            let shown: String = value.chars().take(VALUE_CHARS_MAX).collect();
            let cut = if shown.len() < value.len() { "…" } else { "" };
            write!(f, " `{}{cut}`", Escaped(&shown))?;
        }
        write!(f, ": expected {expected}")
    }
}

/// Lists and objects are told by their brackets: they may be long, and hold a token.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        Value::Array(_) => "[…]".into(),
        Value::Object(_) => "{…}".into(),
    }
}

/// Of a field that nobody knows.
pub(crate) fn no_such_field(hint: Option<&str>) -> Expected {
    match hint {
        Some(name) => format!("no such field; did you mean `{name}`?").into(),
        None => Cow::Borrowed("no such field"),
    }
}

/// Enough to recognise a value by, short enough for one line of a terminal.
const VALUE_CHARS_MAX: usize = 60;
