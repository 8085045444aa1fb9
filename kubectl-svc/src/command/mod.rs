//! The commands: each asks the API, and answers with a text.

pub(crate) mod check;
pub(crate) mod endpoints;
pub(crate) mod env;
pub(crate) mod list;
