//! Names as Kubernetes and DNS know them.

use alloc::borrow::ToOwned;
use alloc::string::String;

use super::Expected;

/// An RFC 1123 label, as namespaces are named.
///
/// # Errors
/// It is something else.
pub fn label(raw: &str) -> Result<String, Expected> {
    match is_label(raw) {
        true => Ok(raw.to_owned()),
        false => Err("a name of up to 63 lower-case letters, digits and `-`".into()),
    }
}

/// A domain, lower case, without the trailing dot.
///
/// # Errors
/// It is something else.
pub fn dns_subdomain(raw: &str) -> Result<String, Expected> {
    let domain = raw.strip_suffix('.').unwrap_or(raw).to_ascii_lowercase();
    match domain.len() <= 253 && domain.split('.').all(is_label) {
        true => Ok(domain),
        false => Err("a domain such as `cluster.local`".into()),
    }
}

/// A label's value, as clouds name their zones.
///
/// # Errors
/// It is something else.
pub fn zone(raw: &str) -> Result<String, Expected> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    match raw.len() <= 63 && raw.bytes().all(allowed) {
        true => Ok(raw.to_owned()),
        false => Err("a name of up to 63 letters, digits, `-`, `_` and `.`".into()),
    }
}

/// RFC 1123 §2.1.
fn is_label(raw: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&raw.len()) && raw.bytes().all(inner) && !raw.starts_with('-') && !raw.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_one_label() {
        assert_eq!(label("team-1"), Ok("team-1".to_owned()));
        for raw in ["", "Team", "a.b", "-a", "a-", "a_b", &"a".repeat(64)] {
            assert!(label(raw).is_err(), "{raw}");
        }
    }

    #[test]
    fn a_domain_loses_its_trailing_dot_and_its_capitals() {
        assert_eq!(dns_subdomain("Cluster.Local."), Ok("cluster.local".to_owned()));
        for raw in ["", ".", "cluster..local", ".local", "a b"] {
            assert!(dns_subdomain(raw).is_err(), "{raw}");
        }
    }

    #[test]
    fn a_zone_is_spelt_like_a_label() {
        assert!(zone("europe-west1-b").is_ok());
        assert!(zone("a b").is_err());
    }
}
