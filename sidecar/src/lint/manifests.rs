//! The manifests of a folder: what is wrong with each object, and with several together.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use svc_core::service::{Interner, Rules, Service};

use super::report::ReportedFinding;
use crate::control::manifests::{
    Contents, Finding, Object, ObjectFacts, ObjectKey, ObjectKind, Severity, Text, read, unknown_to,
};

/// Manifests that are read together.
#[derive(Default)]
pub(super) struct ManifestSet {
    interner: Interner,
    files: Vec<LintedFile>,
    found: Vec<ReportedFinding>,
}

struct LintedFile {
    path: String,
    text: Text,
    objects: Vec<Object>,
}

impl ManifestSet {
    pub(super) fn read(&mut self, path: &str, bytes: Vec<u8>, rules: &Rules) {
        let text = Text::decode(bytes);
        let Contents { mut objects, unreadable, notes, .. } = read(path, &text, rules, &mut self.interner);
        let of_objects = objects.iter_mut().flat_map(|object| {
            let mistakes = std::mem::take(&mut object.mistakes).into_iter();
            mistakes.chain(std::mem::take(&mut object.warnings))
        });
        let findings =
            of_objects.chain(unreadable.into_iter().flat_map(|unreadable| unreadable.mistakes)).chain(notes);
        self.found.extend(findings.map(|finding| ReportedFinding { file: path.to_owned(), finding }));
        self.files.push(LintedFile { path: path.to_owned(), text, objects });
    }

    /// How many objects concern us.
    pub(super) fn count(&self) -> usize {
        self.files.iter().map(|file| file.objects.len()).sum()
    }

    /// All that is wrong.
    pub(super) fn into_findings(mut self) -> Vec<ReportedFinding> {
        let mut found = std::mem::take(&mut self.found);
        found.extend(self.doubles());
        found.extend(self.port_names());
        found
    }

    /// Objects that are there more than once, of which the first serves.
    fn doubles(&self) -> Vec<ReportedFinding> {
        let mut first: BTreeMap<&ObjectKey, &str> = BTreeMap::new();
        let mut found = Vec::new();
        for file in &self.files {
            for object in &file.objects {
                let Some(owner) = first.get(&object.key) else {
                    first.insert(&object.key, &object.place);
                    continue;
                };
                let message = format!("already in {owner}, and the first serves");
                found.push(file.found(object, "metadata.name", Severity::Error, message));
            }
        }
        found
    }

    /// Ports of slices that their Services do not have.
    fn port_names(&self) -> Vec<ReportedFinding> {
        let objects = self.files.iter().flat_map(|file| &file.objects);
        let services: BTreeMap<&ObjectKey, &Arc<Service>> = objects
            .filter_map(|object| match &object.facts {
                Ok(ObjectFacts::Service(service)) => Some((&object.key, service)),
                Ok(ObjectFacts::Slices(_) | ObjectFacts::Secret(_)) | Err(_) => None,
            })
            .collect();
        let mut found = Vec::new();
        for file in &self.files {
            for object in &file.objects {
                let Ok(ObjectFacts::Slices(slices)) = &object.facts else { continue };
                let Some(of) = slices.first().map(|slice| &slice.service) else { continue };
                let key = ObjectKey {
                    kind: ObjectKind::Service,
                    namespace: of.namespace.clone(),
                    name: of.name.clone(),
                };
                let Some(service) = services.get(&key) else { continue };
                let mut told = BTreeSet::new();
                for (field, name) in &object.port_names {
                    if let Some(message) = unknown_to(service, name).filter(|_| told.insert(name)) {
                        let message = format!("{field}: {message}");
                        found.push(file.found(object, field, Severity::Warning, message));
                    }
                }
            }
        }
        found
    }
}

impl LintedFile {
    fn found(&self, object: &Object, field: &str, severity: Severity, message: String) -> ReportedFinding {
        let line = object.origin.lines_of(&self.text, &[field]);
        let finding = Finding::field(severity, field, message.clone(), message);
        let line = line.first().copied().unwrap_or(1);
        ReportedFinding {
            file: self.path.clone(),
            finding: Finding { line, object: object.key.to_string(), ..finding },
        }
    }
}
