//! What was read of a document, before it is known on which lines its fields stand: all of them are looked for in one go, for a list may
//! have thousands of objects.

use std::sync::Arc;

use super::documents::FileDocument;
use super::finding::{Finding, Severity};
use super::head::ObjectKind;
use super::locate::lines_of;
use super::objects::{Contents, Object, ObjectFacts, ObjectKey, UnreadableObject};

/// One object of a document.
#[derive(Debug)]
pub(super) struct ObjectDraft {
    /// Its index in `items` of the list that is the document.
    pub(super) item: Option<usize>,
    pub(super) what: DraftKind,
    /// Without their lines.
    pub(super) mistakes: Vec<Finding>,
    /// Without their lines, but for those that have one.
    pub(super) notes: Vec<Finding>,
}

#[derive(Debug)]
pub(super) enum DraftKind {
    Object(ObjectKey, Result<ObjectFacts, String>, Vec<(String, Arc<str>)>),
    /// What cannot be an object, or one without a name, of which the kind is known: why, and its text.
    Unreadable(Option<ObjectKind>, String, String),
    Skipped,
}

/// Where an object was read, to find its fields again.
#[derive(Clone, Debug)]
pub(crate) struct ReadFrom {
    /// The line of the file on which the document starts.
    line: usize,
    /// Where its text is in that of the file.
    text: std::ops::Range<usize>,
    item: Option<usize>,
}

impl ReadFrom {
    /// The lines of `fields`, counted from 1 in the file, whose text is `file`.
    pub(crate) fn lines_of(&self, file: &str, fields: &[&str]) -> Vec<usize> {
        let fields: Vec<String> = fields.iter().map(|field| path(self.item, field)).collect();
        let lines = lines_of(&file[self.text.clone()], &fields);
        lines.into_iter().map(|line| self.line + line - 1).collect()
    }
}

/// One whose lines are known.
pub(super) struct LocatedDraft {
    draft: ObjectDraft,
    line: usize,
    origin: ReadFrom,
}

impl ObjectDraft {
    /// Finds the lines of `drafts`, which are all of `document`, whose text starts at `start` in that of the file.
    pub(super) fn settle(
        drafts: Vec<ObjectDraft>,
        document: FileDocument<'_>,
        start: usize,
    ) -> Vec<LocatedDraft> {
        let fields: Vec<String> = drafts.iter().flat_map(ObjectDraft::fields).collect();
        let lines = if fields.is_empty() { Vec::new() } else { lines_of(document.text, &fields) };
        let mut lines = lines.into_iter().map(|line| document.line + line - 1);
        let blank =
            document.text[..document.text.len() - document.text.trim_start().len()].matches('\n').count();
        drafts
            .into_iter()
            .map(|draft| draft.with_lines(&mut lines, document, document.line + blank, start))
            .collect()
    }

    /// The fields whose lines are wanted, in the order in which they are then given out.
    fn fields(&self) -> Vec<String> {
        let own = self.needs_line().then(|| path(self.item, ""));
        let unplaced = self.mistakes.iter().chain(&self.notes).filter(|finding| finding.line == 0);
        own.into_iter().chain(unplaced.map(|finding| path(self.item, &finding.field))).collect()
    }

    /// Of an object there is nothing to say that is wrong with all of it.
    fn needs_line(&self) -> bool {
        matches!(self.what, DraftKind::Unreadable(None, ..))
    }

    fn with_lines(
        mut self,
        lines: &mut impl Iterator<Item = usize>,
        document: FileDocument<'_>,
        first: usize,
        start: usize,
    ) -> LocatedDraft {
        let own = self.needs_line().then(|| lines.next()).flatten().unwrap_or(first);
        for finding in self.mistakes.iter_mut().chain(&mut self.notes).filter(|finding| finding.line == 0) {
            finding.line = lines.next().unwrap_or(first);
        }
        let line = self.mistakes.first().map_or(own, |mistake| mistake.line);
        let origin =
            ReadFrom { line: document.line, text: start..start + document.text.len(), item: self.item };
        LocatedDraft { draft: self, line, origin }
    }
}

impl LocatedDraft {
    /// Adds it to what `file` says.
    pub(super) fn into_contents(self, file: &str, contents: &mut Contents) {
        let LocatedDraft { draft: ObjectDraft { what, mut mistakes, mut notes, .. }, line, origin } = self;
        let place = format!("{file}:{line}");
        let object = match &what {
            DraftKind::Object(key, ..) => key.to_string(),
            DraftKind::Unreadable(Some(kind), ..) => kind.as_str().to_owned(),
            DraftKind::Unreadable(None, ..) | DraftKind::Skipped => String::new(),
        };
        for finding in mistakes.iter_mut().chain(&mut notes) {
            finding.object.clone_from(&object);
        }
        match what {
            DraftKind::Object(key, facts, port_names) => {
                contents.objects.push(Object {
                    key,
                    place,
                    facts,
                    mistakes,
                    warnings: notes,
                    port_names,
                    origin,
                });
            }
            DraftKind::Unreadable(_, reason, text) => {
                if mistakes.is_empty() {
                    let whole = Finding::whole(Severity::Error, reason.clone());
                    mistakes.push(Finding { line, object: object.clone(), ..whole });
                }
                contents.unreadable.push(UnreadableObject {
                    object,
                    place,
                    reason,
                    mistakes,
                    text: text.to_owned(),
                });
                contents.notes.extend(notes);
            }
            DraftKind::Skipped => contents.notes.extend(notes),
        }
    }
}

/// The way from the document to a field of an object in it.
fn path(item: Option<usize>, field: &str) -> String {
    match item {
        None => field.to_owned(),
        Some(item) if field.is_empty() => format!("items[{item}]"),
        Some(item) => format!("items[{item}].{field}"),
    }
}
