//! How the values that several programs are configured with are written. Each reader returns the value, or what was expected instead.

mod name;
mod wait;

use alloc::borrow::Cow;

pub use name::{dns_subdomain, label, zone};
pub use wait::{deadline, optional_deadline, pause};

/// What should have been there, as it goes after the word "expected".
pub type Expected = Cow<'static, str>;
