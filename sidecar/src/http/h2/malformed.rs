//! What makes a request malformed that h2 lets pass (RFC 9113 §8.1.1): nobody else may read it in another way.

use h2::ext::Protocol;
use hyper::header::{CONTENT_LENGTH, HeaderMap, HeaderValue};
use hyper::{Method, Request};

/// The rule that a request breaks, if it breaks any.
pub(crate) fn rule_broken_by<B>(request: &Request<B>) -> Option<&'static str> {
    if !has_legal_target(request) {
        return Some("pseudo-headers (RFC 9113 §8.3.1)");
    }
    if *request.method() == Method::CONNECT && request.headers().contains_key(CONTENT_LENGTH) {
        return Some("CONNECT has no content (RFC 9110 §9.3.6)");
    }
    rule_broken_by_fields(request.headers())
}

/// The rule that a head or trailers break, if they break any.
pub(crate) fn rule_broken_by_fields(fields: &HeaderMap) -> Option<&'static str> {
    let is_padded = |value: &HeaderValue| {
        let is_space = |byte: Option<&u8>| byte.is_some_and(|byte| matches!(byte, b' ' | b'\t'));
        is_space(value.as_bytes().first()) || is_space(value.as_bytes().last())
    };
    if fields.get_all(CONTENT_LENGTH).iter().any(HeaderValue::is_empty) {
        return Some("a length without digits (RFC 9110 §8.6)"); // h2 takes it for 0
    }
    fields.values().any(is_padded).then_some("space around a field's value (RFC 9113 §8.2.1)")
}

/// Whether `:scheme` and `:path` are what its method may have.
fn has_legal_target<B>(request: &Request<B>) -> bool {
    let (method, uri) = (request.method(), request.uri());
    if *method == Method::CONNECT && request.extensions().get::<Protocol>().is_none() {
        return uri.authority().is_some();
    }
    let path = uri.path_and_query().map_or("", |path| path.as_str());
    let has_scheme = uri.scheme_str().is_none_or(|scheme| !scheme.is_empty());
    has_scheme && (path.starts_with('/') || (path == "*" && *method == Method::OPTIONS))
}
