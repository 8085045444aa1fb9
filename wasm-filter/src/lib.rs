//! svcmesh's decisions inside Envoy: a proxy-wasm filter, for HTTP and for TCP.
//!
//! What to do is `svc_core`'s to say; here it is done. Each of Envoy's workers has a VM of its own, which knows all Services, and whose contexts
//! are: one [`root::Root`], which is configured and learns of changes, and below it one [`http_stream::HttpStream`] for each request or one
//! [`tcp_stream::TcpStream`] for each connection. Of the host they know [`host`]'s traits only, so that all of this is tested without one.
//!
//! A panic here would end the VM, and with it the traffic of its worker: there is nothing in this crate that panics.
#![cfg_attr(
    not(test),
    deny(
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

pub mod headers;
pub mod host;

pub mod context;
pub mod http_stream;
pub mod root;
pub mod tcp_stream;

mod counts;
mod discovery;
#[cfg(test)]
mod fake;

#[cfg(target_arch = "wasm32")]
mod abi;
#[cfg(target_arch = "wasm32")]
mod clock;
