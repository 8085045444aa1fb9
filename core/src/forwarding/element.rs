//! `Forwarded` (RFC 7239): its elements, read and written.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Write as _};
use core::iter;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// One element (RFC 7239 §4) for a request of `client` to `host` over `proto`.
/// IPv6 addresses are quoted and bracketed (§6); a host that is no token is quoted.
pub fn forwarded_element(client: IpAddr, host: Option<&str>, proto: &str) -> String {
    let client = client.to_canonical();
    element(client, client.is_ipv6(), host, proto)
}

/// The same for a client whose address may have been written already.
pub(super) fn element(client: impl fmt::Display, is_ipv6: bool, host: Option<&str>, proto: &str) -> String {
    // Around a host that is not escaped: 8 + 39 bytes for an IPv6 client, 8 before and behind the host, 12 for the scheme.
    let mut element = String::with_capacity(host.map_or(0, str::len) + 67);
    // Writing to a String cannot fail.
    let _ = match is_ipv6 {
        false => write!(element, "for={client}"),
        true => write!(element, "for=\"[{client}]\""),
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
    if is_token(value.as_bytes()) {
        element.push_str(value);
        return;
    }
    element.push('"');
    let mut written = 0;
    for (at, _) in value.match_indices(['"', '\\']) {
        element.push_str(&value[written..at]);
        element.push('\\');
        written = at; // what is escaped follows with the rest
    }
    element.push_str(&value[written..]);
    element.push('"');
}

/// Whether all elements of these values of `Forwarded` can be read: what is continued must not change what we add.
pub fn is_well_formed<'a>(lines: impl IntoIterator<Item = &'a [u8]>) -> bool {
    lines
        .into_iter()
        .flat_map(|line| parts_from_the_right(line, b','))
        .all(|element| for_node(element).is_some())
}

/// The address in the `for` of an element; nothing where there is none, or where the element contradicts its grammar.
pub(super) fn for_address(element: &[u8]) -> Option<IpAddr> {
    let node = for_node(element)??;
    node_address(core::str::from_utf8(&node).ok()?)
}

/// What the `for` of an element says, if it has one; nothing where the element contradicts its grammar. Spaces around a `;` are
/// none of it, but many write them, and nobody reads them in another way.
fn for_node(element: &[u8]) -> Option<Option<Cow<'_, [u8]>>> {
    let mut seen = [false; PARAMETERS.len()];
    let mut node = None;
    for pair in parts_from_the_right(element, b';').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_at_checked(pair.iter().position(|&byte| byte == b'=')?)?;
        let value = value_of(&value[1..])?;
        let parameter = PARAMETERS.iter().position(|known| name.eq_ignore_ascii_case(known));
        let again = parameter.is_some_and(|parameter| core::mem::replace(&mut seen[parameter], true));
        if again || !is_token(name) {
            return None;
        }
        if parameter == Some(FOR) {
            node = Some(value);
        }
    }
    Some(node)
}

/// Each at most once in an element (RFC 7239 §4).
const PARAMETERS: [&[u8]; 4] = [b"for", b"by", b"host", b"proto"];
const FOR: usize = 0;

/// A token, or what a quoted string says.
fn value_of(text: &[u8]) -> Option<Cow<'_, [u8]>> {
    let Some(rest) = text.strip_prefix(b"\"") else { return is_token(text).then_some(Cow::Borrowed(text)) };
    let quoted = rest.strip_suffix(b"\"")?;
    if !quoted.iter().any(|byte| matches!(byte, b'"' | b'\\')) {
        return Some(Cow::Borrowed(quoted));
    }
    let (mut said, mut bytes) = (Vec::with_capacity(quoted.len()), quoted.iter());
    while let Some(byte) = bytes.next() {
        said.push(match byte {
            b'"' => return None,
            b'\\' => *bytes.next()?,
            byte => *byte,
        });
    }
    Some(Cow::Owned(said))
}

/// The address of a node (RFC 7239 §6): `192.0.2.1`, `192.0.2.1:port`, `[2001:db8::1]` or `[2001:db8::1]:port`, whatever the port.
pub(super) fn node_address(node: &str) -> Option<IpAddr> {
    let (address, port) = match node.strip_prefix('[') {
        Some(rest) => {
            let (address, behind) = rest.split_once(']')?;
            let port = if behind.is_empty() { None } else { Some(behind.strip_prefix(':')?) };
            (IpAddr::V6(address.parse::<Ipv6Addr>().ok()?), port)
        }
        None => {
            let (address, port) =
                node.split_once(':').map_or((node, None), |(address, port)| (address, Some(port)));
            (IpAddr::V4(address.parse::<Ipv4Addr>().ok()?), port)
        }
    };
    port.is_none_or(is_node_port).then_some(address)
}

/// Up to five digits, or a name that hides them (RFC 7239 §6.2, §6.3).
fn is_node_port(port: &str) -> bool {
    let is_obfuscated = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    match port.strip_prefix('_') {
        Some(name) => !name.is_empty() && name.bytes().all(is_obfuscated),
        None => (1..=5).contains(&port.len()) && port.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().copied().all(is_token_byte)
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
}

/// The parts between each `separator` that is not within a quoted string (RFC 9110 §5.6.4), without the spaces around them.
///
/// The last comes first: it was written last, by the nearest proxy, and a quote that somebody before it left open must not
/// swallow it.
pub(super) fn parts_from_the_right(text: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(text);
    iter::from_fn(move || {
        let text = rest?;
        let at = last_outside_quotes(text, separator);
        rest = at.map(|at| &text[..at]);
        Some(text[at.map_or(0, |at| at + 1)..].trim_ascii())
    })
}

fn last_outside_quotes(text: &[u8], separator: u8) -> Option<usize> {
    let mut quoted = false;
    text.iter().enumerate().rev().find_map(|(at, &byte)| {
        quoted ^= byte == b'"' && !(quoted && is_escaped(text, at));
        (byte == separator && !quoted).then_some(at)
    })
}

/// Whether an odd number of backslashes stands before `at`: pairs of them are backslashes.
fn is_escaped(text: &[u8], at: usize) -> bool {
    text[..at].iter().rev().take_while(|&&byte| byte == b'\\').count() % 2 == 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::samples::ip;

    #[test]
    fn ipv6_is_quoted_and_a_mapped_address_is_ipv4() {
        let element = |client: &str, host| forwarded_element(ip(client), host, "http");
        assert_eq!(element("192.0.2.1", Some("a.test")), "for=192.0.2.1;host=a.test;proto=http");
        assert_eq!(element("2001:db8::1", Some("a:80")), "for=\"[2001:db8::1]\";host=\"a:80\";proto=http");
        assert_eq!(element("::ffff:192.0.2.1", None), "for=192.0.2.1;proto=http");
    }

    #[test]
    fn a_quote_in_a_host_cannot_end_its_quoting() {
        let element = forwarded_element(ip("192.0.2.1"), Some("a\";for=b"), "http");
        assert_eq!(element, "for=192.0.2.1;host=\"a\\\";for=b\";proto=http");
    }

    #[test]
    fn a_token_is_made_of_what_rfc_9110_names() {
        let named = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
        assert!((0..=u8::MAX).all(|byte| is_token_byte(byte) == named(&byte)));
    }

    #[test]
    fn what_cannot_be_read_to_its_end_is_not_continued() {
        for (line, well_formed) in [
            (&b""[..], true),
            (b"for=_x, , proto=https;by=\"[::1]\"", true),
            (b"for=\"\xff\"", true),
            (b"for=\"x", false),
            (b"for=\"x, for=192.0.2.1", false),
            (b"for=192.0.2.1, x", false),
        ] {
            assert_eq!(is_well_formed([line]), well_formed, "{}", String::from_utf8_lossy(line));
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(address: [u8; 16], ipv4: bool, host in "[ -~]{0,20}") {
            let client = match ipv4 {
                true => IpAddr::from([address[0], address[1], address[2], address[3]]),
                false => IpAddr::from(address),
            };
            let element = forwarded_element(client, Some(&host), "http");
            prop_assert_eq!(for_address(element.as_bytes()), Some(client.to_canonical()));
            prop_assert_eq!(parts_from_the_right(element.as_bytes(), b',').count(), 1);
        }
    }
}
