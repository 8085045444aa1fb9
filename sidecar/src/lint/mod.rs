//! `sidecar lint`: what is wrong with manifests, certificates and tokens, before anything reads them.

mod files;
mod manifests;
mod pem;
mod report;
mod token;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use svc_core::service::Rules;

use crate::certificates::seconds_since_1970;
use crate::clock;
use crate::control::manifests::{Finding, Severity};

use files::{FileSort, ReadFile};
use report::ReportedFinding;

pub use report::Report;

/// Reads all of `paths`, files and folders, and tells what is wrong with them. Objects are held to `rules`.
pub fn lint(paths: &[PathBuf], rules: &Rules) -> Report {
    let mut report = Report::default();
    let mut folders: BTreeMap<PathBuf, Vec<ReadFile>> = BTreeMap::new();
    for path in paths {
        let (files, unreadable) = files::list(path);
        report.found.extend(unreadable.into_iter().map(|(path, reason)| whole_file(&path, reason)));
        for file in files {
            folders.entry(file.path.parent().unwrap_or(Path::new("")).to_owned()).or_default().push(file);
        }
    }
    for files in folders.into_values() {
        lint_folder(files, rules, &mut report);
    }
    report.found.sort_by(|a, b| (&a.file, a.finding.line).cmp(&(&b.file, b.finding.line)));
    report
}

/// Files of one folder: an object may be in one of them only, and a key is looked for beside its certificate.
fn lint_folder(mut files: Vec<ReadFile>, rules: &Rules, report: &mut Report) {
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files.dedup_by(|a, b| a.path == b.path);
    let now = seconds_since_1970(clock::wall());
    let mut objects = manifests::ManifestSet::default();
    report.files += files.len();
    for file in &files {
        let path = file.path.display().to_string();
        let findings = match file.sort() {
            FileSort::Manifest => {
                objects.read(&path, file.bytes.clone(), rules);
                continue;
            }
            FileSort::Pem => pem::check(file, &files, now),
            FileSort::Token => token::check(&file.bytes, now),
        };
        report
            .found
            .extend(findings.into_iter().map(|finding| ReportedFinding { file: path.clone(), finding }));
    }
    report.objects += objects.count();
    report.found.extend(objects.into_findings());
}

fn whole_file(path: &Path, reason: String) -> ReportedFinding {
    let finding = Finding { line: 1, ..Finding::whole(Severity::Error, reason) };
    ReportedFinding { file: path.display().to_string(), finding }
}

#[cfg(test)]
mod tests;
