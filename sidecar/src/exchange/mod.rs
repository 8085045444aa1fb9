//! One request and its answer, and what becomes of both: from the route to the record.

pub(crate) mod account;
pub(crate) mod attempt_guard;
pub(crate) mod attempts;
pub(crate) mod body;
pub(crate) mod deadlines;
pub(crate) mod forward;
pub(crate) mod hops;
pub(crate) mod http1_body;
pub(crate) mod provenance;
pub(crate) mod relay;
pub(crate) mod request;
pub(crate) mod respond;
pub(crate) mod tunnel;
pub(crate) mod upgrade;
pub(crate) mod websocket;
