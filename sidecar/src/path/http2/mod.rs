//! HTTP/2 on the `h2` crate: what both sides of it share.

#[allow(dead_code, reason = "the two sides come next")]
pub(crate) mod backlog;
#[allow(dead_code, reason = "the two sides come next")]
pub(crate) mod recv;
#[allow(dead_code, reason = "the two sides come next")]
pub(crate) mod send;
