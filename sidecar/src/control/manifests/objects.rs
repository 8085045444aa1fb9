//! A text → the objects in it, read or refused, each with the line it stands on.

use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_path_to_error::Segment;
use svc_core::inventory::Rejection;
use svc_core::service::{Interner, Invalid, Rules, Service, Slice, Valid};
use svc_core::service::{read_endpoint_slice, read_endpoints, read_service};

use super::documents::{self, Document};
use super::head::{Head, Kind, Sort};
use super::locate;
use super::secret;
use super::yaml::{self, Malformed};
use crate::certificates::Material;

/// What one file says.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// Each object, in the order of the file.
    pub(super) objects: Vec<Object>,
    /// What is neither an object nor known to be none.
    pub(super) unreadable: Vec<Rejection>,
    /// How many objects are of kinds that mean nothing here.
    pub(super) skipped: usize,
}

#[derive(Debug)]
pub(super) struct Object {
    pub(super) key: Key,
    /// `file:line` of the mistake, or of the document when there is none.
    pub(super) place: String,
    pub(super) facts: Result<Facts, String>,
    pub(super) warnings: Vec<String>,
}

/// What no two objects share.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    pub(super) kind: Kind,
    pub(super) namespace: Arc<str>,
    pub(super) name: Arc<str>,
}

/// As messages name it: `Service "shop/web"`.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} \"{}/{}\"", self.kind.as_str(), self.namespace, self.name)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Facts {
    Service(Arc<Service>),
    Slices(Vec<Arc<Slice>>),
    Secret(Arc<Material>),
}

/// Reads all documents of `text`. `Err`: some document is not YAML, so that nothing in the file can be relied on.
pub(super) fn read(
    file: &str,
    text: &str,
    rules: &Rules,
    interner: &mut Interner,
) -> Result<Contents, Rejection> {
    let mut reader = Reader { file, rules, interner, contents: Contents::default() };
    for document in documents::split(text) {
        reader.document(document).map_err(|malformed| Rejection {
            object: String::new(),
            file: format!("{file}:{}", document.line + malformed.line - 1),
            reason: malformed.message,
        })?;
    }
    Ok(reader.contents)
}

struct Reader<'a> {
    file: &'a str,
    rules: &'a Rules,
    interner: &'a mut Interner,
    contents: Contents,
}

/// A JSON value, and how to find it in the file again.
#[derive(Clone, Copy)]
struct Found<'a> {
    json: &'a str,
    document: Document<'a>,
    /// Its index in `items` of the list that is the document.
    item: Option<usize>,
}

impl Reader<'_> {
    fn document(&mut self, document: Document<'_>) -> Result<(), Malformed> {
        if document.text.trim_start().starts_with('{')
            && let Some(values) = concatenated_json(document)
        {
            for value in values {
                self.object(Found { json: value.text, document: value, item: None }, None);
            }
            return Ok(());
        }
        let json = yaml::to_json(document.text)?;
        self.object(Found { json: &json, document, item: None }, None);
        Ok(())
    }

    /// `inherited` is what an item of a typed list is, where it does not say.
    fn object(&mut self, found: Found<'_>, inherited: Option<Kind>) {
        let head = match serde_json::from_str::<Option<Head<'_>>>(found.json) {
            Ok(Some(head)) => head,
            Ok(None) => return, // a document of comments
            Err(_) => return self.unreadable(found, "not an object".into()),
        };
        match (head.sort(), inherited) {
            (Ok(Sort::One(kind)), _) | (Err(_), Some(kind)) => self.known_object(found, &head, kind),
            (Ok(Sort::List(item)), _) if found.item.is_none() => self.list(found, item),
            (Ok(Sort::List(_) | Sort::Other), _) => self.contents.skipped += 1,
            (Err(missing), None) => self.unreadable(found, missing.into()),
        }
    }

    fn list(&mut self, found: Found<'_>, item_kind: Option<Kind>) {
        match serde_json::from_str::<List<'_>>(found.json) {
            Ok(list) => {
                for (index, item) in list.items.into_iter().flatten().enumerate() {
                    self.object(Found { json: item.get(), item: Some(index), ..found }, item_kind);
                }
            }
            Err(_) => self.unreadable(found, "items is not a list".into()),
        }
    }

    fn known_object(&mut self, found: Found<'_>, head: &Head<'_>, kind: Kind) {
        let (rules, interner) = (self.rules, &mut *self.interner);
        let read = match kind {
            Kind::Service => typed(found.json, head, kind, |object| read_service(object, rules), service),
            Kind::Endpoints => {
                typed(found.json, head, kind, |object| read_endpoints(object, rules, interner), slices)
            }
            Kind::EndpointSlice => {
                typed(found.json, head, kind, |object| read_endpoint_slice(object, rules, interner), slices)
            }
            Kind::Secret => typed(found.json, head, kind, secret::read, material),
        };
        let (facts, warnings, field) = match read {
            Ok(valid) => (Ok(valid.fact), valid.warnings, None),
            Err(refusal) => (Err(refusal.reason), Vec::new(), Some(refusal.field)),
        };
        let place = self.place(found, field.as_deref());
        let contents = &mut self.contents;
        match (head.names(&self.rules.default_namespace), facts) {
            (Some((namespace, name)), facts) => {
                contents.objects.push(Object { key: Key { kind, namespace, name }, place, facts, warnings });
            }
            (None, Err(reason)) => {
                let object = kind.as_str().to_owned();
                contents.unreadable.push(Rejection { object, file: place, reason });
            }
            (None, Ok(_)) => unreachable!("validation refuses an object without a name"),
        }
    }

    fn unreadable(&mut self, found: Found<'_>, reason: String) {
        let file = self.place(found, Some(""));
        self.contents.unreadable.push(Rejection { object: String::new(), file, reason });
    }

    /// Where `field` stands; where the object does when there is nothing to point at.
    fn place(&self, found: Found<'_>, field: Option<&str>) -> String {
        let Document { line, text } = found.document;
        let inside = match (found.item, field) {
            (None, None | Some("")) => text[..text.len() - text.trim_start().len()].matches('\n').count() + 1,
            (None, Some(field)) => locate::line_of(text, field),
            (Some(_), None) => 1, // finding an item means to parse the list again
            (Some(item), Some(field)) => locate::line_of(text, &format!("items[{item}].{field}")),
        };
        format!("{}:{}", self.file, line + inside - 1)
    }
}

/// Why an object does not serve, and the field that is to blame.
struct Refusal {
    field: String,
    reason: String,
}

/// JSON → the API's type → facts.
fn typed<T: DeserializeOwned, F>(
    json: &str,
    head: &Head<'_>,
    kind: Kind,
    read: impl FnOnce(&T) -> Result<Valid<F>, Invalid>,
    into_facts: impl FnOnce(F) -> Facts,
) -> Result<Valid<Facts>, Refusal> {
    let object = serde_json::from_str(json).map_err(|_| mistyped::<T>(json, head, kind))?;
    let Valid { fact, warnings } = read(&object).map_err(|invalid| Refusal {
        field: invalid.mistakes[0].field.clone(),
        reason: invalid.to_string(),
    })?;
    Ok(Valid { fact: into_facts(fact), warnings })
}

/// As the API server answers what its decoder cannot take. Reads once more, with an eye on the path.
fn mistyped<T: DeserializeOwned>(json: &str, head: &Head<'_>, kind: Kind) -> Refusal {
    let again = serde_path_to_error::deserialize::<_, T>(&mut serde_json::Deserializer::from_str(json));
    let error = again.err().expect("it could not be read a moment ago");
    let field = field(error.path());
    let message = error.into_inner().to_string();
    let message = message.split(" at line ").next().unwrap_or_default(); // a line of JSON, which the file need not be
    let (kind, version) = (kind.as_str(), head.version());
    let reason = format!("{kind} in version {version:?} cannot be handled as a {kind}: {field}: {message}");
    Refusal { field, reason }
}

/// A path in the spelling of validation: `spec.ports[1].name`, `metadata.labels[a.b/c]`.
fn field(path: &serde_path_to_error::Path) -> String {
    path.iter().fold(String::new(), |path, segment| match segment {
        Segment::Seq { index } => format!("{path}[{index}]"),
        Segment::Map { key } if key.contains(['.', '/']) => format!("{path}[{key}]"),
        Segment::Map { key } if path.is_empty() => key.clone(),
        Segment::Map { key } => format!("{path}.{key}"),
        Segment::Enum { .. } | Segment::Unknown => path,
    })
}

fn service(service: Service) -> Facts {
    Facts::Service(Arc::new(service))
}

fn slices(slices: Vec<Slice>) -> Facts {
    Facts::Slices(slices.into_iter().map(Arc::new).collect())
}

fn material(material: Material) -> Facts {
    Facts::Secret(Arc::new(material))
}

/// The values of a document that is JSON; `None` when it is not, which may still be YAML.
fn concatenated_json(document: Document<'_>) -> Option<Vec<Document<'_>>> {
    let (mut line, mut seen) = (document.line, 0);
    let mut values = Vec::new();
    for value in serde_json::Deserializer::from_str(document.text).into_iter::<&RawValue>() {
        let text = value.ok()?.get();
        let start = text.as_ptr().addr() - document.text.as_ptr().addr(); // a RawValue borrows from what it was read from
        line += document.text[seen..start].matches('\n').count();
        seen = start;
        values.push(Document { line, text });
    }
    Some(values)
}

#[derive(Deserialize)]
struct List<'a> {
    #[serde(borrow)]
    items: Option<Vec<&'a RawValue>>,
}
