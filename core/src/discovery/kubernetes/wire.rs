//! Answers of the API server: lists, events, errors.

use alloc::borrow::Cow;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::report::Problem;
use crate::address::ServiceName;

/// A page of a list.
pub(super) struct Page<'a> {
    pub(super) version: String,
    /// Where the next page begins, if there is one.
    pub(super) token: Option<String>,
    /// Each by itself: the list is never twice in memory.
    pub(super) items: Vec<&'a RawValue>,
}

impl Page<'_> {
    /// Nothing else is one: what has no items would delete all there are.
    pub(super) fn read(json: &[u8]) -> Result<Page<'_>, Problem> {
        let written: WrittenPage<'_> = serde_json::from_slice(json).map_err(malformed)?;
        let metadata = written.metadata.unwrap_or_default();
        let version = metadata.resource_version.unwrap_or_default();
        let token = metadata.next.filter(|token| !token.is_empty());
        if !written.kind.is_some_and(|kind| kind.ends_with("List")) || version.is_empty() {
            return Err(Problem::Malformed("no list".into()));
        }
        if version.len() > VERSION_MAX || token.as_ref().is_some_and(|token| token.len() > TOKEN_MAX) {
            return Err(Problem::TooLong);
        }
        Ok(Page { version, token, items: written.items.unwrap_or_default() })
    }
}

#[derive(Deserialize)]
struct WrittenPage<'a> {
    #[serde(borrow)]
    kind: Option<Cow<'a, str>>,
    metadata: Option<WrittenListMetadata>,
    #[serde(borrow)]
    items: Option<Vec<&'a RawValue>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenListMetadata {
    resource_version: Option<String>,
    #[serde(rename = "continue")]
    next: Option<String>,
}

/// A line of a watch.
#[derive(Debug)]
pub(super) enum Event<'a> {
    /// Added, or modified.
    Applied(&'a RawValue),
    Deleted(&'a RawValue),
    /// Nothing but a version.
    Bookmark,
    /// The watch is over, with this status.
    Error(u16),
}

impl Event<'_> {
    /// The event, and the version that it takes the watch to.
    pub(super) fn read(line: &[u8]) -> Result<(Event<'_>, Option<String>), Problem> {
        let written: WrittenEvent<'_> = serde_json::from_slice(line).map_err(malformed)?;
        let object = written.object;
        let event = match &*written.kind {
            "ADDED" | "MODIFIED" => Event::Applied(object),
            "DELETED" => Event::Deleted(object),
            "BOOKMARK" => Event::Bookmark,
            "ERROR" => {
                let status: Status = serde_json::from_slice(bytes(object)).unwrap_or_default();
                return Ok((Event::Error(status.code.unwrap_or(500)), None));
            }
            _ => return Err(Problem::Malformed("an event of no known type".into())),
        };
        let version = Head::read(object).and_then(|head| head.version);
        if version.as_ref().is_some_and(|version| version.len() > VERSION_MAX) {
            return Err(Problem::TooLong);
        }
        Ok((event, version))
    }
}

#[derive(Deserialize)]
struct WrittenEvent<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    object: &'a RawValue,
}

/// The error of an API server.
#[derive(Default, Deserialize)]
struct Status {
    code: Option<u16>,
}

/// What is read of any object, even of one that is otherwise malformed.
#[derive(Default)]
pub(super) struct Head {
    pub(super) name: Option<String>,
    pub(super) version: Option<String>,
}

impl Head {
    pub(super) fn read(object: &RawValue) -> Option<Head> {
        #[derive(Deserialize)]
        struct Written {
            metadata: Option<Metadata>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Metadata {
            name: Option<String>,
            resource_version: Option<String>,
        }
        let written: Written = serde_json::from_slice(bytes(object)).ok()?;
        let Metadata { name, resource_version } = written.metadata?;
        let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
        Some(Head { name: filled(name), version: filled(resource_version) })
    }
}

/// The versions of an API group.
pub(super) fn group_versions(json: &[u8]) -> Option<Vec<String>> {
    #[derive(Deserialize)]
    struct Group {
        versions: Vec<Version>,
    }
    #[derive(Deserialize)]
    struct Version {
        version: String,
    }
    let group: Group = serde_json::from_slice(json).ok()?;
    Some(group.versions.into_iter().map(|version| version.version).collect())
}

/// Parsed as bytes, as everything here is: one reader of JSON is enough.
pub(super) fn bytes(object: &RawValue) -> &[u8] {
    object.get().as_bytes()
}

fn malformed(error: serde_json::Error) -> Problem {
    Problem::Malformed(error.to_string())
}

/// Versions are numbers of 64 bits so far.
const VERSION_MAX: usize = 256;

/// Tokens are a version and a key of at most 253 + 63 bytes, in base 64. A path of 64 KiB is still one that servers take.
const TOKEN_MAX: usize = 16 << 10;

/// The error of an API server about an object has its name: else there is no such resource.
pub(super) fn is_about_an_object(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Written {
        details: Option<Details>,
    }
    #[derive(Deserialize)]
    struct Details {
        name: Option<String>,
    }
    let written: Option<Written> = serde_json::from_slice(body).ok();
    let name = written.and_then(|written| written.details).and_then(|details| details.name);
    name.is_some_and(|name| !name.is_empty())
}

/// The Service that an IPAddress belongs to.
pub(super) fn parent(body: &[u8]) -> Option<ServiceName> {
    #[derive(Deserialize)]
    struct Written {
        spec: Spec,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Spec {
        parent_ref: ParentRef,
    }
    #[derive(Deserialize)]
    struct ParentRef {
        group: Option<String>,
        resource: String,
        namespace: Option<String>,
        name: String,
    }
    let written: Written = serde_json::from_slice(body).ok()?;
    let ParentRef { group, resource, namespace, name } = written.spec.parent_ref;
    let is_service = group.unwrap_or_default().is_empty() && resource == "services";
    is_service.then_some(ServiceName::new(namespace?, name))
}

/// The namespace and name of an object, which is a Service.
pub(super) fn service_name(object: &RawValue) -> Option<ServiceName> {
    #[derive(Deserialize)]
    struct Written {
        metadata: Metadata,
    }
    #[derive(Deserialize)]
    struct Metadata {
        namespace: String,
        name: String,
    }
    let Written { metadata } = serde_json::from_slice(bytes(object)).ok()?;
    Some(ServiceName::new(metadata.namespace, metadata.name))
}
