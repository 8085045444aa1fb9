//! How the values that several programs are configured with are written. Each reader returns the value, or what was expected instead.

mod name;
mod wait;

use alloc::borrow::Cow;
use core::net::IpAddr;

use ipnet::IpNet;

pub use name::{dns_subdomain, label, zone};
pub use wait::{deadline, optional_deadline, pause};

/// What should have been there, as it goes after the word "expected".
pub type Expected = Cow<'static, str>;

/// A network; a lone address is a network of one. Bits behind the prefix are dropped.
pub fn network(raw: &str) -> Option<IpNet> {
    let network = raw.parse().or_else(|_| raw.parse::<IpAddr>().map(IpNet::from));
    network.map(|network| network.trunc()).ok()
}
