//! The first bytes of a connection, and what they are the beginning of.

use core::ops::RangeInclusive;

/// What a connection's first bytes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sniffed {
    /// A request line of HTTP/1 (RFC 9112 §3).
    Http1,
    /// The preface of HTTP/2 (RFC 9113 §3.4).
    Http2,
    /// The first record of a TLS handshake, which begins a ClientHello (RFC 8446 §4, §5.1).
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
/// Whatever some server might take for a request is HTTP, so that it is read, and refused where it is out of order: empty lines before it
/// (RFC 9112 §2.2), odd spaces, versions that nobody knows. A token and a space begin a request until something proves otherwise: a target
/// that is none, a control character, a whole line without a version. `GET key\r\n` is a Redis command, `get /a\r\n` one of memcached.
/// More bytes never change a verdict: what lies beyond [`SNIFF_BYTES_MAX`] is not looked at.
pub fn sniff(bytes: &[u8]) -> Sniffed {
    let bytes = &bytes[..bytes.len().min(SNIFF_BYTES_MAX)];
    if PREFACE.starts_with(&bytes[..bytes.len().min(PREFACE.len())]) {
        return if bytes.len() >= PREFACE.len() { Sniffed::Http2 } else { Sniffed::More };
    }
    if bytes.first() == Some(&HANDSHAKE) {
        return sniff_client_hello(bytes);
    }
    let is_full = bytes.len() == SNIFF_BYTES_MAX;
    let line = skip(bytes, is_space);
    let (method, rest) = line.split_at(line.iter().take_while(|&&byte| is_token(byte)).count());
    match (method, rest) {
        ([], []) | (_, [] | [b'\r']) if is_full => Sniffed::Opaque,
        ([], []) | (_, [] | [b'\r']) => Sniffed::More,
        (_, [b'\n', ..] | [b'\r', b'\n', ..]) => Sniffed::Opaque, // a line of one word
        ([_, ..], [space, ..]) if is_space(*space) => sniff_target(method, rest, is_full),
        _ => Sniffed::Opaque,
    }
}

/// Whether a beginning that says [`Sniffed::More`] is worth waiting for, from a client that is slow: it begins a request that most servers
/// take. A single word of another kind, as `ruok`, is all that some clients say.
pub fn may_become_request(bytes: &[u8]) -> bool {
    let line = skip(bytes, is_space);
    let (method, rest) = line.split_at(line.iter().take_while(|&&byte| is_token(byte)).count());
    let begins = |known: &str| {
        known.as_bytes().get(..method.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(method))
    };
    match (method, rest) {
        ([], []) => !bytes.is_empty(),
        ([], _) => false,
        (_, []) => METHODS.iter().any(|known| begins(known)) || PREFACE.starts_with(bytes),
        (_, [_, ..]) => true,
    }
}

/// Tells a ClientHello from what has only its first byte: a server of HTTP may skip a few odd ones in front of a request.
fn sniff_client_hello(bytes: &[u8]) -> Sniffed {
    let number = |digits: &[u8]| digits.iter().fold(0, |sum, &digit| (sum << 8) | usize::from(digit));
    let may_be = match bytes {
        [_, major, ..] if *major != VERSION_MAJOR => false,
        [_, _, minor, ..] if *minor > VERSION_MINOR_MAX => false,
        [_, _, _, length @ ..] if length.len() >= 2 && !RECORD_BYTES.contains(&number(&length[..2])) => false,
        [_, _, _, _, _, kind, ..] if *kind != CLIENT_HELLO => false,
        [_, _, _, _, _, _, length @ ..] if length.len() >= 3 => {
            return if HELLO_BYTES.contains(&number(&length[..3])) { Sniffed::Tls } else { Sniffed::Opaque };
        }
        _ => true,
    };
    if may_be { Sniffed::More } else { Sniffed::Opaque }
}

/// Tells what a method, or a word that may be one, begins, by what follows its space.
fn sniff_target(method: &[u8], rest: &[u8], is_full: bool) -> Sniffed {
    let end = rest.iter().position(|&byte| byte == b'\n');
    let line = &rest[..end.unwrap_or(rest.len())];
    let target = skip(line, is_space);
    let is_known = METHODS.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(method));
    let is_exact = is_known && method.iter().all(u8::is_ascii_uppercase);
    let says_http = match target {
        [b'/' | b'*', ..] if is_exact => true,
        [first, ..] if !is_known && !may_begin_target(*first) => return Sniffed::Opaque,
        _ if line.iter().any(|&byte| is_control(byte)) => is_known,
        _ if end.is_some() => ends_like_request_line(target, method, is_known),
        _ if is_full => is_known || is_word(method),
        _ => return Sniffed::More,
    };
    if says_http { Sniffed::Http1 } else { Sniffed::Opaque }
}

/// Whether a version is where a request line has one, as what follows the first space of a line.
fn ends_like_request_line(rest: &[u8], method: &[u8], is_known: bool) -> bool {
    let mut words = rest.split(|&byte| is_space(byte)).filter(|word| !word.is_empty());
    let says_version = |word: &[u8]| word.get(..5).is_some_and(|begin| begin.eq_ignore_ascii_case(b"HTTP/"));
    if is_known {
        return words.any(says_version);
    }
    let is_number = |word: &[u8]| word[5..].iter().all(|&byte| byte.is_ascii_digit() || byte == b'.');
    let (last, others) = (words.next_back(), words.count());
    last.is_some_and(|last| says_version(last) && is_number(last)) && (others == 1 || is_word(method))
}

fn skip(bytes: &[u8], what: fn(u8) -> bool) -> &[u8] {
    &bytes[bytes.iter().take_while(|&&byte| what(byte)).count()..]
}

/// What some servers take for space (RFC 9112 §3), and for empty lines.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// One that is no space either.
fn is_control(byte: u8) -> bool {
    byte.is_ascii_control() && !is_space(byte)
}

/// Methods are tokens (RFC 9110 §5.6.2, §9.1).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Methods that are no known ones look like this, where they are more than an attempt.
fn is_word(method: &[u8]) -> bool {
    method.iter().all(|&byte| byte.is_ascii_alphabetic() || byte == b'-')
}

/// A path, a scheme, a host, an address in brackets, or `*` (RFC 9112 §3.2).
fn may_begin_target(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'*' | b'[' | b'%' | b'.' | b'_' | b'?')
}

/// Those of RFC 9110 §9.3 and RFC 5789.
const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];

/// The first line of the preface: no HTTP/1 request can begin with it.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n";

const HANDSHAKE: u8 = 0x16; // RFC 8446 §5.1
const VERSION_MAJOR: u8 = 0x03; // of all there is, RFC 8446 §5.1
const VERSION_MINOR_MAX: u8 = 0x04; // TLS 1.3
const CLIENT_HELLO: u8 = 0x01; // RFC 8446 §4

/// Of a record that is not encrypted and holds the head of a handshake message (RFC 8446 §4, §5.1).
const RECORD_BYTES: RangeInclusive<usize> = 4..=1 << 14;

/// From version, random, no session, one cipher suite and one compression method (RFC 8446 §4.1.2) on; as large as OpenSSL takes them.
const HELLO_BYTES: RangeInclusive<usize> = 41..=0x1_ffff;

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
    fn commands_of_other_protocols_are_not_http() {
        for line in [
            "GET key\r\n",
            "GET session:http://a/b\r\n",
            "SET a HTTP/x.y\r\n",
            "PING\r\n",
            "*1\r\n$4\r\nPING\r\n",
            "get /index.html\r\n",
            "get http://a/b\r\n",
            "set k 0 0 5\r\nhello\r\n",
            "CONNECT {\"verbose\":false}\r\n",
            "CONNECT\nhost:a\n",
            "SSH-2.0-OpenSSH_9.6 Debian\r\n",
            "local.random.diceroll 4 1700000000\n",
            "INVITE sip:a@b SIP/2.0\r\n",
            "DESCRIBE rtsp://a/b RTSP/1.0\r\n",
            "<?xml version='1.0'?>",
            "{\"id\":1}",
            "123 <34>1 2003-10-11T22:14:15Z host app - \"GET / HTTP/1.1\"",
            "10.0.0.1 - - [10/Oct/2000] \"GET / HTTP/1.1\" 200\n",
            "0032git-upload-pack /project\0",
            "AMQP\0\0\x09\x01",
            "0\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\0\u{80}\0",
        ] {
            check(line.as_bytes(), Sniffed::Opaque);
        }
    }

    #[test]
    fn what_a_server_might_take_for_a_request_is_http() {
        for line in [
            "\r\nGET / HTTP/1.1\r\n",
            "\r\n\r\n\nGET / HTTP/1.1\r\n",
            " GET / HTTP/1.1\r\n",
            "\x0cGET / HTTP/1.1\r\n",
            "get / HTTP/1.1\r\n",
            "Get / http/1.1\r\n",
            "GET  / HTTP/1.1\r\n",
            "GET\t/\tHTTP/1.1\r\n",
            "GET\x0b/ HTTP/1.1\r\n",
            "GET\r/ HTTP/1.1\r\n",
            "GET / HTTP/1.1 \r\n",
            "GET / HTTP/1.1 x\r\n",
            "GET / HTTP/3\r\n",
            "GET / HTTP/1.10\r\n",
            "GET / HTTP/ 1.1\r\n",
            "GET /a b HTTP/1.1\r\n",
            "get /a b HTTP/1.1\r\n",
            "get / HTTP/1.1 x\r\n",
            "GET /",
            "GET /\r\n",
            "GET /\0",
            "GET a\0",
            "GET *",
            "POST http://a/ HTTP/1.1\r\n",
            "FOO / HTTP/1.1\r\n",
            "FOO / HTTP/2.1\r\n",
            "FOO  /  HTTP/1.1\r\n",
            "M-SEARCH * HTTP/1.1\n",
            "X1_! / HTTP/1.1\r\n",
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA / HTTP/1.1\r\n",
            "\r\nPRI * HTTP/2.0\r\n",
        ] {
            check(line.as_bytes(), Sniffed::Http1);
        }
    }

    #[test]
    fn what_may_still_be_a_request_is_asked_for_more() {
        for begin in
            ["\r\n", "\r\n\r\nG", "GE", "get ", "get /", "FOO ", "FOO /", "ruok", " ", "CONNECT a:443 HT"]
        {
            check(begin.as_bytes(), Sniffed::More);
        }
    }

    #[test]
    fn half_a_known_method_is_waited_for_and_another_word_is_not() {
        for begin in ["\r\n", "G", "ge", "\r\nPO", "PRI", "get ", "FOO /", "DELETE"] {
            assert!(may_become_request(begin.as_bytes()), "{begin:?}");
        }
        for begin in ["", "ruok", "hello", "getx", "\x16"] {
            assert!(!may_become_request(begin.as_bytes()), "{begin:?}");
        }
    }

    #[test]
    fn tls_is_told_by_the_head_of_a_client_hello() {
        let hello = [0x16, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3];
        for end in 1..=hello.len() {
            check(&hello[..end], if end < 9 { Sniffed::More } else { Sniffed::Tls });
        }
        check(&[0x16, 3, 3, 0, 4, 1, 0, 6, 0], Sniffed::Tls); // a fragment of a large one
    }

    #[test]
    fn what_only_begins_like_tls_is_noise() {
        for bytes in [
            &[0x16, 2][..],
            &[0x16, 3, 5],
            &[0x16, 3, 1, 0x40, 1],
            &[0x16, 3, 1, 0, 3],
            &[0x16, 3, 1, 0, 200, 2],
            &[0x16, 3, 1, 0, 200, 1, 0, 0, 40],
            &[0x16, 3, 1, 0, 200, 1, 2, 0, 0],
            &[0x17, 3, 3],
            &[0, 0, 0, 8],
            b"\x16\x03GET / HTTP/1.1\r\n",
            b"\x16\x03\x01GET / HTTP/1.1\r\n",
            b"\x16\x03\r\nGET / HTTP/1.1\r\n",
        ] {
            check(bytes, Sniffed::Opaque);
        }
    }

    #[test]
    fn every_beginning_of_a_request_asks_for_more_until_it_is_one() {
        for (line, known) in [("DELETE /a?b=c HTTP/1.1\r\n", 8), ("FOO /a?b=c HTTP/1.1\r\n", 21)] {
            for end in 0..=line.len() {
                check(&line.as_bytes()[..end], if end < known { Sniffed::More } else { Sniffed::Http1 });
            }
        }
    }

    #[test]
    fn an_endless_request_line_is_http_that_will_be_refused() {
        let mut bytes = b"get /".to_vec();
        bytes.resize(SNIFF_BYTES_MAX - 1, b'a');
        check(&bytes, Sniffed::More);
        bytes.push(b'a');
        check(&bytes, Sniffed::Http1);
        bytes.fill(b'a');
        check(&bytes, Sniffed::Opaque);
        bytes.fill(b'\n');
        check(&bytes, Sniffed::Opaque);
    }
}
