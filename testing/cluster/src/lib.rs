//! A Kubernetes cluster on one machine, for tests: nothing of it is shipped.

mod client;
pub mod control_plane;
pub mod node;

pub use client::Access;

/// An error, as a message.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
/// A result with such an error.
pub type Result<T> = std::result::Result<T, Error>;
