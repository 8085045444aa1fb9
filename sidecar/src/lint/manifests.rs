//! The manifests of a folder: what is wrong with each object, and with several together.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use svc_core::service::{Interner, Rules, Service};

use super::report::Found;
use crate::control::manifests::{
    Contents, Facts, Finding, Key, Kind, Object, Severity, Text, read, unknown_to,
};

/// Manifests that are read together.
#[derive(Default)]
pub(super) struct Folder {
    interner: Interner,
    files: Vec<File>,
    found: Vec<Found>,
}

struct File {
    path: String,
    text: Text,
    objects: Vec<Object>,
}

impl Folder {
    pub(super) fn read(&mut self, path: &str, bytes: Vec<u8>, rules: &Rules) {
        let text = Text::decode(bytes);
        let Contents { mut objects, unreadable, notes, .. } = read(path, &text, rules, &mut self.interner);
        let of_objects = objects.iter_mut().flat_map(|object| {
            let mistakes = std::mem::take(&mut object.mistakes).into_iter();
            mistakes.chain(std::mem::take(&mut object.warnings))
        });
        let findings =
            of_objects.chain(unreadable.into_iter().flat_map(|unreadable| unreadable.mistakes)).chain(notes);
        self.found.extend(findings.map(|finding| Found { file: path.to_owned(), finding }));
        self.files.push(File { path: path.to_owned(), text, objects });
    }

    /// How many objects concern us.
    pub(super) fn count(&self) -> usize {
        self.files.iter().map(|file| file.objects.len()).sum()
    }

    /// All that is wrong.
    pub(super) fn into_findings(mut self) -> Vec<Found> {
        let mut found = std::mem::take(&mut self.found);
        found.extend(self.doubles());
        found.extend(self.port_names());
        found
    }

    /// Objects that are there more than once, of which the first serves.
    fn doubles(&self) -> Vec<Found> {
        let mut first: BTreeMap<&Key, &str> = BTreeMap::new();
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
    fn port_names(&self) -> Vec<Found> {
        let objects = self.files.iter().flat_map(|file| &file.objects);
        let services: BTreeMap<&Key, &Arc<Service>> = objects
            .filter_map(|object| match &object.facts {
                Ok(Facts::Service(service)) => Some((&object.key, service)),
                Ok(Facts::Slices(_) | Facts::Secret(_)) | Err(_) => None,
            })
            .collect();
        let mut found = Vec::new();
        for file in &self.files {
            for object in &file.objects {
                let Ok(Facts::Slices(slices)) = &object.facts else { continue };
                let Some(of) = slices.first().map(|slice| &slice.service) else { continue };
                let key = Key { kind: Kind::Service, namespace: of.namespace.clone(), name: of.name.clone() };
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

impl File {
    fn found(&self, object: &Object, field: &str, severity: Severity, message: String) -> Found {
        let line = object.origin.lines_of(&self.text, &[field]);
        let finding = Finding::field(severity, field, message.clone(), message);
        let line = line.first().copied().unwrap_or(1);
        Found {
            file: self.path.clone(),
            finding: Finding { line, object: object.key.to_string(), ..finding },
        }
    }
}
