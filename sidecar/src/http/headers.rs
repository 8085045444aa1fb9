//! Header fields that end at each hop, or frame its messages.

use hyper::StatusCode;
use hyper::body::Body;
use hyper::header::{self, HeaderMap};
use svc_core::forwarding::{is_forwarding, is_hop_by_hop, nominated};

/// The header of a gRPC call's timeout.
pub(crate) const GRPC_TIMEOUT: &str = "grpc-timeout";

/// Whether the body came as it is, or in chunks and nothing else: what `gzip, chunked` hides belongs to the hop that ends here, and
/// hyper takes only the chunks away. A body of a known size has no coding.
pub(crate) fn is_plainly_framed(headers: &HeaderMap, body: &impl Body) -> bool {
    if body.size_hint().exact().is_some() {
        return true;
    }
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let plain = codings.next().is_none_or(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked"));
    plain && codings.next().is_none()
}

/// Removes from trailers what may not be one (RFC 9110 §6.5.1), and what says where a request came from.
pub(crate) fn strip_trailers(trailers: &mut HeaderMap) {
    strip(trailers, |name| is_hop_by_hop(name) || is_forwarding(name) || belongs_to_head(name));
}

/// Whether a field frames, routes, authenticates or asks for something, so that nobody may learn of it after the head. Those that Go's
/// net/http refuses too, and cookies.
fn belongs_to_head(name: &str) -> bool {
    matches!(
        name,
        "age"
            | "authorization"
            | "cache-control"
            | "content-encoding"
            | "content-length"
            | "content-range"
            | "content-type"
            | "cookie"
            | "expect"
            | "host"
            | "location"
            | "max-forwards"
            | "pragma"
            | "range"
            | "realm"
            | "set-cookie"
            | "trailer"
            | "vary"
            | "www-authenticate"
    ) || name.starts_with("if-")
}

/// Removes what is about this connection only, in a request or a response.
pub(crate) fn strip_hop(headers: &mut HeaderMap) {
    strip(headers, is_hop_by_hop);
}

/// Removes a length that is that of nothing (RFC 9110 §8.6).
pub(crate) fn strip_length(headers: &mut HeaderMap, status: StatusCode) {
    if status.is_informational() || status == StatusCode::NO_CONTENT {
        headers.remove(header::CONTENT_LENGTH);
    }
}

/// Removes the headers that end here, and those that `Connection` nominates, which ends here itself. Looks at each name once: many
/// heads have none of them, and to look for each by its hash costs a tenth of a request.
pub(crate) fn strip(headers: &mut HeaderMap, ends_here: impl Fn(&str) -> bool) {
    if !headers.keys().any(|name| ends_here(name.as_str())) {
        return;
    }
    strip_nominated(headers);
    while let Some(name) = headers.keys().find(|name| ends_here(name.as_str())).cloned() {
        headers.remove(name);
    }
}

fn strip_nominated(headers: &mut HeaderMap) {
    let values = headers.iter().filter(|(name, _)| **name == header::CONNECTION);
    for name in nominated(values.map(|(_, value)| value.as_bytes())) {
        headers.remove(&*name);
    }
}
