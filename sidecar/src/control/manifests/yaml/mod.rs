//! YAML → JSON, as `kubectl` does before anything looks at an object: what an object may say is decided on JSON alone.
//!
//! Two readers. [`plain`] takes what machines and most people write (block style, one-line scalars and flow collections) at over
//! 100 MB/s and declines the rest; [`general`] reads all of YAML at 8 MB/s. Ten thousand files of a hundred endpoints would cost the
//! general reader 17 CPU seconds. Where both answer they answer the same, which property tests and a fuzz target hold them to.

use std::fmt;

mod general;
mod plain;
mod repeated;
mod scalar;

pub use general::to_json as general;
pub use plain::to_json as plain;
pub(super) use repeated::{Repeated, repeated};

/// One document as JSON, and the keys that it has more than once.
///
/// # Errors
///
/// What keeps it from being YAML, or from being read within bounds.
pub(super) fn to_json(document: &str) -> Result<(String, Vec<Repeated>), NotYaml> {
    let whole = plain(document).or_else(|| general::without_repeated(document).ok());
    match whole {
        Some(json) => Ok((json, Vec::new())),
        None => general(document).map(|json| (json, repeated(document))),
    }
}

/// A text that is not YAML.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotYaml {
    /// Where, counted from 1 at the start of the document; 1 when that is not known.
    pub line: usize,
    /// What the parser says.
    pub message: String,
}

impl fmt::Display for NotYaml {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

impl std::error::Error for NotYaml {}

#[cfg(test)]
mod tests;
