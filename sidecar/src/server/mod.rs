//! HTTP towards clients: hyper for HTTP/1, the `h2` crate for HTTP/2. Each request is an exchange.

pub(crate) mod http1;
pub(crate) mod http2;
pub(crate) mod stream;
