//! How the values that several programs are configured with are written. Each reader returns the value, or what was expected instead.

mod name;
mod quoted;
mod wait;

use alloc::borrow::Cow;
use alloc::string::String;
use core::net::IpAddr;

use ipnet::IpNet;

pub use name::{dns_subdomain, label, zone};
pub use quoted::{Escaped, Quoted};
pub use wait::{deadline, optional_deadline, pause};

/// What should have been there, as it goes after the word "expected".
pub type Expected = Cow<'static, str>;

/// A network; a lone address is a network of one. Bits behind the prefix are dropped.
pub fn network(raw: &str) -> Option<IpNet> {
    let (address, prefix) =
        raw.split_once('/').map_or((raw, None), |(address, prefix)| (address, Some(prefix)));
    let address: IpAddr = address.parse().ok()?;
    let Some(prefix) = prefix else { return Some(address.into()) };
    let digits = Some(prefix).filter(|prefix| prefix.bytes().all(|byte| byte.is_ascii_digit()))?;
    Some(IpNet::new(address, digits.parse().ok()?).ok()?.trunc())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_an_address_with_a_prefix_or_without() {
        for (raw, known) in [
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("10.1.2.3", "10.1.2.3/32"),
            ("fd00::1/8", "fd00::/8"),
            ("::1", "::1/128"),
            ("0.0.0.0/0", "0.0.0.0/0"),
        ] {
            assert_eq!(network(raw), known.parse().ok(), "{raw}");
        }
        for raw in
            ["", "/", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/+8", "10.0.0.0/8/8", "fd00::/129", "a/8", "[::1]"]
        {
            assert_eq!(network(raw), None, "{raw}");
        }
    }
}
