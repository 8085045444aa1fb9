//! What every object says first: its kind and its names.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;
use svc_proto::json::nearest;

/// `apiVersion`, `kind` and `metadata`, the latter unread: it may be at fault, and the kind is needed to say so.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ObjectHead<'a> {
    #[serde(borrow, default)]
    api_version: Cow<'a, str>,
    #[serde(borrow, default)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum ObjectKind {
    Service,
    Endpoints,
    EndpointSlice,
    Secret,
}

impl ObjectKind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            ObjectKind::Service => "Service",
            ObjectKind::Endpoints => "Endpoints",
            ObjectKind::EndpointSlice => "EndpointSlice",
            ObjectKind::Secret => "Secret",
        }
    }
}

/// What to do with an object.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ObjectSort {
    One(ObjectKind),
    /// Items follow: of the kind, if the list has one, that the items need not repeat.
    List(Option<ObjectKind>),
    /// A kind that means nothing here.
    Other,
    /// A kind that the API does not have: probably this one was meant.
    Misspelt(&'static str),
}

/// The version and the kind of all that means something here.
const KINDS: [(&str, &str, ObjectSort); 12] = [
    ("v1", "Service", ObjectSort::One(ObjectKind::Service)),
    ("v1", "Endpoints", ObjectSort::One(ObjectKind::Endpoints)),
    ("v1", "Secret", ObjectSort::One(ObjectKind::Secret)),
    ("v1", "List", ObjectSort::List(None)),
    ("v1", "ServiceList", ObjectSort::List(Some(ObjectKind::Service))),
    ("v1", "EndpointsList", ObjectSort::List(Some(ObjectKind::Endpoints))),
    ("v1", "SecretList", ObjectSort::List(Some(ObjectKind::Secret))),
    ("discovery.k8s.io/v1", "EndpointSlice", ObjectSort::One(ObjectKind::EndpointSlice)),
    ("discovery.k8s.io/v1", "EndpointSliceList", ObjectSort::List(Some(ObjectKind::EndpointSlice))),
    ("discovery.k8s.io/v1beta1", "EndpointSlice", ObjectSort::One(ObjectKind::EndpointSlice)),
    ("discovery.k8s.io/v1beta1", "EndpointSliceList", ObjectSort::List(Some(ObjectKind::EndpointSlice))),
    // Beside `Service`, and one letter from `Endpoints`, is nothing else of the API's.
    ("v1", "ServiceAccount", ObjectSort::Other),
];

impl ObjectHead<'_> {
    /// `Err` says what is missing, in `kubectl`'s words.
    pub(super) fn sort(&self) -> Result<ObjectSort, &'static str> {
        let (version, kind) = (&*self.api_version, &*self.kind);
        if kind.is_empty() {
            return Err("Object 'Kind' is missing");
        }
        if version.is_empty() {
            return Err("Object 'apiVersion' is missing");
        }
        let known = KINDS.into_iter().find(|(of, name, _)| (*of, *name) == (version, kind));
        Ok(known.map_or_else(|| self.misspelt(), |(_, _, sort)| sort))
    }

    /// A group without a dot is Kubernetes' own, which has no kinds but those in its documentation; any other may have a `Service`.
    fn misspelt(&self) -> ObjectSort {
        let group = self.api_version.split_once('/').map_or("", |(group, _)| group);
        let is_kubernetes = !group.contains('.') || group == DISCOVERY;
        let names = KINDS.map(|(_, name, _)| name);
        let same = names.into_iter().find(|name| name.eq_ignore_ascii_case(&self.kind));
        let of_group = |name: &str| (group == DISCOVERY) == name.starts_with("EndpointSlice");
        let near = || nearest(&self.kind, &names).filter(|name| of_group(name));
        match same.or_else(|| near().filter(|_| matches!(group, "" | DISCOVERY))) {
            Some(meant) if is_kubernetes => ObjectSort::Misspelt(meant),
            Some(_) | None => ObjectSort::Other,
        }
    }

    /// How an object is called in messages that has no better name: `ServiceList`.
    pub(super) fn kind(&self) -> &str {
        &self.kind
    }

    pub(super) fn api_version(&self) -> &str {
        &self.api_version
    }

    /// `apiVersion` without its group.
    pub(super) fn version(&self) -> &str {
        self.api_version.rsplit('/').next().unwrap_or_default()
    }

    /// The namespace and the name; `None` without a name, or where the beginning of one is not all that is given.
    pub(super) fn names(
        &self,
        default_namespace: &Arc<str>,
        suffix: impl FnOnce() -> String,
    ) -> Option<ObjectNames> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Written {
            name: Option<String>,
            generate_name: Option<String>,
            namespace: Option<String>,
        }
        let written: Written = serde_json::from_str(self.metadata?.get()).ok()?;
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        let namespace = given(written.namespace).map_or_else(|| default_namespace.clone(), Arc::from);
        let generated = || given(written.generate_name).map(|base| generate(&base, &suffix()));
        let (name, is_generated) = match given(written.name) {
            Some(name) => (name, false),
            None => (generated()?, true),
        };
        Some(ObjectNames { namespace, name: name.into(), is_generated })
    }
}

/// Of an object.
#[derive(Debug)]
pub(super) struct ObjectNames {
    pub(super) namespace: Arc<str>,
    pub(super) name: Arc<str>,
    /// The name was not given, but what it begins with.
    pub(super) is_generated: bool,
}

/// As an API server makes a name: of 63 bytes at most.
fn generate(base: &str, suffix: &str) -> String {
    let room = NAME_BYTES_MAX - suffix.len();
    let base = if base.len() > room && base.is_char_boundary(room) { &base[..room] } else { base };
    [base, suffix].concat()
}

const NAME_BYTES_MAX: usize = 63;
const DISCOVERY: &str = "discovery.k8s.io";

#[cfg(test)]
mod tests {
    use super::*;

    fn sort(version: &str, kind: &str) -> ObjectSort {
        let json = format!(r#"{{"apiVersion": "{version}", "kind": "{kind}"}}"#);
        serde_json::from_str::<ObjectHead<'_>>(&json).unwrap().sort().unwrap()
    }

    #[test]
    fn a_kind_that_only_looks_like_one_is_told_from_kinds_that_mean_nothing_here() {
        for (version, kind, meant) in [
            ("v1", "service", "Service"),
            ("v1", "Services", "Service"),
            ("v1", "Sevice", "Service"),
            ("v1", "SERVICELIST", "ServiceList"),
            ("v1", "Endpoint", "Endpoints"),
            ("v1", "EndpointSlice", "EndpointSlice"),
            ("V1", "Service", "Service"),
            ("apps/v1", "Service", "Service"),
            ("discovery.k8s.io/v1", "EndpointSlices", "EndpointSlice"),
            ("discovery.k8s.io/v1alpha1", "EndpointSlice", "EndpointSlice"),
        ] {
            assert_eq!(sort(version, kind), ObjectSort::Misspelt(meant), "{version} {kind}");
        }
        for (version, kind) in [
            ("v1", "ConfigMap"),
            ("v1", "Pod"),
            ("v1", "ServiceAccount"),
            ("v1", "Event"),
            ("serving.knative.dev/v1", "Service"),
            ("apps/v1", "Deployment"),
            ("cilium.io/v2", "CiliumEndpointSlice"),
            ("external-secrets.io/v1", "ExternalSecret"),
            ("v1", "Node"),
            ("v1", "Secrets.bak"),
        ] {
            assert_eq!(sort(version, kind), ObjectSort::Other, "{version} {kind}");
        }
    }

    #[test]
    fn a_generated_name_fits_into_a_label() {
        assert_eq!(generate("web-", "x7k2p"), "web-x7k2p");
        assert_eq!(generate(&"a".repeat(80), "x7k2p").len(), 63);
    }
}
