//! One corpus of stories, which core, the sidecar and the filter must tell in the same way. `corpus/README.md` says how they are written.

mod corpus;
pub mod filter;
mod story;
mod world;

pub use corpus::{Case, Request, Step, corpus};
pub use story::{Answer, Program, differences, tell, tells};
