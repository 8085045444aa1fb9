//! The first bytes of a connection, and what they are the beginning of.

/// What a connection's first bytes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sniffed {
    /// A request line of HTTP/1 (RFC 9112 §3).
    Http1,
    /// The preface of HTTP/2 (RFC 9113 §3.4).
    Http2,
    /// The first record of a TLS handshake (RFC 8446 §5.1).
    Tls,
    /// Anything else.
    Opaque,
    /// Too early to tell: ask again with more.
    More,
}

/// The longest beginning that is looked at. An HTTP/1 request line that is longer is taken for HTTP, to be refused as such.
/// 10_000 connections × 4 KiB = 40 MiB at the very worst.
pub const SNIFF_BYTES_MAX: usize = 4096;

/// Tells a protocol by its first bytes.
///
/// A first line counts as HTTP/1 only when it is whole and ends in ` HTTP/1.x`: `GET key\r\n` is a Redis command too.
/// More bytes never change a verdict: what lies beyond [`SNIFF_BYTES_MAX`] is not looked at.
pub fn sniff(bytes: &[u8]) -> Sniffed {
    let bytes = &bytes[..bytes.len().min(SNIFF_BYTES_MAX)];
    if PREFACE.starts_with(&bytes[..bytes.len().min(PREFACE.len())]) {
        return if bytes.len() >= PREFACE.len() { Sniffed::Http2 } else { Sniffed::More };
    }
    match bytes {
        [HANDSHAKE] => return Sniffed::More,
        [HANDSHAKE, VERSION_MAJOR, ..] => return Sniffed::Tls,
        _ => {}
    }
    let Some(end) = bytes.iter().position(|&byte| byte == b'\n') else {
        return match plausible_request_line(bytes) {
            false => Sniffed::Opaque,
            true if bytes.len() < SNIFF_BYTES_MAX => Sniffed::More,
            true => Sniffed::Http1,
        };
    };
    let line = bytes[..end].strip_suffix(b"\r").unwrap_or(&bytes[..end]);
    match line {
        [head @ .., b' ', b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor]
            if minor.is_ascii_digit() && plausible_request_line(head) =>
        {
            Sniffed::Http1
        }
        _ => Sniffed::Opaque,
    }
}

/// Whether `bytes` may begin a request line: a method, a space, a target without control characters.
fn plausible_request_line(bytes: &[u8]) -> bool {
    let method_bytes = bytes.iter().take_while(|byte| is_method_byte(**byte)).count();
    match bytes.get(method_bytes) {
        None => method_bytes <= METHOD_BYTES_MAX,
        Some(b' ') => {
            (1..=METHOD_BYTES_MAX).contains(&method_bytes)
                && bytes[method_bytes..].iter().all(|byte| !byte.is_ascii_control() || *byte == b'\r')
        }
        Some(_) => false,
    }
}

/// Methods are tokens (RFC 9110 §9.1); those in use are letters and `-`, and narrower is safer here.
fn is_method_byte(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'-'
}

/// The first line of the preface: no HTTP/1 request can begin with it.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n";

const HANDSHAKE: u8 = 0x16; // RFC 8446 §5.1
const VERSION_MAJOR: u8 = 0x03; // of all there is, RFC 8446 §5.1

/// The longest registered method, `UPDATEREDIRECTREF`, has 17 letters.
const METHOD_BYTES_MAX: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], expected: Sniffed) {
        assert_eq!(sniff(bytes), expected, "{:?}", alloc::string::String::from_utf8_lossy(bytes));
    }

    #[test]
    fn a_whole_request_line_is_http1() {
        check(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", Sniffed::Http1);
        check(b"OPTIONS * HTTP/1.0\n", Sniffed::Http1);
        check(b"M-SEARCH * HTTP/1.1\r\n", Sniffed::Http1);
        check(b"CONNECT a:443 HTTP/1.1\r\n", Sniffed::Http1);
    }

    #[test]
    fn a_lone_p_could_be_post_or_the_preface() {
        check(b"P", Sniffed::More);
        check(b"PR", Sniffed::More);
        check(b"PRI * HTTP/2.0\r", Sniffed::More);
        check(b"PRI * HTTP/2.0\r\n", Sniffed::Http2);
        check(b"PRI * HTTP/1.1\r\n", Sniffed::Http1);
    }

    #[test]
    fn a_redis_command_is_not_http() {
        check(b"GET key\r\n", Sniffed::Opaque);
        check(b"PING\r\n", Sniffed::Opaque);
        check(b"*1\r\n$4\r\nPING\r\n", Sniffed::Opaque);
        check(b"SET a HTTP/1.\r\n", Sniffed::Opaque);
    }

    #[test]
    fn tls_is_told_from_noise_by_two_bytes() {
        check(&[0x16], Sniffed::More);
        check(&[0x16, 0x03], Sniffed::Tls);
        check(&[0x16, 0x03, 0x01, 0x02], Sniffed::Tls);
        check(&[0x16, 0x02], Sniffed::Opaque);
        check(&[0x17, 0x03, 0x03], Sniffed::Opaque);
        check(&[0, 0, 0, 8], Sniffed::Opaque);
        check(b" GET / HTTP/1.1\r\n", Sniffed::Opaque);
        check(b"\r\n", Sniffed::Opaque);
    }

    #[test]
    fn every_beginning_of_a_request_asks_for_more() {
        let line = b"DELETE /a?b=c HTTP/1.1\r\n";
        for end in 0..line.len() - 1 {
            check(&line[..end], Sniffed::More);
        }
        check(line, Sniffed::Http1);
    }

    #[test]
    fn an_endless_request_line_is_http_that_will_be_refused() {
        let mut bytes = b"GET /".to_vec();
        bytes.resize(SNIFF_BYTES_MAX, b'a');
        check(&bytes, Sniffed::Http1);
        bytes.fill(b'a');
        check(&bytes, Sniffed::Opaque);
    }
}
