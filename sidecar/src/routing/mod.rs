//! Which Service port a connection or request is for, and which of its endpoints.

pub(crate) mod affinity;
pub(crate) mod application;
pub(crate) mod resolve;
pub(crate) mod route;
pub(crate) mod router;
pub(crate) mod target;
