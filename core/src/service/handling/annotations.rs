//! The annotations of one Service, each read by its grammar.

use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::service::invalid::FieldErrors;
use crate::service::paths::ANNOTATIONS;

/// Reads annotations, and notes at its key whatever is wrong with one.
pub(in crate::service) struct AnnotationReader<'a> {
    written: &'a BTreeMap<Arc<str>, Arc<str>>,
    found: &'a mut FieldErrors,
    class: Option<&'a str>,
}

/// What is wrong with an annotation, or with one part of it: the part, and what was expected.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::service) enum Problem<'a> {
    /// Against the rule of its grammar.
    Invalid(&'a str, Cow<'static, str>),
    /// None of these words.
    Unsupported(&'a str, Vec<&'static str>),
}

/// At least one where it is an error.
pub(in crate::service) type Problems<'a> = Vec<Problem<'a>>;

impl<'a> AnnotationReader<'a> {
    pub(in crate::service) fn new(
        written: &'a BTreeMap<Arc<str>, Arc<str>>,
        found: &'a mut FieldErrors,
    ) -> AnnotationReader<'a> {
        AnnotationReader { written, found, class: None }
    }

    /// Those of a Service with this `loadBalancerClass`.
    pub(in crate::service) fn of_class(self, class: Option<&'a str>) -> AnnotationReader<'a> {
        AnnotationReader { class, ..self }
    }

    /// Whether the Service names the one that makes its load balancer, which is then none of the oldest sort.
    pub(in crate::service) fn have_class(&self) -> bool {
        self.class.is_some()
    }

    /// What the annotation says; `None` where it is absent or wrong.
    pub(in crate::service) fn read<T>(
        &mut self,
        key: &str,
        grammar: impl FnOnce(&'a str) -> Result<T, Problems<'a>>,
    ) -> Option<T> {
        let text: &'a str = self.written.get(key)?;
        grammar(text).map_err(|problems| self.note_all(key, problems)).ok()
    }

    /// Whether any of `keys` is there.
    pub(in crate::service) fn have(&self, keys: &[&str]) -> bool {
        keys.iter().any(|key| self.written.contains_key(*key))
    }

    fn note_all(&mut self, key: &str, problems: Problems<'_>) {
        problems.iter().for_each(|problem| self.note(key, problem));
    }

    /// Notes a problem that the grammar of one annotation cannot see.
    pub(in crate::service) fn note(&mut self, key: &str, problem: &Problem<'_>) {
        match problem {
            Problem::Invalid(value, expected) => self.found.invalid(ANNOTATIONS.key(key), value, expected),
            Problem::Unsupported(value, supported) => {
                self.found.unsupported(ANNOTATIONS.key(key), value, supported);
            }
        }
    }
}
