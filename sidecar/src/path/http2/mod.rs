//! HTTP/2 on the `h2` crate: what both sides of it share, and the side of clients.

pub(crate) mod backlog;
pub(crate) mod recv;
pub(crate) mod send;

mod keep_alive;
pub(crate) mod malformed;
pub(crate) mod server;
mod stream;
mod traffic;
