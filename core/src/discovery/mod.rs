//! How Services are found, as far as that is a decision.

pub mod answer;
pub mod document;
pub mod env;
pub mod lease;
pub mod local;
pub mod names;
pub mod poll;
