//! A text → the objects in it, read or refused, each with the line it stands on.

use std::borrow::Cow;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;
use svc_core::service::{Interner, Rules, Service, Slice};

use super::documents::{self, FileDocument};
use super::draft::{DraftKind, ObjectDraft, ReadFrom};
use super::encoding::{Text, line_at, offset};
use super::fields::{self, Oddity};
use super::finding::{self, Finding, Severity};
use super::head::{ObjectHead, ObjectKind, ObjectNames, ObjectSort};
use super::schema::Schema;
use super::typed::{self, ReadObject};
use super::yaml::{self, Repeated};
use crate::certificates::Material;

/// What one file says.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    /// Each object, in the order of the file.
    pub(crate) objects: Vec<Object>,
    /// What is neither an object nor known to be none.
    pub(crate) unreadable: Vec<UnreadableObject>,
    /// What is said of documents that are passed over.
    pub(crate) notes: Vec<Finding>,
    /// How many objects are of kinds that mean nothing here.
    pub(crate) skipped: usize,
}

#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) key: ObjectKey,
    /// `file:line` of the mistake, or of the document when there is none.
    pub(crate) place: String,
    /// The facts, or why it is refused.
    pub(crate) facts: Result<ObjectFacts, String>,
    /// What is wrong with an object that is refused, one by one.
    pub(crate) mistakes: Vec<Finding>,
    /// What is odd with it besides.
    pub(crate) warnings: Vec<Finding>,
    /// Names of the ports of slices, and the fields they stand in.
    pub(crate) port_names: Vec<(String, Arc<str>)>,
    pub(crate) origin: ReadFrom,
}

/// What may have been an object.
#[derive(Debug)]
pub(crate) struct UnreadableObject {
    /// Its kind, where that is known.
    pub(crate) object: String,
    /// `file:line`.
    pub(crate) place: String,
    pub(crate) reason: String,
    /// The same one by one; at least one.
    pub(crate) mistakes: Vec<Finding>,
    /// The text, in which the names of objects may stand.
    pub(crate) text: String,
}

impl UnreadableObject {
    /// Whether it may be this object: its name stands in the text.
    pub(crate) fn may_have(&self, key: &ObjectKey) -> bool {
        self.text.contains(&*key.name)
    }
}

/// What no two objects share.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ObjectKey {
    pub(crate) kind: ObjectKind,
    pub(crate) namespace: Arc<str>,
    pub(crate) name: Arc<str>,
}

/// As messages name it: `Service "shop/web"`.
impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} \"{}/{}\"", self.kind.as_str(), self.namespace, self.name)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ObjectFacts {
    Service(Arc<Service>),
    Slices(Vec<Arc<Slice>>),
    Secret(Arc<Material>),
}

/// Reads all documents of `text`; `file` is what places in it are called. What is wrong with one document is so for that one only.
pub(crate) fn read(file: &str, text: &Text, rules: &Rules, interner: &mut Interner) -> Contents {
    let mut reader = ObjectReader {
        file,
        text,
        rules,
        interner,
        drafts: Vec::new(),
        generated: 0,
        contents: Contents::default(),
    };
    for document in documents::split(text) {
        reader.document(document);
    }
    reader.contents
}

struct ObjectReader<'a> {
    file: &'a str,
    text: &'a Text,
    rules: &'a Rules,
    interner: &'a mut Interner,
    /// What the current document says.
    drafts: Vec<ObjectDraft>,
    /// How many objects have a name that was made for them.
    generated: usize,
    contents: Contents,
}

/// An object, and where it was found.
#[derive(Clone, Copy)]
struct FoundObject<'a> {
    json: &'a str,
    /// Its index in `items` of the list that is the document.
    item: Option<usize>,
}

impl ObjectReader<'_> {
    fn document(&mut self, document: FileDocument<'_>) {
        if let Some(broken) = self.text.broken_in(document.text) {
            let line = line_at(document.text, broken);
            return self.malformed(
                document,
                line,
                "a byte here is no text in UTF-8, or in the UTF-16 of the file".into(),
            );
        }
        let mut rest = document;
        loop {
            if is_json(rest.text) {
                rest = self.json_values(rest);
            }
            if rest.text.trim().is_empty() {
                return;
            }
            match yaml::to_json(rest.text) {
                Ok((json, repeated)) => return self.yaml_value(rest, &json, &repeated),
                Err(malformed) => {
                    let resumed =
                        resumption(rest.text).filter(|_| is_json(rest.text)).unwrap_or(rest.text.len());
                    self.malformed(rest.to(resumed), malformed.line, malformed.message);
                    rest = rest.from(resumed);
                }
            }
        }
    }

    fn yaml_value(&mut self, document: FileDocument<'_>, json: &str, repeated: &[Repeated]) {
        self.object(FoundObject { json, item: None }, None);
        for Repeated { line, field } in repeated {
            let note = Finding { line: document.line + line - 1, ..finding::repeated(field) };
            match &mut *self.drafts {
                [only] if only.item.is_none() => only.notes.push(note),
                _ => self.contents.notes.push(note), // a list's, or nobody's
            }
        }
        self.finish(document);
    }

    /// Reads values of JSON that follow each other, and returns what is none.
    fn json_values<'d>(&mut self, document: FileDocument<'d>) -> FileDocument<'d> {
        let mut used = 0;
        for value in serde_json::Deserializer::from_str(document.text).into_iter::<&RawValue>() {
            let Ok(value) = value else { break };
            let start = offset(document.text, value.get());
            self.object(FoundObject { json: value.get(), item: None }, None);
            self.finish(document.from(start).to(value.get().len()));
            used = start + value.get().len();
        }
        document.from(used)
    }

    /// `inherited` is what an item of a typed list is, where it does not say.
    fn object(&mut self, found: FoundObject<'_>, inherited: Option<ObjectKind>) {
        let once;
        let (json, head) = match serde_json::from_str::<Option<ObjectHead<'_>>>(found.json) {
            Ok(head) => (found.json, head),
            Err(_) => {
                once = last_values(found.json); // it may say twice what it is
                match serde_json::from_str(&once) {
                    Ok(head) => (&*once, head),
                    Err(_) => return self.unreadable(found, "not an object"),
                }
            }
        };
        let Some(head) = head else { return }; // a document of comments
        match (head.sort(), inherited) {
            (Ok(ObjectSort::One(kind)), _) | (Err(_), Some(kind)) => self.known_object(found, &head, kind),
            (Ok(ObjectSort::List(item)), _) if found.item.is_none() => self.list(json, found, item),
            (Ok(ObjectSort::List(_)), _) => {
                let message = "a list in a list: its items are passed over";
                self.pass_over(
                    found,
                    Finding::field(Severity::Warning, "kind", message.into(), message.into()),
                );
            }
            (Ok(ObjectSort::Misspelt(meant)), _) => self.pass_over(found, misspelt(&head, meant)),
            (Ok(ObjectSort::Other), _) => self.contents.skipped += 1,
            (Err(missing), None) => self.unreadable(found, missing),
        }
    }

    fn list(&mut self, json: &str, found: FoundObject<'_>, item_kind: Option<ObjectKind>) {
        match serde_json::from_str::<List<'_>>(json) {
            Ok(list) => {
                for (index, item) in list.items.into_iter().flatten().enumerate() {
                    self.object(FoundObject { json: item.get(), item: Some(index) }, item_kind);
                }
            }
            Err(_) => self.unreadable(found, "items is not a list"),
        }
    }

    fn known_object(&mut self, found: FoundObject<'_>, head: &ObjectHead<'_>, kind: ObjectKind) {
        let oddities = fields::oddities(found.json, Schema::of(kind));
        let is_repeated = |oddity: &Oddity| matches!(oddity, Oddity::Repeated { .. });
        let json = if oddities.iter().any(is_repeated) {
            last_values(found.json)
        } else {
            Cow::Borrowed(found.json)
        };
        let mut notes: Vec<Finding> = oddities.into_iter().map(Finding::from).collect();
        let again = serde_json::from_str::<ObjectHead<'_>>(&json).ok();
        let head = again.as_ref().unwrap_or(head);
        let names = head.names(&self.rules.default_namespace, || suffix(self.file, self.generated));
        if let Some(ObjectNames { name, is_generated: true, .. }) = &names {
            self.generated += 1;
            let expected = format!("an API server would choose the rest of the name, which is {name:?} here");
            let message = format!("metadata.generateName: {expected}");
            notes.push(Finding::field(Severity::Warning, "metadata.generateName", expected, message));
        }
        let ReadObject { facts, mistakes, warnings, port_names } =
            typed::read(&json, kind, head.version(), names.as_ref(), self.rules, self.interner);
        notes.extend(warnings);
        let what = match names {
            Some(ObjectNames { namespace, name, .. }) => {
                DraftKind::Object(ObjectKey { kind, namespace, name }, facts, port_names)
            }
            None => {
                let reason = facts.err().unwrap_or_else(|| "it has no name".into());
                DraftKind::Unreadable(Some(kind), reason, found.json.to_owned())
            }
        };
        self.drafts.push(ObjectDraft { item: found.item, what, mistakes, notes });
    }

    fn pass_over(&mut self, found: FoundObject<'_>, note: Finding) {
        self.contents.skipped += 1;
        self.drafts.push(ObjectDraft {
            item: found.item,
            what: DraftKind::Skipped,
            mistakes: Vec::new(),
            notes: vec![note],
        });
    }

    fn unreadable(&mut self, found: FoundObject<'_>, reason: &str) {
        let what = DraftKind::Unreadable(None, reason.to_owned(), found.json.to_owned());
        self.drafts.push(ObjectDraft { item: found.item, what, mistakes: Vec::new(), notes: Vec::new() });
    }

    fn finish(&mut self, document: FileDocument<'_>) {
        let start = offset(self.text, document.text);
        for draft in ObjectDraft::settle(std::mem::take(&mut self.drafts), document, start) {
            draft.into_contents(self.file, &mut self.contents);
        }
    }

    fn malformed(&mut self, document: FileDocument<'_>, line: usize, message: String) {
        let lines = document.text.lines().count().max(1);
        let line = document.line + line.clamp(1, lines) - 1; // where the text ends too early, a parser may name the next
        let mistake = Finding { line, ..Finding::whole(Severity::Error, message.clone()) };
        self.contents.unreadable.push(UnreadableObject {
            object: String::new(),
            place: format!("{}:{line}", self.file),
            reason: message,
            mistakes: vec![mistake],
            text: document.text.to_owned(),
        });
    }
}

/// A kind that the API does not have.
fn misspelt(head: &ObjectHead<'_>, meant: &str) -> Finding {
    let (kind, version) = (head.kind(), head.api_version());
    let of = match meant.strip_suffix("List").unwrap_or(meant) {
        "EndpointSlice" => "discovery.k8s.io/v1",
        _ => "v1",
    };
    let expected = format!("{meant:?} of the version {of:?}");
    let message =
        format!("no kind {kind:?} in the version {version:?}; did you mean {expected}? It is passed over");
    Finding { value: Some(format!("{kind:?}")), ..Finding::field(Severity::Error, "kind", expected, message) }
}

fn is_json(text: &str) -> bool {
    text.trim_start().starts_with('{')
}

/// Where a value of JSON may begin again after one that is broken: with a line that starts with a brace.
fn resumption(text: &str) -> Option<usize> {
    let begin = text.len() - text.trim_start().len();
    text[begin..].find("\n{").map(|end| begin + end + 1)
}

/// JSON in which each key is there once, with its last value; as it is where it cannot be read.
fn last_values(json: &str) -> Cow<'_, str> {
    let value = serde_json::from_str::<serde_json::Value>(json);
    value.map_or(Cow::Borrowed(json), |value| Cow::Owned(value.to_string()))
}

/// Five letters of the alphabet that API servers use for it: the same for the same object of a file, as long as it is the `nth` that wants one.
fn suffix(file: &str, nth: usize) -> String {
    const LETTERS: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut hasher = DefaultHasher::new();
    (file, nth).hash(&mut hasher);
    let hash = hasher.finish();
    let letter = |place: u32| LETTERS[(hash / 27_u64.pow(place) % 27) as usize];
    (0..5).map(|place| char::from(letter(place))).collect()
}

#[derive(Deserialize)]
struct List<'a> {
    #[serde(borrow)]
    items: Option<Vec<&'a RawValue>>,
}
