//! HTTP/2 on the `h2` crate: what both sides of it share.

pub(crate) mod backlog;
pub(crate) mod frames;
pub(crate) mod intake;
pub(crate) mod keep_alive;
pub(crate) mod malformed;
pub(crate) mod recv;
pub(crate) mod send;
pub(crate) mod traffic;
