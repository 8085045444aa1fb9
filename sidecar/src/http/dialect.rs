//! How a client wants to be spoken to.

use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{HeaderMap, Version};
use svc_core::grpc;

/// How the client wants to be spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// A status and a line of text.
    Http,
    /// `200` and a status in the trailers, here the only headers (gRPC's Trailers-Only).
    Grpc,
}

impl Dialect {
    pub(crate) fn of(version: Version, headers: &HeaderMap) -> Dialect {
        let is_grpc = |value: &HeaderValue| grpc::is_content_type(value.as_bytes());
        match version == Version::HTTP_2 && headers.get(CONTENT_TYPE).is_some_and(is_grpc) {
            true => Dialect::Grpc,
            false => Dialect::Http,
        }
    }
}
