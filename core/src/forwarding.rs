//! Headers that belong to one hop, and headers that say where a request came from.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;
use core::net::IpAddr;

use ipnet::IpNet;
use svc_proto::names::header;

/// Whether a header is about this connection only (RFC 9110 §7.6.1), so that it ends here whatever `Connection` says.
/// `name` is in lower case.
pub fn is_hop_by_hop(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "keep-alive"
            | "proxy-connection"
            | "te"
            | "transfer-encoding"
            | "upgrade"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "http2-settings"
    )
}

/// Whether a `Connection` header may name `name` for removal. What describes the message's framing or target, and what this
/// proxy adds itself, is not the client's to strip (RFC 9110 §7.6.1: no header for all recipients).
pub fn may_be_nominated(name: &str) -> bool {
    !matches!(
        name,
        "host"
            | "content-length"
            | "content-type"
            | "authorization"
            | "cookie"
            | "date"
            | "cache-control"
            | "via"
    ) && !is_forwarding(name)
}

/// Whether a header says where a request came from: believed from trusted proxies only. `name` is in lower case.
pub fn is_forwarding(name: &str) -> bool {
    matches!(
        name,
        header::X_FORWARDED_FOR
            | header::X_FORWARDED_PROTO
            | header::X_FORWARDED_HOST
            | header::X_FORWARDED_PORT
            | header::FORWARDED
            | header::X_REAL_IP
    )
}

/// The names that the values of `Connection` headers nominate, in lower case, without those that are not
/// the client's to strip, and without `close` and `keep-alive`, which name no header that gets past [`is_hop_by_hop`].
pub fn nominated<'a>(connection_values: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    connection_values
        .into_iter()
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|token| !["close", "keep-alive"].iter().any(|option| token.eq_ignore_ascii_case(option)))
        .map(str::to_ascii_lowercase)
        .filter(|token| !token.is_empty() && may_be_nominated(token))
        .collect()
}

/// Whether forwarding headers from `peer` are believed.
pub fn is_trusted(peer: IpAddr, trusted: &[IpNet]) -> bool {
    let peer = peer.to_canonical();
    trusted.iter().any(|net| net.contains(&peer))
}

/// One element of a `Forwarded` header (RFC 7239 §4) for a request of `client` to `host` over `proto`.
/// IPv6 addresses are quoted and bracketed (§6); a host that is no token is quoted.
pub fn forwarded_element(client: IpAddr, host: Option<&str>, proto: &str) -> String {
    let mut element = String::with_capacity(64);
    // Writing to a String cannot fail.
    let _ = match client.to_canonical() {
        IpAddr::V4(client) => write!(element, "for={client}"),
        IpAddr::V6(client) => write!(element, "for=\"[{client}]\""),
    };
    if let Some(host) = host {
        element.push_str(";host=");
        push_value(&mut element, host);
    }
    element.push_str(";proto=");
    element.push_str(proto);
    element
}

/// Writes a token as it is, anything else as a quoted string (RFC 9110 §5.6.4).
fn push_value(element: &mut String, value: &str) {
    let is_token_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if !value.is_empty() && value.bytes().all(is_token_byte) {
        element.push_str(value);
        return;
    }
    element.push('"');
    for char in value.chars() {
        if matches!(char, '"' | '\\') {
            element.push('\\');
        }
        element.push(char);
    }
    element.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_cannot_strip_what_we_add() {
        let names = nominated(["close, X-Real-IP", "x-forwarded-for,Forwarded , Host,Foo", ""]);
        assert_eq!(names, ["foo"]);
    }

    #[test]
    fn ipv6_is_quoted_and_a_mapped_address_is_ipv4() {
        let element = |client: &str, host| forwarded_element(client.parse().unwrap(), host, "http");
        assert_eq!(element("192.0.2.1", Some("a.test")), "for=192.0.2.1;host=a.test;proto=http");
        assert_eq!(element("2001:db8::1", Some("a:80")), "for=\"[2001:db8::1]\";host=\"a:80\";proto=http");
        assert_eq!(element("::ffff:192.0.2.1", None), "for=192.0.2.1;proto=http");
    }

    #[test]
    fn a_quote_in_a_host_cannot_end_its_quoting() {
        let element = forwarded_element("192.0.2.1".parse().unwrap(), Some("a\";for=b"), "http");
        assert_eq!(element, "for=192.0.2.1;host=\"a\\\";for=b\";proto=http");
    }

    #[test]
    fn trust_is_by_network_and_sees_through_mapped_addresses() {
        let nets = ["10.0.0.0/8".parse().unwrap(), "2001:db8::/32".parse().unwrap()];
        assert!(is_trusted("::ffff:10.1.2.3".parse().unwrap(), &nets));
        assert!(is_trusted("2001:db8::1".parse().unwrap(), &nets));
        assert!(!is_trusted("192.0.2.1".parse().unwrap(), &nets));
        assert!(!is_trusted("10.0.0.1".parse().unwrap(), &[]));
    }
}
