//! Findings, for people and for programs.

use std::fmt::Write;

use serde::Serialize;
use serde_json::Value;

use crate::config::Output;
use crate::control::manifests::{Finding, Severity};

/// All that was found.
#[derive(Debug, Default)]
pub struct Report {
    /// How many files were read.
    pub files: usize,
    /// How many objects in them concern us.
    pub objects: usize,
    /// By file and line.
    pub(super) found: Vec<ReportedFinding>,
}

/// A finding, and the file that it is about.
#[derive(Debug)]
pub(super) struct ReportedFinding {
    pub(super) file: String,
    pub(super) finding: Finding,
}

impl Report {
    /// Whether there is no error, and where it is `strict` no warning either.
    pub fn is_clean(&self, strict: bool) -> bool {
        self.count(Severity::Error) == 0 && !(strict && self.count(Severity::Warning) > 0)
    }

    /// All of it, in the form that was asked for.
    pub fn show(&self, output: Output) -> String {
        match output {
            Output::Text => self.text(),
            Output::Json => self.json(),
        }
    }

    fn count(&self, severity: Severity) -> usize {
        self.found.iter().filter(|found| found.finding.severity == severity).count()
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for ReportedFinding { file, finding } in &self.found {
            let Finding { severity, line, object, message, .. } = finding;
            let object = if object.is_empty() { String::new() } else { format!("{object}: ") };
            let _ = writeln!(text, "{file}:{line}: {}: {object}{message}", severity.as_str()); // a string takes any text
        }
        let counted = |count, what| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
        let (errors, warnings) = (self.count(Severity::Error), self.count(Severity::Warning));
        let read = format!("{}, {}", counted(self.files, "file"), counted(self.objects, "object"));
        let _ = writeln!(text, "{read}: {}, {}", counted(errors, "error"), counted(warnings, "warning"));
        text
    }

    fn json(&self) -> String {
        let document = LintedDocument {
            files: self.files,
            objects: self.objects,
            errors: self.count(Severity::Error),
            warnings: self.count(Severity::Warning),
            findings: self.found.iter().map(FindingView::of).collect(),
        };
        let json = serde_json::to_string_pretty(&document).expect("it has only texts and numbers");
        json + "\n"
    }
}

#[derive(Serialize)]
struct LintedDocument<'a> {
    files: usize,
    objects: usize,
    errors: usize,
    warnings: usize,
    findings: Vec<FindingView<'a>>,
}

#[derive(Serialize)]
struct FindingView<'a> {
    file: &'a str,
    line: usize,
    severity: &'static str,
    object: &'a str,
    field: &'a str,
    value: Option<Value>,
    expected: &'a str,
    message: &'a str,
}

impl FindingView<'_> {
    fn of(found: &ReportedFinding) -> FindingView<'_> {
        let ReportedFinding { file, finding } = found;
        let Finding { severity, line, object, field, value, expected, message } = finding;
        // Values are told as JSON, or nearly.
        let value =
            value.as_ref().map(|value| serde_json::from_str(value).unwrap_or_else(|_| value.as_str().into()));
        FindingView {
            file,
            line: *line,
            severity: severity.as_str(),
            object,
            field,
            value,
            expected,
            message,
        }
    }
}
