//! The environment ↔ Services (S-12): what the kubelet injects when a container starts, read and written.
//!
//! For a Service `my-db` at 10.0.0.11 with one port, the kubelet sets
//! ```text
//! MY_DB_SERVICE_HOST=10.0.0.11            MY_DB_PORT=tcp://10.0.0.11:5432
//! MY_DB_SERVICE_PORT=5432                 MY_DB_PORT_5432_TCP=tcp://10.0.0.11:5432
//! MY_DB_SERVICE_PORT_SQL=5432             MY_DB_PORT_5432_TCP_PROTO=tcp  …_PORT=5432  …_ADDR=10.0.0.11
//! ```
//! On the left, what Kubernetes means to be read: it tells numbers, and names where ports have some. On the
//! right the set of Docker's links, which adds protocols and the ports beyond the first. `MY_DB_SERVICE_HOST`
//! alone announces a Service; the rest adds to it.
//!
//! Names run into each other: the Services `foo` and `foo-service` both define `FOO_SERVICE_PORT`, and the
//! kubelet keeps either. A number is `foo`'s, a URL `foo-service`'s; what either loses, its other variables
//! tell. Where the value's shape does not decide, a variable belongs to the Service with the longer name.

mod generate;
mod parse;
mod ports;
mod variable;

#[cfg(test)]
mod round_trip;
#[cfg(test)]
mod tests;

pub use generate::{generate, prefix};
pub use parse::{Discovered, EnvWarning, parse};
