//! Who a request is for.

use hyper::header::{self, HeaderValue};
use hyper::http::uri::Scheme;
use hyper::{Method, Request, Version};
use svc_core::outcome::Failure;

use super::guard::refused;

/// Who the request is for: the authority of its target, else its `Host` (RFC 9112 §3.2), which may be empty.
///
/// # Errors
/// [`Failure::BadRequest`] when there is none, or more than one reading.
pub(crate) fn authority<B>(request: &Request<B>) -> Result<HeaderValue, Failure> {
    // A walk: to look for it by its hash costs more than to pass the few headers that there are.
    let mut hosts = request.headers().iter().filter(|(name, _)| **name == header::HOST).map(|(_, host)| host);
    let (host, another) = (hosts.next(), hosts.next());
    if another.is_some() {
        return Err(refused("a request has one Host (RFC 9112 §3.2)"));
    }
    if !has_legal_target(request) {
        return Err(refused("a target has the form that its method wants (RFC 9112 §3.2)"));
    }
    match (request.uri().authority(), host) {
        (Some(target), host) => {
            let agrees =
                host.is_none_or(|host| host.as_bytes().eq_ignore_ascii_case(target.as_str().as_bytes()));
            // RFC 9113 §8.3.1: an HTTP/2 request whose Host differs from :authority is malformed.
            if request.version() == Version::HTTP_2 && !agrees {
                return Err(refused("Host is what :authority is (RFC 9113 §8.3.1)"));
            }
            HeaderValue::from_str(target.as_str()).map_err(|_| Failure::BadRequest)
        }
        (None, Some(host)) if !host.is_empty() || request.version() != Version::HTTP_2 => Ok(host.clone()),
        (None, None) if request.version() == Version::HTTP_10 => Ok(HeaderValue::from_static("")),
        (None, _) => Err(refused("a request says for which host it is (RFC 9112 §3.2)")),
    }
}

/// Whether the target has a form that its method may have (RFC 9112 §3.2): `*` is for OPTIONS, a bare authority for CONNECT, and
/// what comes in clear text is for `http`.
fn has_legal_target<B>(request: &Request<B>) -> bool {
    let (uri, method) = (request.uri(), request.method());
    if uri.path() == "*" && method != Method::OPTIONS {
        return false;
    }
    match (uri.scheme(), uri.authority()) {
        (None, None) => true,
        (None, Some(_)) => method == Method::CONNECT,
        (Some(scheme), _) => *scheme == Scheme::HTTP || request.version() == Version::HTTP_2,
    }
}

/// What is logged of an authority: who may read a log is not told passwords (RFC 9110 §4.2.4).
pub(crate) fn without_userinfo(authority: &[u8]) -> &[u8] {
    authority.rsplit(|&byte| byte == b'@').next().unwrap_or_default()
}
