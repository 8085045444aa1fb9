//! All of YAML, through serde-saphyr.

use serde_json::Value;
use serde_saphyr::{DuplicateKeyPolicy, Error, MessageFormatter, Options, UserMessageFormatter};

use super::NotYaml;

/// Reads one document of any style into JSON. Of a key that a mapping has more than once the last value counts, as it does to `kubectl` and
/// Helm.
///
/// # Errors
///
/// What keeps it from being YAML, or from being read within bounds.
pub fn to_json(document: &str) -> Result<String, NotYaml> {
    read(document, DuplicateKeyPolicy::LastWins)
}

/// The same of a document in which no key is repeated, which costs less than to look for one.
pub(super) fn without_repeated(document: &str) -> Result<String, NotYaml> {
    read(document, DuplicateKeyPolicy::Error)
}

fn read(document: &str, repeated: DuplicateKeyPolicy) -> Result<String, NotYaml> {
    let value: Option<Value> = serde_saphyr::from_str_with_options(document, options(repeated))
        .map_err(|error| malformed(&error))?;
    Ok(value.unwrap_or(Value::Null).to_string())
}

/// The size of a file is bounded where it is read, and so bounds every count of what stands in it. What must be bounded here is what
/// grows beyond the text: nesting (our stack) and aliases (ten lines of `&a [*b, *b]` are a billion nodes).
fn options(repeated: DuplicateKeyPolicy) -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: usize::MAX,
            max_nodes: usize::MAX,
            max_total_scalar_bytes: usize::MAX,
            max_depth: MAX_DEPTH,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MAX_REPLAYED_EVENTS },
        duplicate_keys: repeated,
        with_snippet: false,
    }
}

fn malformed(error: &Error) -> NotYaml {
    let line = error.location().and_then(|location| usize::try_from(location.line()).ok());
    let message = UserMessageFormatter.format_message(error).into_owned();
    NotYaml { line: line.unwrap_or(1).max(1), message }
}

/// A Service is 6 levels deep, a pod template in a Deployment 12.
const MAX_DEPTH: usize = 64;

/// Ten thousand events are a Service shared by reference with a few hundred others; more is an attack.
const MAX_REPLAYED_EVENTS: usize = 10_000;
