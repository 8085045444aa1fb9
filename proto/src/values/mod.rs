//! How the values that several programs are configured with are written. Each reader returns the value, or what was expected instead.

mod name;
mod wait;

use alloc::borrow::Cow;
use alloc::string::String;
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

/// What one of a few words means.
///
/// # Errors
/// It is none of them.
pub fn one_of<T: Copy>(word: &str, words: &[(&'static str, T)]) -> Result<T, Expected> {
    let found = words.iter().find(|(known, _)| *known == word);
    found.map(|(_, meaning)| *meaning).ok_or_else(|| list(words.iter().map(|(word, _)| *word)).into())
}

/// `` `a`, `b` or `c` ``
fn list(words: impl ExactSizeIterator<Item = &'static str>) -> String {
    let last = words.len() - 1;
    let mut listed = String::new();
    for (index, word) in words.enumerate() {
        listed += match index {
            0 => "`",
            index if index == last => "` or `",
            _ => "`, `",
        };
        listed += word;
    }
    listed + "`"
}
