//! HTTP as both hops have it: heads, framing, bodies, and the frames of HTTP/2. Nothing here knows of Services.

pub(crate) mod authority;
pub(crate) mod client_body;
pub(crate) mod dialect;
pub(crate) mod gate;
pub(crate) mod guard;
pub(crate) mod h2;
pub(crate) mod headers;
pub(crate) mod interim;
pub(crate) mod limits;
pub(crate) mod pace;
pub(crate) mod pulse;
pub(crate) mod request_body;
pub(crate) mod target;
