//! Who connected: what holds for everything on a connection, and what stands between its bytes and its requests.

pub(crate) mod alpn;
pub(crate) mod clients;
pub(crate) mod detect;
pub(crate) mod facts;
pub(crate) mod flood;
pub(crate) mod io;
pub(crate) mod proxy_header;
pub(crate) mod tls;
pub(crate) mod tracker;
