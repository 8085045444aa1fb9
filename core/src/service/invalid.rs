//! What is wrong with an object, in the API server's words.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use svc_proto::values::Quoted;

/// Why an object is refused: every mistake it has (the first 64 of them), as the API server would answer 422.
///
/// Shown as `Service "web" is invalid: spec.ports: Required value`; with several mistakes as `… is invalid: [a, b]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// The kind with its API group, where it has one: `Service`, `EndpointSlice.discovery.k8s.io`.
    pub kind: &'static str,
    /// The object's name; empty when it has none.
    pub name: String,
    /// At least one, in the order of the checks.
    pub mistakes: Vec<FieldError>,
}

/// One mistake. Shown as `spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// Where: `spec.ports[1].name`.
    pub field: String,
    /// Of which sort: `Required value`, `Invalid value`.
    pub sort: &'static str,
    /// What is there, as JSON or nearly; `None` where nothing is, or where it is not to be shown.
    pub value: Option<String>,
    /// What should be; empty where the sort says it.
    pub expected: String,
}

/// What the author of an object should know although it is admitted. Shown as `endpoints[0].addresses[1]: …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Where.
    pub field: String,
    /// What is there; `None` where nothing is, or where it is of no use.
    pub value: Option<String>,
    /// What is odd with it, and what follows, as a sentence without a capital and a full stop.
    pub text: String,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} is invalid: ", self.kind, Quoted(&self.name))?;
        match self.mistakes.as_slice() {
            [only] => only.fmt(f),
            several => {
                for (position, mistake) in several.iter().enumerate() {
                    write!(f, "{}{mistake}", if position == 0 { "[" } else { ", " })?;
                }
                f.write_str("]")
            }
        }
    }
}

impl core::error::Error for Invalid {}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.sort)?;
        if let Some(value) = &self.value {
            write!(f, ": {value}")?;
        }
        match self.expected.as_str() {
            "" => Ok(()),
            expected => write!(f, ": {expected}"),
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.field)?;
        if let Some(value) = &self.value {
            write!(f, "{value} ")?;
        }
        f.write_str(&self.text)
    }
}

/// Where a check looks. Lives on the stack, and becomes text only when there is a mistake to tell.
#[derive(Clone, Copy)]
pub(super) struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    step: PathStep<'a>,
}

#[derive(Clone, Copy)]
enum PathStep<'a> {
    Field(&'a str),
    Index(usize),
    Key(&'a str),
}

impl<'a> Path<'a> {
    pub(super) const fn root(field: &'a str) -> Path<'a> {
        Path { parent: None, step: PathStep::Field(field) }
    }

    pub(super) const fn field(&'a self, name: &'a str) -> Path<'a> {
        Path { parent: Some(self), step: PathStep::Field(name) }
    }

    pub(super) const fn index(&'a self, index: usize) -> Path<'a> {
        Path { parent: Some(self), step: PathStep::Index(index) }
    }

    pub(super) const fn key(&'a self, key: &'a str) -> Path<'a> {
        Path { parent: Some(self), step: PathStep::Key(key) }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
        }
        match self.step {
            PathStep::Field(name) if self.parent.is_none() => f.write_str(name),
            PathStep::Field(name) => write!(f, ".{name}"),
            PathStep::Index(index) => write!(f, "[{index}]"),
            PathStep::Key(key) => write!(f, "[{key}]"),
        }
    }
}

/// A value that is told, as JSON or nearly: Go's `%q` is how texts are shown.
pub(super) enum Value<'a> {
    Text(&'a str),
    Number(i32),
    /// Shown as it is.
    Json(String),
}

impl Value<'_> {
    pub(super) fn list(texts: &[String]) -> Value<'static> {
        let texts: Vec<String> = texts.iter().map(|text| Quoted(text).to_string()).collect();
        Value::Json(format!("[{}]", texts.join(",")))
    }
}

impl<'a, T: AsRef<str> + ?Sized> From<&'a T> for Value<'a> {
    fn from(text: &'a T) -> Value<'a> {
        Value::Text(text.as_ref())
    }
}

impl From<i32> for Value<'_> {
    fn from(number: i32) -> Self {
        Value::Number(number)
    }
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Text(text) => Quoted(text).fmt(f),
            Value::Number(number) => number.fmt(f),
            Value::Json(json) => f.write_str(json),
        }
    }
}

/// Gathers mistakes and warnings; the constructors are those of `k8s.io/apimachinery/pkg/util/validation/field`.
#[derive(Default)]
pub(super) struct FieldErrors {
    mistakes: Vec<FieldError>,
    warnings: Vec<Warning>,
}

impl FieldErrors {
    pub(super) fn required(&mut self, at: Path<'_>, detail: &str) {
        self.add(at, "Required value", None, detail.into());
    }

    pub(super) fn invalid<'v>(&mut self, at: Path<'_>, value: impl Into<Value<'v>>, detail: &str) {
        self.add(at, "Invalid value", Some(value.into().to_string()), detail.into());
    }

    /// One mistake for each of `details`, which is what the grammars of [`super::grammar`] return.
    pub(super) fn invalid_each(&mut self, at: Path<'_>, value: &str, details: Vec<&'static str>) {
        for detail in details {
            self.invalid(at, value, detail);
        }
    }

    pub(super) fn unsupported(&mut self, at: Path<'_>, value: &str, supported: &[&str]) {
        let mut expected = "supported values: ".to_string();
        for (position, value) in supported.iter().enumerate() {
            expected += if position == 0 { "" } else { ", " };
            expected += &Quoted(value).to_string();
        }
        self.add(at, "Unsupported value", Some(Quoted(value).to_string()), expected);
    }

    pub(super) fn duplicate<'v>(&mut self, at: Path<'_>, value: impl Into<Value<'v>>) {
        self.add(at, "Duplicate value", Some(value.into().to_string()), String::new());
    }

    pub(super) fn forbidden(&mut self, at: Path<'_>, detail: &str) {
        self.add(at, "Forbidden", None, detail.into());
    }

    pub(super) fn too_many(&mut self, at: Path<'_>, actual: usize, most: usize) {
        let expected = format!("must have at most {most} items");
        self.add(at, "Too many", Some(actual.to_string()), expected);
    }

    pub(super) fn too_long(&mut self, at: Path<'_>, most_bytes: usize) {
        self.add(at, "Too long", None, format!("may not be more than {most_bytes} bytes"));
    }

    pub(super) fn warn<'v>(&mut self, at: Path<'_>, value: Option<Value<'v>>, text: String) {
        if self.warnings.len() < MAX_MISTAKES {
            let value = value.map(|value| value.to_string());
            self.warnings.push(Warning { field: at.to_string(), value, text });
        }
    }

    pub(super) fn len(&self) -> usize {
        self.mistakes.len()
    }

    /// The warnings; `Err` when there is any mistake.
    pub(super) fn verdict(self, kind: &'static str, name: &str) -> Result<Vec<Warning>, Invalid> {
        match self.mistakes.is_empty() {
            true => Ok(self.warnings),
            false => Err(Invalid { kind, name: name.to_string(), mistakes: self.mistakes }),
        }
    }

    fn add(&mut self, at: Path<'_>, sort: &'static str, value: Option<String>, expected: String) {
        if self.mistakes.len() >= MAX_MISTAKES {
            return;
        }
        let mistake = FieldError { field: at.to_string(), sort, value, expected };
        if !self.mistakes.contains(&mistake) {
            self.mistakes.push(mistake);
        }
    }
}

/// More than anybody mends before trying again. A slice may hold 1000 × 100 bad addresses, whose messages are 20 MB, and comparing
/// each with all would take minutes.
const MAX_MISTAKES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_has_an_end() {
        let mut mistakes = FieldErrors::default();
        (0..100_000).for_each(|index| mistakes.required(Path::root("endpoints").index(index), ""));
        assert_eq!(mistakes.len(), 64);
    }

    #[test]
    fn one_mistake_stands_alone_and_several_stand_in_brackets() {
        let spec = Path::root("spec");
        let mut mistakes = FieldErrors::default();
        mistakes.required(spec.field("ports").index(1).field("name"), "");
        let alone = Invalid { kind: "Service", name: "web".into(), mistakes: mistakes.mistakes.clone() };
        assert_eq!(alone.to_string(), r#"Service "web" is invalid: spec.ports[1].name: Required value"#);
        mistakes.invalid(spec.field("ports").index(0).field("port"), 0, "must be positive");
        mistakes.required(spec.field("ports").index(1).field("name"), "");
        let several = mistakes.verdict("Service", "web").unwrap_err();
        assert_eq!(
            several.to_string(),
            "Service \"web\" is invalid: [spec.ports[1].name: Required value, \
             spec.ports[0].port: Invalid value: 0: must be positive]",
            "told once each"
        );
    }
}
