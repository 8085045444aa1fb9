//! `host:port`, as `Host`, `:authority` and CONNECT carry it (RFC 9110 §7.2, RFC 3986 §3.2).

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Who a request is for. Borrows the text it was parsed from; nothing is allocated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authority<'a> {
    /// The host.
    pub host: UriHost<'a>,
    /// The port, where the text has one.
    pub port: Option<u16>,
}

/// The host of an [`Authority`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UriHost<'a> {
    /// An IP literal; an IPv4-mapped one (`::ffff:10.0.0.1`) is an IPv4 address.
    Address(IpAddr),
    /// A name of at most 253 bytes in labels of 1 to 63: letters as the client wrote them, digits, `-` and `_`; without the
    /// dot at its end.
    Name(&'a str),
}

impl<'a> Authority<'a> {
    /// Reads it.
    ///
    /// # Errors
    /// Anything but a name, an IPv4 address or an IPv6 address in brackets, and at most one port: user information, spaces,
    /// percent escapes and scoped addresses too, since two programs could read each in two ways.
    pub fn parse(text: &'a str) -> Result<Authority<'a>, MalformedAuthority> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => bracketed(rest)?,
            None => plain(text)?,
        };
        Ok(Authority { host, port: port.map(parse_port).transpose()?.flatten() })
    }
}

/// Whether a text is a host, with or without a port, that a request may be for: also one that is no name of DNS, for RFC 3986 §3.2.2 has other
/// registries, whose names have `!$&'()*+,;=~` and percent escapes. Such a request goes where its connection was going.
pub fn is_host(text: &str) -> bool {
    if Authority::parse(text).is_ok() {
        return true;
    }
    let (name, port) = text.split_once(':').unwrap_or((text, ""));
    !name.is_empty() && is_registered_name(name.as_bytes()) && parse_port(port).is_ok()
}

fn is_registered_name(mut name: &[u8]) -> bool {
    while let [first, rest @ ..] = name {
        name = match (first, rest) {
            (b'%', [high, low, rest @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => rest,
            (byte, _) if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(byte) => rest,
            _ => return false,
        };
    }
    true
}

/// Why a text is no authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MalformedAuthority {
    /// The host is neither a name nor an address.
    Host,
    /// The port is no number from 1 to 65535.
    Port,
}

impl fmt::Display for MalformedAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            MalformedAuthority::Host => "the host is neither a DNS name nor an IP address",
            MalformedAuthority::Port => "the port is no number from 1 to 65535",
        })
    }
}

impl core::error::Error for MalformedAuthority {}

fn bracketed(rest: &str) -> Result<(UriHost<'_>, Option<&str>), MalformedAuthority> {
    let (address, behind) = rest.split_once(']').ok_or(MalformedAuthority::Host)?;
    let address: Ipv6Addr = address.parse().map_err(|_| MalformedAuthority::Host)?;
    let port = match behind {
        "" => None,
        _ => Some(behind.strip_prefix(':').ok_or(MalformedAuthority::Host)?),
    };
    Ok((UriHost::Address(IpAddr::V6(address).to_canonical()), port))
}

fn plain(text: &str) -> Result<(UriHost<'_>, Option<&str>), MalformedAuthority> {
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    let host = match host.parse::<Ipv4Addr>() {
        Ok(address) => UriHost::Address(IpAddr::V4(address)),
        Err(_) => UriHost::Name(name(host)?),
    };
    Ok((host, port))
}

fn name(name: &str) -> Result<&str, MalformedAuthority> {
    let mut label_bytes = 0;
    for byte in name.bytes() {
        label_bytes = match byte {
            b'.' if label_bytes > 0 => 0,
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' if label_bytes < LABEL_BYTES_MAX => {
                label_bytes + 1
            }
            _ => return Err(MalformedAuthority::Host),
        };
    }
    let sized = label_bytes > 0 && name.len() <= NAME_BYTES_MAX;
    sized.then_some(name).ok_or(MalformedAuthority::Host)
}

/// An empty port is none (RFC 3986 §3.2.3).
fn parse_port(text: &str) -> Result<Option<u16>, MalformedAuthority> {
    if text.is_empty() {
        return Ok(None);
    }
    // `parse` takes a sign, and any number of zeros.
    let digits = text.len() <= PORT_DIGITS_MAX && text.bytes().all(|byte| byte.is_ascii_digit());
    let port = text.parse().ok().filter(|&port| digits && port != 0);
    port.map(Some).ok_or(MalformedAuthority::Port)
}

const NAME_BYTES_MAX: usize = 253; // RFC 1035 §2.3.4: 255 on the wire, less the first length and the root
const LABEL_BYTES_MAX: usize = 63; // RFC 1035 §2.3.4
const PORT_DIGITS_MAX: usize = 5; // 65535

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::samples::ip;

    fn check(text: &str, host: UriHost<'_>, port: Option<u16>) {
        assert_eq!(Authority::parse(text), Ok(Authority { host, port }), "{text}");
    }

    #[test]
    fn a_name_loses_only_the_dot_at_its_end() {
        check("web", UriHost::Name("web"), None);
        check("Web.Shop.svc.cluster.local.:8080", UriHost::Name("Web.Shop.svc.cluster.local"), Some(8080));
        check("my_web-0:", UriHost::Name("my_web-0"), None);
    }

    #[test]
    fn addresses_are_told_from_names() {
        check("10.0.0.1", UriHost::Address(ip("10.0.0.1")), None);
        check("[fd00::1]:443", UriHost::Address(ip("fd00::1")), Some(443));
        check("[::ffff:10.0.0.1]", UriHost::Address(ip("10.0.0.1")), None);
        check("010.0.0.1", UriHost::Name("010.0.0.1"), None);
        check("10.0.0.1.:80", UriHost::Address(ip("10.0.0.1")), Some(80)); // as a browser reads it
        check("127.1:80", UriHost::Name("127.1"), Some(80));
    }

    #[test]
    fn what_two_programs_could_read_in_two_ways_is_refused() {
        let label = "a".repeat(64);
        let name = ["a".repeat(63).as_str(); 4].join(".");
        for text in [
            "",
            ".",
            "..",
            "a..b",
            ".a",
            "a b",
            "user@web",
            "web/",
            "web%2e",
            "wéb",
            "web\0",
            "[fd00::1",
            "[fd00::1%eth0]",
            "[fd00::1]80",
            "[10.0.0.1]",
            "[v1.a]",
            "[web]",
            "*",
            &label,
            &name,
            "web..:80",
        ] {
            assert_eq!(Authority::parse(text), Err(MalformedAuthority::Host), "{text:?}");
        }
        for text in
            ["web:0", "fd00::1", "web:65536", "web:+80", "web:80 ", "web:000080", "web:80:80", "[::1]:x"]
        {
            assert_eq!(Authority::parse(text), Err(MalformedAuthority::Port), "{text:?}");
        }
    }

    #[test]
    fn a_host_may_be_no_name_of_dns() {
        for text in [
            "web",
            "web:80",
            "10.0.0.1",
            "[::1]:80",
            "a!$&'()*+,;=~b",
            "w%65b:80",
            "a..b",
            "web:",
            &"a".repeat(300),
        ] {
            assert!(is_host(text), "{text}");
        }
        for text in [
            "", ":80", "a b", "user@web", "web%2", "web%2g", "web%", "web/", "web?", "web#", "w\\b", "\"",
            "<a>", "[web]", "::1", "web:x", "a:1:2", "wéb", "a\0",
        ] {
            assert!(!is_host(text), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics_and_what_is_accepted_is_shorter_than_dns_allows(text in ".{0,300}|[a-cA-C0-9._:@%-]{0,40}|\\[[0-9a-f.:]{0,40}\\][:0-9]{0,6}") {
            if let Ok(Authority { host: UriHost::Name(name), .. }) = Authority::parse(&text) {
                prop_assert!(name.len() <= 253 && text.starts_with(name));
            }
        }
    }
}
