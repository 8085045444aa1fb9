//! What workers share of a Service port.

pub(crate) mod pins;
pub(crate) mod shared_port;
