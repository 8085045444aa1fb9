//! Labels, selectors and annotations: maps whose keys are qualified names.

use alloc::collections::BTreeMap;
use alloc::string::String;

use super::grammar;
use super::invalid::{FieldErrors, Path};
use super::paths::ANNOTATIONS;

type Texts = BTreeMap<String, String>;

/// Labels, or what selects by them, at `at`.
pub(super) fn check_all(labels: Option<&Texts>, at: Path<'_>, found: &mut FieldErrors) {
    for (key, value) in labels.into_iter().flatten() {
        found.invalid_each(at.key(key), key, grammar::qualified_name(key));
        found.invalid_each(at.key(key), value, grammar::label_value(value));
    }
}

/// Annotations have any values, but not any number of bytes, and capitals are no matter in their keys.
pub(super) fn check_annotations(annotations: Option<&Texts>, found: &mut FieldErrors) {
    let mut bytes = 0;
    for (key, value) in annotations.into_iter().flatten() {
        found.invalid_each(ANNOTATIONS.key(key), key, grammar::qualified_name(&key.to_ascii_lowercase()));
        bytes += key.len() + value.len();
    }
    if bytes > ANNOTATION_BYTES_MAX {
        found.too_long(ANNOTATIONS, ANNOTATION_BYTES_MAX);
    }
}

/// `TotalAnnotationSizeLimitB`: all keys and values together.
const ANNOTATION_BYTES_MAX: usize = 256 << 10;
