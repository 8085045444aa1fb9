//! How Services are found, as far as that is a decision.

pub mod document;
pub mod env;
pub mod kubernetes;
pub mod poll;
