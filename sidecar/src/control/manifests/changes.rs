//! An object before and after → what the inventory must hear.

use std::sync::Arc;

use svc_core::address::ServiceName;
use svc_core::inventory::{Change, SliceKey};
use svc_core::service::{Service, Slice};

use super::head::Kind;
use super::objects::{Facts, Key};

/// Nothing where nothing changed.
pub(super) fn between(key: &Key, before: Option<Facts>, after: Option<&Facts>) -> Vec<Change> {
    if before.as_ref() == after {
        return Vec::new();
    }
    match key.kind {
        Kind::Service => {
            let name = ServiceName::new(key.namespace.clone(), key.name.clone());
            vec![Change::Service(name, after.and_then(service).cloned())]
        }
        Kind::Endpoints | Kind::EndpointSlice => {
            let (before, after) = (slices(before.as_ref()), slices(after));
            let parts = 0..before.len().max(after.len());
            let changed = parts.filter(|part| before.get(*part) != after.get(*part));
            changed.map(|part| Change::Slice(slice_key(key, part), after.get(part).cloned())).collect()
        }
        Kind::Secret => Vec::new(), // the inventory needs none: they are [`Manifests::secrets`]
    }
}

fn slice_key(key: &Key, part: usize) -> SliceKey {
    SliceKey {
        namespace: key.namespace.clone(),
        name: key.name.clone(),
        part: u32::try_from(part).expect("a file of 64 MiB has fewer subsets"),
        from_endpoints: key.kind == Kind::Endpoints,
    }
}

fn service(facts: &Facts) -> Option<&Arc<Service>> {
    match facts {
        Facts::Service(service) => Some(service),
        Facts::Slices(_) | Facts::Secret(_) => None,
    }
}

fn slices(facts: Option<&Facts>) -> &[Arc<Slice>] {
    match facts {
        Some(Facts::Slices(slices)) => slices,
        Some(Facts::Service(_) | Facts::Secret(_)) | None => &[],
    }
}
