//! What is wrong with a configuration, in the words of the sidecar's.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use serde_json::Value;

use crate::values::Expected;

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

/// All mistakes of one configuration; never empty in an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mistakes(pub Vec<Mistake>);

impl Mistakes {
    pub(super) fn not_json(error: &serde_json::Error) -> Mistakes {
        // The text itself is not shown: a token may be in it.
        let expected = format!("JSON: {error}").into();
        Mistakes([Mistake { field: WHOLE.into(), value: None, expected }].into())
    }

    pub(super) fn add(&mut self, field: &str, value: Option<&Value>, expected: impl Into<Expected>) {
        let mistake = Mistake { field: field.into(), value: value.map(shown), expected: expected.into() };
        self.0.push(mistake);
    }

    pub(super) fn verdict<T>(self, value: T) -> Result<T, Mistakes> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Mistake { field, value, expected } = self;
        f.write_str(field)?;
        if let Some(value) = value {
            let shown: String = value.chars().take(VALUE_CHARS_MAX).collect();
            let cut = if shown.len() < value.len() { "…" } else { "" };
            write!(f, " `{}{cut}`", shown.escape_debug())?;
        }
        write!(f, ": expected {expected}")
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.0.len() == 1 { "" } else { "s" };
        writeln!(f, "the configuration has {} mistake{plural}:", self.0.len())?;
        for mistake in &self.0 {
            writeln!(f, "  {mistake}")?;
        }
        f.write_str("hint: docs/wasm-filter.md explains every field\n")
    }
}

impl core::error::Error for Mistakes {}

/// Lists and objects are told by their brackets: they may be long, and hold a token.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(_) => "[…]".into(),
        Value::Object(_) => "{…}".into(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

/// What the configuration itself is called, where a field would be.
pub(super) const WHOLE: &str = "configuration";

/// Enough to recognise a value by, short enough for one line of a terminal.
const VALUE_CHARS_MAX: usize = 60;

pub(super) fn no_such_field(hint: Option<&str>) -> Expected {
    match hint {
        Some(name) => format!("no such field; did you mean `{name}`?").into(),
        None => Cow::Borrowed("no such field"),
    }
}
