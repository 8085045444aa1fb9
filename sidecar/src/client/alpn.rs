//! What a client agreed to in its TLS handshake (ALPN, RFC 7301) binds it.

use std::future::poll_fn;

use svc_core::outcome::Failure;
use svc_core::sniff::Sniffed;
use tokio::io::AsyncWriteExt as _;

use super::detect::Detected;
use crate::net::linger::Linger;
use crate::net::stream::Stream;

/// What a client is told that says something else than it has agreed to; nothing when it does not.
pub(crate) fn breach(agreed: Option<&[u8]>, detected: &Detected) -> Option<&'static [u8]> {
    let speaks_http2 = detected.protocol == Sniffed::Http2;
    match agreed {
        Some(b"h2") if !speaks_http2 && !detected.read.is_empty() => Some(GOAWAY),
        Some(b"http/1.1") if speaks_http2 => Some(BAD_REQUEST),
        Some(_) | None => None,
    }
}

/// Ends the connection of such a client with what it is told.
pub(crate) async fn refuse(mut stream: Stream, proxy_header: &'static [u8]) -> Result<(), Failure> {
    let _ = stream.write_all(proxy_header).await; // if it is gone, it is gone
    let _ = stream.shutdown().await;
    let mut linger = Linger::new(true); // what it has sent on must not keep it from hearing that
    poll_fn(|cx| linger.poll(stream.tcp(), cx)).await;
    Err(Failure::BadRequest)
}

/// SETTINGS that change nothing, and GOAWAY with PROTOCOL_ERROR: a preface that is none is a connection error (RFC 9113 §3.4, §6.8).
const GOAWAY: &[u8] = &[
    0, 0, 0, 0x4, 0, 0, 0, 0, 0, // SETTINGS
    0, 0, 8, 0x7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, // GOAWAY
];

/// To a client that begins HTTP/2 where HTTP/1.1 was agreed on.
const BAD_REQUEST: &[u8] = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\
    Proxy-Status: svcmesh; error=http_request_error; details=\"the request is malformed or ambiguous\"\r\n\r\n";

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[track_caller]
    fn check(agreed: Option<&[u8]>, protocol: Sniffed, proxy_header: Option<&[u8]>) {
        let detected =
            Detected { protocol, read: Bytes::from_static(b"a"), timed_out: false, is_gone: false };
        assert_eq!(breach(agreed, &detected), proxy_header);
    }

    #[test]
    fn what_was_agreed_on_is_all_that_is_spoken() {
        for other in [Sniffed::Http1, Sniffed::Tls, Sniffed::Opaque] {
            check(Some(b"h2"), other, Some(GOAWAY));
            check(Some(b"http/1.1"), other, None);
            check(None, other, None);
        }
        check(Some(b"h2"), Sniffed::Http2, None);
        check(Some(b"http/1.1"), Sniffed::Http2, Some(BAD_REQUEST));
        check(None, Sniffed::Http2, None);
    }
}
