//! What is said of a document, an object or a field.

use svc_core::service::{FieldError, Warning};

use super::fields::Oddity;

/// One thing that is wrong, or odd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) severity: Severity,
    /// The line of the file, counted from 1.
    pub(crate) line: usize,
    /// As messages name it: `Service "shop/web"`; empty where nobody knows.
    pub(crate) object: String,
    /// Where in the object: `spec.ports[0].port`; empty where it is about all of it.
    pub(crate) field: String,
    /// What is there; `None` where nothing is, or where it is not to be shown.
    pub(crate) value: Option<String>,
    /// What should be, or what follows.
    pub(crate) expected: String,
    /// All of it in one sentence, but for the line and the object.
    pub(crate) message: String,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Severity {
    /// An API server, `kubectl` or the sidecar refuses it.
    Error,
    /// It is admitted, and probably not what was meant.
    Warning,
}

impl Severity {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        }
    }
}

impl Finding {
    /// About all of an object or document.
    pub(crate) fn whole(severity: Severity, message: String) -> Finding {
        Finding {
            severity,
            line: 0,
            object: String::new(),
            field: String::new(),
            value: None,
            expected: message.clone(),
            message,
        }
    }

    /// About a field; `message` has all of it.
    pub(crate) fn field(severity: Severity, field: &str, expected: String, message: String) -> Finding {
        Finding { field: field.to_owned(), expected, ..Finding::whole(severity, message) }
    }
}

impl From<FieldError> for Finding {
    fn from(mistake: FieldError) -> Finding {
        let message = mistake.to_string();
        let FieldError { field, sort, value, expected } = mistake;
        let expected = if expected.is_empty() { sort.to_owned() } else { expected };
        Finding { field, value, expected, ..Finding::whole(Severity::Error, message) }
    }
}

impl From<Warning> for Finding {
    fn from(warning: Warning) -> Finding {
        let message = warning.to_string();
        let Warning { field, value, text } = warning;
        Finding { field, value, expected: text, ..Finding::whole(Severity::Warning, message) }
    }
}

impl From<Oddity> for Finding {
    fn from(oddity: Oddity) -> Finding {
        match oddity {
            Oddity::Unknown { field, meant } => {
                let meant = meant.map(|meant| format!("; did you mean `{meant}`?")).unwrap_or_default();
                let expected = format!("no such field{meant}");
                let message = format!("{field}: {expected}");
                Finding::field(Severity::Error, &field, expected, message)
            }
            Oddity::Repeated { field } => repeated(&field),
        }
    }
}

/// A key that its object has had before.
pub(super) fn repeated(field: &str) -> Finding {
    let expected = "the key is given more than once, and its last value counts";
    Finding::field(Severity::Warning, field, expected.to_owned(), format!("{field}: {expected}"))
}
