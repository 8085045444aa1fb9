//! What DNS is asked, what its answers say, and how long they hold.

pub mod answer;
pub mod lease;
pub mod local;
pub mod names;
