//! What every object says first: its kind and its names.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

/// `apiVersion`, `kind` and `metadata`, the latter unread: it may be at fault, and the kind is needed to say so.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Head<'a> {
    #[serde(borrow, default)]
    api_version: Cow<'a, str>,
    #[serde(borrow, default)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
    Service,
    Endpoints,
    EndpointSlice,
    Secret,
}

impl Kind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Kind::Service => "Service",
            Kind::Endpoints => "Endpoints",
            Kind::EndpointSlice => "EndpointSlice",
            Kind::Secret => "Secret",
        }
    }
}

/// What to do with an object.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sort {
    One(Kind),
    /// Items follow: of the kind, if the list has one, that the items need not repeat.
    List(Option<Kind>),
    /// A kind that means nothing here.
    Other,
}

impl Head<'_> {
    /// `Err` says what is missing, in `kubectl`'s words.
    pub(super) fn sort(&self) -> Result<Sort, &'static str> {
        Ok(match (&*self.api_version, &*self.kind) {
            (_, "") => return Err("Object 'Kind' is missing"),
            ("", _) => return Err("Object 'apiVersion' is missing"),
            ("v1", "Service") => Sort::One(Kind::Service),
            ("v1", "Endpoints") => Sort::One(Kind::Endpoints),
            ("v1", "Secret") => Sort::One(Kind::Secret),
            ("v1", "List") => Sort::List(None),
            ("v1", "ServiceList") => Sort::List(Some(Kind::Service)),
            ("v1", "EndpointsList") => Sort::List(Some(Kind::Endpoints)),
            ("v1", "SecretList") => Sort::List(Some(Kind::Secret)),
            ("discovery.k8s.io/v1" | "discovery.k8s.io/v1beta1", "EndpointSlice") => {
                Sort::One(Kind::EndpointSlice)
            }
            ("discovery.k8s.io/v1" | "discovery.k8s.io/v1beta1", "EndpointSliceList") => {
                Sort::List(Some(Kind::EndpointSlice))
            }
            _ => Sort::Other,
        })
    }

    /// `apiVersion` without its group.
    pub(super) fn version(&self) -> &str {
        self.api_version.rsplit('/').next().unwrap_or_default()
    }

    /// The namespace and the name; `None` without a name.
    pub(super) fn names(&self, default_namespace: &Arc<str>) -> Option<(Arc<str>, Arc<str>)> {
        #[derive(Deserialize)]
        struct Names {
            name: Option<String>,
            namespace: Option<String>,
        }
        let names: Names = serde_json::from_str(self.metadata?.get()).ok()?;
        let namespace = names.namespace.filter(|namespace| !namespace.is_empty());
        let namespace = namespace.map_or_else(|| default_namespace.clone(), Arc::from);
        Some((namespace, names.name.filter(|name| !name.is_empty())?.into()))
    }
}
