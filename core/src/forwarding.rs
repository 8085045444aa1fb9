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

/// The client that the trusted proxy at `peer` speaks for: the nearest address that is not trusted, counted from the proxy.
///
/// That stands in `X-Forwarded-For` (its values in order) where there is one, else in `Forwarded` (RFC 7239 §5.2): what a proxy says
/// there of its own peer is true, what was there before is the word of that peer. Where all addresses are trusted it is the farthest; an
/// address that is hidden, or none, ends the chain at the proxy that tells of it.
pub fn client_behind<'a>(
    peer: IpAddr,
    trusted: &[IpNet],
    x_forwarded_for: impl IntoIterator<Item = &'a str>,
    forwarded: impl IntoIterator<Item = &'a str>,
) -> IpAddr {
    let mut listed = x_forwarded_for.into_iter().peekable();
    if listed.peek().is_some() {
        let entries = listed.flat_map(|value| value.split(',')).map(str::trim);
        farthest(peer, trusted, entries.filter(|entry| !entry.is_empty()).map(node_address))
    } else {
        let elements =
            forwarded.into_iter().flat_map(|value| split_outside_quotes(value, ',')).map(str::trim);
        farthest(peer, trusted, elements.filter(|element| !element.is_empty()).map(for_address))
    }
}

/// Walks from the farthest address to the nearest, and starts again after each that is not to be believed past.
fn farthest(peer: IpAddr, trusted: &[IpNet], chain: impl Iterator<Item = Option<IpAddr>>) -> IpAddr {
    let client = chain.fold(None, |farther, address| match address {
        Some(address) if is_trusted(address, trusted) => farther.or(Some(address)),
        Some(_) | None => address,
    });
    client.unwrap_or(peer).to_canonical()
}

/// The address in the `for` of an element.
fn for_address(element: &str) -> Option<IpAddr> {
    let mut pairs = split_outside_quotes(element, ';').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))?;
    let value = value.trim();
    let quoted = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    node_address(quoted.unwrap_or(value))
}

/// `192.0.2.1`, `192.0.2.1:port`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:port`, whatever the port.
fn node_address(node: &str) -> Option<IpAddr> {
    let without_port = match node.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?.0,
        None => {
            node.split_once(':').filter(|(_, port)| !port.contains(':')).map_or(node, |(address, _)| address)
        }
    };
    without_port.parse().ok()
}

/// Splits at each `separator` that is not within a quoted string (RFC 9110 §5.6.4).
fn split_outside_quotes(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |char: char| {
        let plain = !core::mem::take(&mut escaped);
        quoted ^= plain && char == '"';
        escaped = plain && quoted && char == '\\';
        !quoted && char == separator
    })
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

    /// The client behind the trusted proxy 10.0.0.9.
    fn client(x_forwarded_for: &[&str], forwarded: &[&str]) -> String {
        let nets = ["10.0.0.0/8".parse().unwrap(), "2001:db8::/32".parse().unwrap()];
        let peer = "10.0.0.9".parse().unwrap();
        client_behind(peer, &nets, x_forwarded_for.iter().copied(), forwarded.iter().copied()).to_string()
    }

    #[test]
    fn the_client_is_the_nearest_address_that_is_not_trusted() {
        for (said, expected) in [
            (&[][..], "10.0.0.9"),
            (&["192.0.2.1"], "192.0.2.1"),
            (&["192.0.2.1, 198.51.100.2"], "198.51.100.2"),
            (&["192.0.2.1, 198.51.100.2, 10.0.0.3,10.0.0.4"], "198.51.100.2"),
            (&["192.0.2.1", "198.51.100.2", "10.0.0.3"], "198.51.100.2"),
            (&["10.0.0.1, 10.0.0.2"], "10.0.0.1"),
            (&["192.0.2.1,, 10.0.0.2,"], "192.0.2.1"),
            (&["192.0.2.1, unknown, 10.0.0.2, 10.0.0.3"], "10.0.0.2"),
            (&["192.0.2.1, unknown"], "10.0.0.9"),
            (&["192.0.2.1:4711"], "192.0.2.1"),
            (&["[2001:db9::1]:4711, ::ffff:10.0.0.3"], "2001:db9::1"),
            (&["2001:db9::1, [2001:db8::1]"], "2001:db9::1"),
            (&["::ffff:192.0.2.1"], "192.0.2.1"),
            (&["192.0.2.1 198.51.100.2"], "10.0.0.9"),
            (&[""], "10.0.0.9"),
        ] {
            assert_eq!(client(said, &[]), expected, "{said:?}");
        }
    }

    #[test]
    fn forwarded_is_read_where_nothing_is_listed_and_a_quote_does_not_fake_an_element() {
        for (said, expected) in [
            (&["for=192.0.2.1;proto=http"][..], "192.0.2.1"),
            (&["for=192.0.2.1, For=\"[2001:db9::1]:4711\";by=_x", "host=a;FOR = 10.0.0.3"], "2001:db9::1"),
            (&["for=192.0.2.1;host=\"a, for=198.51.100.2\""], "192.0.2.1"),
            (&["for=192.0.2.1;host=\"a\\\", for=198.51.100.2\""], "192.0.2.1"),
            (&["for=192.0.2.1, for=\"10.0.0.3"], "10.0.0.9"),
            (&["for=192.0.2.1, for=_hidden, for=10.0.0.3"], "10.0.0.3"),
            (&["for=192.0.2.1, by=10.0.0.3"], "10.0.0.9"),
            (&["for=\"192.0.2.1:_port\""], "192.0.2.1"),
        ] {
            assert_eq!(client(&[], said), expected, "{said:?}");
            assert_eq!(client(&["198.51.100.9"], said), "198.51.100.9", "{said:?}");
        }
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
