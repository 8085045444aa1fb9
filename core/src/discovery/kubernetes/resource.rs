//! What can be listed and watched, and how one asks for it.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use core::fmt::Write;

use svc_proto::names::label;

use super::report::Access;

/// A kind of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Service,
    Slice(SliceApi),
}

/// In which form the API server tells of endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SliceApi {
    V1,
    V1beta1,
    Endpoints,
}

/// How new a list has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Freshness {
    /// From the server's memory, a moment old, and all on one page: the server reads and decodes nothing for it.
    Cached,
    /// As the store has it.
    Latest,
}

/// Objects of one kind in one namespace: all, or those of one Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Collection {
    pub(super) kind: Kind,
    pub(super) namespace: Arc<str>,
    pub(super) service: Option<Arc<str>>,
}

impl Collection {
    /// One page of its list. A token tells of which version.
    pub(super) fn list(&self, limit: u32, freshness: Freshness, token: Option<&str>) -> String {
        let mut path = self.path();
        let _ = write!(path, "limit={limit}");
        match (token, freshness) {
            (Some(token), _) => {
                path += "&continue=";
                encode(token, &mut path);
            }
            (None, Freshness::Cached) => path += "&resourceVersion=0",
            (None, Freshness::Latest) => {}
        }
        path
    }

    /// What changes after this version.
    pub(super) fn watch(&self, version: &str, seconds: u64) -> String {
        let mut path = self.path();
        let _ = write!(path, "watch=true&allowWatchBookmarks=true&timeoutSeconds={seconds}&resourceVersion=");
        encode(version, &mut path);
        path
    }

    /// The permission that it needs.
    pub(super) fn access(&self, verb: &'static str) -> Access {
        let resource = match self.kind {
            Kind::Service => "services",
            Kind::Slice(SliceApi::Endpoints) => "endpoints",
            Kind::Slice(SliceApi::V1 | SliceApi::V1beta1) => "endpointslices.discovery.k8s.io",
        };
        Access { verb, resource, namespace: Some(self.namespace.clone()) }
    }

    /// With a query that is to be continued.
    fn path(&self) -> String {
        let (group, resource) = match self.kind {
            Kind::Service => ("api/v1", "services"),
            Kind::Slice(SliceApi::Endpoints) => ("api/v1", "endpoints"),
            Kind::Slice(SliceApi::V1) => ("apis/discovery.k8s.io/v1", "endpointslices"),
            Kind::Slice(SliceApi::V1beta1) => ("apis/discovery.k8s.io/v1beta1", "endpointslices"),
        };
        let mut path = format!("/{group}/namespaces/");
        encode(&self.namespace, &mut path);
        let _ = write!(path, "/{resource}?");
        if let Some(service) = &self.service {
            let selector = match self.kind {
                Kind::Service | Kind::Slice(SliceApi::Endpoints) => {
                    path += "fieldSelector=";
                    format!("metadata.name={service}")
                }
                Kind::Slice(SliceApi::V1 | SliceApi::V1beta1) => {
                    path += "labelSelector=";
                    format!("{}={service}", label::SERVICE_NAME)
                }
            };
            encode(&selector, &mut path);
            path.push('&');
        }
        path
    }
}

/// Whether this is the name of a namespace or of a Service, as far as a path and a selector must know.
pub(super) fn is_label(name: &str) -> bool {
    (1..=63).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// Appends a text as a part of a path or a value of a query.
pub(super) fn encode(text: &str, to: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => to.push(char::from(byte)),
            _ => {
                let _ = write!(to, "%{byte:02X}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(kind: Kind, service: Option<&str>, expected: &str) {
        let of = Collection { kind, namespace: "shop".into(), service: service.map(Arc::from) };
        assert_eq!(of.list(500, Freshness::Latest, None), format!("{expected}limit=500"));
        let cached = format!("{expected}limit=500&resourceVersion=0");
        assert_eq!(of.list(500, Freshness::Cached, None), cached);
        let next = format!("{expected}limit=5&continue=a%3D%2Fb");
        assert_eq!(of.list(5, Freshness::Cached, Some("a=/b")), next);
        let watch = "watch=true&allowWatchBookmarks=true&timeoutSeconds=300&resourceVersion=17";
        assert_eq!(of.watch("17", 300), format!("{expected}{watch}"));
    }

    #[test]
    fn paths_are_those_of_the_api() {
        check(Kind::Service, None, "/api/v1/namespaces/shop/services?");
        check(
            Kind::Service,
            Some("web"),
            "/api/v1/namespaces/shop/services?fieldSelector=metadata.name%3Dweb&",
        );
        check(
            Kind::Slice(SliceApi::V1),
            Some("web"),
            "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices?labelSelector=kubernetes.io%2Fservice-name%3Dweb&",
        );
        check(
            Kind::Slice(SliceApi::V1beta1),
            None,
            "/apis/discovery.k8s.io/v1beta1/namespaces/shop/endpointslices?",
        );
        check(
            Kind::Slice(SliceApi::Endpoints),
            Some("web"),
            "/api/v1/namespaces/shop/endpoints?fieldSelector=metadata.name%3Dweb&",
        );
    }

    #[test]
    fn what_is_no_label_gets_into_no_path() {
        assert!(is_label("web-1"));
        for bad in ["", "a/b", "a.b", "A", "ä", &"a".repeat(64)] {
            assert!(!is_label(bad), "{bad}");
        }
    }
}
