//! What is wrong with a configuration, in the words of the sidecar's.

use alloc::format;
use alloc::vec::Vec;
use core::fmt;

use crate::json::Mistake;

/// All mistakes of one configuration; never empty in an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mistakes(pub Vec<Mistake>);

impl Mistakes {
    /// Shows nothing of the text: a token may be in it.
    pub(super) fn not_json(error: &serde_json::Error) -> Mistakes {
        let expected = format!("JSON ({error})").into();
        Mistakes([Mistake { field: WHOLE.into(), value: None, expected }].into())
    }

    pub(super) fn verdict<T>(self, value: T) -> Result<T, Mistakes> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
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

/// What the configuration itself is called, where a field would be.
pub(super) const WHOLE: &str = "configuration";
