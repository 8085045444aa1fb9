//! The grammars of names, numbers and addresses. Each returns what is wrong in the API server's words
//! (`k8s.io/apimachinery/pkg/util/validation`); nothing when nothing is.

use alloc::vec;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A label of a DNS name (RFC 1123 §2.1): Services since 1.37, namespaces, port names, host names.
pub(super) fn dns_label(value: &str) -> Vec<&'static str> {
    let mut problems = longer_than(value, 63, "must be no more than 63 bytes");
    if !is_dns_label(value) {
        problems.push(
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an \
             alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
        );
    }
    problems
}

/// A DNS name (RFC 1123): Endpoints, EndpointSlices, nodes, external names.
pub(super) fn dns_subdomain(value: &str) -> Vec<&'static str> {
    let mut problems = longer_than(value, 253, "must be no more than 253 bytes");
    if !value.split('.').all(is_dns_label) {
        problems.push(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end \
             with an alphanumeric character (e.g. 'example.com', regex used for validation is \
             '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
        );
    }
    problems
}

/// The name of a container port: IANA_SVC_NAME (RFC 6335 §5.1), by which a `targetPort` asks for it (S-01).
pub(super) fn port_name(value: &str) -> Vec<&'static str> {
    let mut problems = longer_than(value, 15, "must be no more than 15 bytes");
    let is_ours = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if value.is_empty() || !value.bytes().all(is_ours) {
        problems.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
    }
    if !value.bytes().any(|byte| byte.is_ascii_lowercase()) {
        problems.push("must contain at least one letter (a-z)");
    }
    if value.as_bytes().windows(2).any(|pair| pair == b"--") {
        problems.push("must not contain consecutive hyphens");
    }
    if value.starts_with('-') || value.ends_with('-') {
        problems.push("must not begin or end with a hyphen");
    }
    problems
}

/// `name` or `domain/name`: `appProtocol` (S-06).
pub(super) fn qualified_name(value: &str) -> Vec<&'static str> {
    let (prefix, name) = match value.split_once('/') {
        None => (None, value),
        Some((prefix, name)) if !name.contains('/') => (Some(prefix), name),
        Some(_) => {
            return vec![
                "a qualified name must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
                 alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
                 '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",
            ];
        }
    };
    let mut problems = Vec::new();
    match prefix {
        Some("") => problems.push("prefix part must be non-empty"),
        Some(prefix) if !dns_subdomain(prefix).is_empty() => problems.push(
            "prefix part a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must \
             start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
             '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
        ),
        Some(_) | None => {}
    }
    if name.is_empty() {
        problems.push("name part must be non-empty");
    }
    problems.extend(longer_than(name, 63, "name part must be no more than 63 bytes"));
    if !is_label_value(name) {
        problems.push(
            "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric \
             character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
             '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
        );
    }
    problems
}

/// The value of a label: zones and hints.
pub(super) fn label_value(value: &str) -> Vec<&'static str> {
    let mut problems = longer_than(value, 63, "must be no more than 63 bytes");
    if !value.is_empty() && !is_label_value(value) {
        problems.push(
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end \
             with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is \
             '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
        );
    }
    problems
}

/// 1 to 65535.
pub(super) fn port_number(number: i32) -> Result<u16, &'static str> {
    match u16::try_from(number) {
        Ok(port) if port != 0 => Ok(port),
        Ok(_) | Err(_) => Err("must be between 1 and 65535, inclusive"),
    }
}

/// A name of two labels or more, with or without the dot of the root: an address of the type FQDN.
pub(super) fn full_name(value: &str) -> Vec<&'static str> {
    let name = value.strip_suffix('.').unwrap_or(value);
    let problems = dns_subdomain(name);
    if !problems.is_empty() {
        return problems;
    }
    match name.split_once('.') {
        None => vec!["should be a domain with at least two segments separated by dots"],
        Some(_) => name
            .split('.')
            .flat_map(|label| longer_than(label, 63, "must be no more than 63 bytes"))
            .collect(),
    }
}

/// What keeps an address from being an endpoint's or an external one (S-04, S-27).
pub(crate) fn special_ip(address: IpAddr, loopback_is_fine: bool) -> Option<&'static str> {
    let address = address.to_canonical();
    if address.is_loopback() {
        return (!loopback_is_fine).then_some("may not be in the loopback range (127.0.0.0/8, ::1/128)");
    }
    match address {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Some("may not be unspecified (0.0.0.0)"),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Some("may not be unspecified (::)"),
        IpAddr::V4(v4) if v4.is_link_local() => Some(LINK_LOCAL),
        IpAddr::V6(v6) if v6.is_unicast_link_local() => Some(LINK_LOCAL),
        IpAddr::V4(v4) if v4.octets()[..3] == [224, 0, 0] => Some(LINK_LOCAL_MULTICAST),
        IpAddr::V6(v6) if v6.segments()[0] & 0xff0f == 0xff02 => Some(LINK_LOCAL_MULTICAST),
        IpAddr::V4(_) | IpAddr::V6(_) => None,
    }
}

fn longer_than(value: &str, most: usize, problem: &'static str) -> Vec<&'static str> {
    if value.len() > most { vec![problem] } else { Vec::new() }
}

fn is_dns_label(value: &str) -> bool {
    let inside = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    is_bounded(value, inside, |byte| inside(byte) || *byte == b'-')
}

fn is_label_value(value: &str) -> bool {
    is_bounded(value, u8::is_ascii_alphanumeric, |byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
}

/// Whether the first and last byte are `outer`, and the others `inner`.
fn is_bounded(value: &str, outer: impl Fn(&u8) -> bool, inner: impl Fn(&u8) -> bool) -> bool {
    let bytes = value.as_bytes();
    bytes.first().is_some_and(&outer) && bytes.last().is_some_and(&outer) && bytes.iter().all(inner)
}

const LINK_LOCAL: &str = "may not be in the link-local range (169.254.0.0/16, fe80::/10)";
const LINK_LOCAL_MULTICAST: &str = "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)";

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(grammar: fn(&str) -> Vec<&'static str>, good: &[&str], bad: &[&str]) {
        for value in good {
            assert_eq!(grammar(value), Vec::<&str>::new(), "{value:?}");
        }
        for value in bad {
            assert!(!grammar(value).is_empty(), "{value:?}");
        }
    }

    #[test]
    fn port_names_of_a_service_are_labels_and_those_of_containers_have_a_letter() {
        check(
            dns_label,
            &["web", "123-abc", "8083", "a"],
            &["", "123_abc", "-web", "web-", "Web", "ä", &"a".repeat(64)],
        );
        check(port_name, &["web", "123-abc", "a1"], &["", "8083", "-web", "a--b", "Web", "sixteen-letters1"]);
    }

    #[test]
    fn a_name_with_dots_is_labels_between_them() {
        check(
            dns_subdomain,
            &["a.b", "10.0.0.1", "a"],
            &["", "a..b", ".a", "a.", "a_b.c", &"a.".repeat(130)],
        );
    }

    #[test]
    fn a_qualified_name_may_have_one_prefix() {
        check(
            qualified_name,
            &["http", "kubernetes.io/h2c", "My_Name.x"],
            &["", "/a", "a/", "a/b/c", "A/b", "-x", "x y"],
        );
        check(label_value, &["", "zone-a", "A_b.c"], &["-a", "a b", &"a".repeat(64)]);
    }

    #[test]
    fn addresses_that_mean_something_else_on_each_node_are_special() {
        for special in [
            "0.0.0.0",
            "::",
            "127.1.2.3",
            "::1",
            "169.254.1.1",
            "fe80::1",
            "224.0.0.9",
            "ff02::1",
            "::ffff:127.0.0.1",
        ] {
            assert!(special_ip(special.parse().unwrap(), false).is_some(), "{special}");
        }
        for usual in ["10.0.0.1", "192.168.0.1", "8.8.8.8", "fd00::1", "2001:db8::1", "224.0.1.1"] {
            assert_eq!(special_ip(usual.parse().unwrap(), false), None, "{usual}");
        }
        assert_eq!(special_ip("127.0.0.1".parse().unwrap(), true), None);
    }

    #[test]
    fn a_full_name_has_two_labels_and_may_have_the_dot_of_the_root() {
        check(
            full_name,
            &["db.example.com", "db.example.com.", "a.b"],
            &["", ".", "db", "db.", "a..b", "a.b..", "A.b", &["a".repeat(64), "b".into()].join(".")],
        );
    }
}
