//! The slow world: what tells us of Services. Publishes; never asks the data path anything.

pub mod manifests;

pub(crate) mod applied;
pub(crate) mod certificates;
pub(crate) mod checks;
pub(crate) mod discovery;
pub(crate) mod dns;
mod environment;
mod kubernetes;
pub(crate) mod publish;
pub(crate) mod source;

#[cfg(test)]
mod tests;
