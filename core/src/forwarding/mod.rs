//! Headers that belong to one hop, and headers that say where a request came from.
//!
//! Names are text in lower case, values are bytes as they came: no type of an HTTP library, so that each of our programs can ask.

mod client;
mod element;
mod fields;
mod tell;
mod via;

pub use client::{client_behind, is_trusted};
pub use element::{forwarded_element, is_well_formed};
pub use fields::HeaderFields;
pub use tell::{Provenance, Telling, Told, tell};
pub use via::{HttpVersion, PASSES_MAX, is_loop, via};

use alloc::string::String;
use alloc::vec::Vec;

use svc_proto::names::header;

use crate::authority::Authority;

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

/// Whether a `Connection` header may name `name` for removal. What describes the message's framing or target, what says who may do
/// what, and what this proxy adds itself, is not the client's to strip (RFC 9110 §7.6.1: no header for all recipients).
pub fn may_be_nominated(name: &str) -> bool {
    !matches!(
        name,
        "host"
            | "content-length"
            | "content-type"
            | "content-encoding"
            | "authorization"
            | "cookie"
            | "set-cookie"
            | "origin"
            | "date"
            | "cache-control"
            | "max-forwards"
            | "via"
            | header::PROXY_STATUS
    ) && !is_forwarding(name)
}

/// Whether a header says where a request came from, which is believed from trusted proxies only: `Forwarded`, `X-Real-IP`, and each that
/// begins with `X-Forwarded-`, for applications believe in more of them than we know. `name` is in lower case.
///
/// An `_` is as good as a `-`: behind CGI or WSGI the two are one name.
pub fn is_forwarding(name: &str) -> bool {
    // Every name of every request is asked: most are told apart by one byte.
    match name.as_bytes() {
        [b'x', b'-' | b'_', b'f', ..] if name.len() >= X_FORWARDED.len() => begins_like(name, X_FORWARDED),
        [b'x', b'-' | b'_', b'r', ..] if name.len() == header::X_REAL_IP.len() => {
            begins_like(name, header::X_REAL_IP)
        }
        [b'f', ..] => name == header::FORWARDED,
        _ => false,
    }
}

fn begins_like(name: &str, start: &str) -> bool {
    name.bytes()
        .zip(start.bytes())
        .all(|(byte, expected)| byte == expected || (byte == b'_' && expected == b'-'))
}

const X_FORWARDED: &str = "x-forwarded-";

/// Whether a header is a forwarding header to some applications and to others not. No proxy means one, so it is believed from none.
pub fn is_look_alike(name: &str) -> bool {
    is_forwarding(name) && name.contains('_')
}

/// The names that the values of `Connection` headers nominate, in lower case, without those that are not
/// the client's to strip, and without `close` and `keep-alive`, which name no header that gets past [`is_hop_by_hop`].
pub fn nominated<'a>(connection_values: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
    connection_values
        .into_iter()
        .filter(|value| !is_option(value)) // nearly always
        .flat_map(|value| value.split(|&byte| byte == b','))
        .filter_map(|token| core::str::from_utf8(token).ok().map(str::trim))
        .filter(|token| !is_option(token.as_bytes()))
        .map(str::to_ascii_lowercase)
        .filter(|token| !token.is_empty() && may_be_nominated(token))
        .collect()
}

fn is_option(token: &[u8]) -> bool {
    [&b"keep-alive"[..], b"close"].iter().any(|option| token.eq_ignore_ascii_case(option))
}

/// The scheme that a trusted proxy's `X-Forwarded-Proto` says; nothing where it says none that we know, or several.
/// Some proxies tell of a WebSocket as `ws` or `wss`, which is `http` or `https` to whoever asks whether the client's way was safe.
pub fn said_scheme(value: &[u8]) -> Option<&'static str> {
    let is = |scheme: &str| value.eq_ignore_ascii_case(scheme.as_bytes());
    match () {
        () if is("https") || is("wss") => Some("https"),
        () if is("http") || is("ws") => Some("http"),
        () => None,
    }
}

/// Whether a trusted proxy's `X-Forwarded-Host` is one host.
pub fn is_said_host(value: &[u8]) -> bool {
    core::str::from_utf8(value).is_ok_and(|text| Authority::parse(text).is_ok())
}

/// Whether a trusted proxy's `X-Forwarded-Port` is one port.
pub fn is_said_port(value: &[u8]) -> bool {
    let digits = (1..=PORT_DIGITS_MAX).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
    digits && value.iter().fold(0, |port, digit| port * 10 + u32::from(digit - b'0')) <= u32::from(u16::MAX)
}

const PORT_DIGITS_MAX: usize = 5; // 65535

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_cannot_strip_what_we_add() {
        let values: [&[u8]; 5] = [
            b"close, X-Real-IP",
            b"x-forwarded-for,Forwarded , Host,Foo",
            b"",
            b"\xff, bar",
            b"Via, X_Forwarded_For",
        ];
        assert_eq!(nominated(values), ["foo", "bar"]);
    }

    #[test]
    fn every_header_that_tells_of_an_origin_is_one_of_them_however_it_is_spelt() {
        for name in
            ["forwarded", "x-real-ip", "x-forwarded-for", "x-forwarded-prefix", "x-forwarded-client-cert"]
        {
            assert!(is_forwarding(name) && !is_look_alike(name), "{name}");
        }
        for name in ["x_real_ip", "x_forwarded_for", "x-forwarded_for", "x_forwarded-user"] {
            assert!(is_forwarding(name) && is_look_alike(name), "{name}");
        }
        for name in
            ["", "x", "x-forwarded", "x-real-ips", "forwarded-for", "x-request-id", "x_request_id", "from"]
        {
            assert!(!is_forwarding(name) && !is_look_alike(name), "{name}");
        }
    }

    #[test]
    fn of_a_scheme_a_host_and_a_port_there_is_one_or_none() {
        for (value, scheme) in [
            ("http", Some("http")),
            ("HTTPS", Some("https")),
            ("ws", Some("http")),
            ("wss", Some("https")),
            ("https, http", None),
            ("https ", None),
            ("ftp", None),
            ("", None),
        ] {
            assert_eq!(said_scheme(value.as_bytes()), scheme, "{value:?}");
        }
        for (value, host) in [
            ("a.test", true),
            ("a:80", true),
            ("[::1]:80", true),
            ("a, b", false),
            ("", false),
            ("a/b", false),
        ] {
            assert_eq!(is_said_host(value.as_bytes()), host, "{value:?}");
        }
        assert!(!is_said_host(b"\xff"));
        for (value, port) in [
            ("443", true),
            ("65535", true),
            ("65536", false),
            ("+80", false),
            ("80, 443", false),
            ("", false),
        ] {
            assert_eq!(is_said_port(value.as_bytes()), port, "{value:?}");
        }
    }
}
