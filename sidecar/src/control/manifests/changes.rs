//! An object before and after → what the inventory must hear.

use std::sync::Arc;

use svc_core::address::ServiceName;
use svc_core::inventory::{Change, SliceKey};
use svc_core::service::{Service, Slice};

use super::head::ObjectKind;
use super::objects::{ObjectFacts, ObjectKey};

/// Nothing where nothing changed.
pub(super) fn between(
    key: &ObjectKey,
    before: Option<ObjectFacts>,
    after: Option<&ObjectFacts>,
) -> Vec<Change> {
    if before.as_ref() == after {
        return Vec::new();
    }
    match key.kind {
        ObjectKind::Service => {
            let name = ServiceName::new(key.namespace.clone(), key.name.clone());
            vec![Change::Service(name, after.and_then(service).cloned())]
        }
        ObjectKind::Endpoints | ObjectKind::EndpointSlice => {
            let (before, after) = (slices(before.as_ref()), slices(after));
            let parts = 0..before.len().max(after.len());
            let changed = parts.filter(|part| before.get(*part) != after.get(*part));
            changed.map(|part| Change::Slice(slice_key(key, part), after.get(part).cloned())).collect()
        }
        ObjectKind::Secret => Vec::new(), // the inventory needs none: they are [`Manifests::secrets`]
    }
}

fn slice_key(key: &ObjectKey, part: usize) -> SliceKey {
    SliceKey {
        namespace: key.namespace.clone(),
        name: key.name.clone(),
        part: u32::try_from(part).expect("a file of 64 MiB has fewer subsets"),
        from_endpoints: key.kind == ObjectKind::Endpoints,
    }
}

fn service(facts: &ObjectFacts) -> Option<&Arc<Service>> {
    match facts {
        ObjectFacts::Service(service) => Some(service),
        ObjectFacts::Slices(_) | ObjectFacts::Secret(_) => None,
    }
}

fn slices(facts: Option<&ObjectFacts>) -> &[Arc<Slice>] {
    match facts {
        Some(ObjectFacts::Slices(slices)) => slices,
        Some(ObjectFacts::Service(_) | ObjectFacts::Secret(_)) | None => &[],
    }
}
