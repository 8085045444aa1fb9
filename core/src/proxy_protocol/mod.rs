//! The PROXY protocol (S-20, S-30, S-31): what a header that came is worth, and what one that goes says of whom a connection is for.

use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;

use svc_proto::proxy_header::{
    Addresses, Header, Malformed, Origin, Step, Tlvs, Transport, Version, decode, encode_v1, encode_v2, kind,
};

use crate::address::canonical;
use crate::outcome::Failure;

mod result;

pub use result::ProxyHeaderResult;

/// Reads what a TCP connection begins with that must begin with a header.
///
/// # Errors
/// [`ProxyHeaderError::Missing`] or [`ProxyHeaderError::Malformed`]. A header of datagrams stands in each of them, and before no stream (§2.2).
pub fn read_header(bytes: &[u8]) -> Result<Step<Header<'_>>, ProxyHeaderError> {
    match decode(bytes) {
        Ok(Step::Done { value: Header { origin: Origin::Client(of), .. }, .. })
            if of.transport == Transport::Udp =>
        {
            Err(ProxyHeaderError::Malformed)
        }
        Ok(step) => Ok(step),
        Err(Malformed::NoHeader) => Err(ProxyHeaderError::Missing),
        Err(_) => Err(ProxyHeaderError::Malformed),
    }
}

/// Why a PROXY header is refused, so that nobody is believed to be behind the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyHeaderError {
    /// The peer may not speak for others.
    Untrusted,
    /// There is no header.
    Missing,
    /// There is one that is none.
    Malformed,
    /// It was not whole in time.
    Late,
}

impl From<ProxyHeaderError> for Failure {
    fn from(refusal: ProxyHeaderError) -> Failure {
        match refusal {
            ProxyHeaderError::Untrusted => Failure::Untrusted,
            ProxyHeaderError::Missing | ProxyHeaderError::Malformed | ProxyHeaderError::Late => {
                Failure::NoProxyHeader
            }
        }
    }
}

impl fmt::Display for ProxyHeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ProxyHeaderError::Untrusted => "the peer is no trusted proxy",
            ProxyHeaderError::Missing => "there is none",
            ProxyHeaderError::Malformed => "it is malformed",
            ProxyHeaderError::Late => "it was not whole in time",
        })
    }
}

/// The header that a connection for `origin` begins with, which passes on `tlvs`, those of a header that came.
///
/// Version 1 has no words for addresses of two families, and says `UNKNOWN` as HAProxy does; version 2 writes them as IPv6. A checksum is
/// made anew where there was one.
pub fn header(version: Version, origin: Origin, tlvs: Tlvs<'_>) -> Vec<u8> {
    match version {
        Version::V1 => encode_v1(told_in_v1(origin)).into_bytes(),
        Version::V2 => {
            let checksum = tlvs.get(kind::CRC32C).is_some();
            let whole = encode_v2(origin, tlvs.iter(), checksum);
            // Those of a header of the greatest length may not fit beside addresses that are longer than its own were.
            whole.unwrap_or_else(|_| encode_v2(origin, [], checksum).expect("60 bytes fit"))
        }
    }
}

fn told_in_v1(origin: Origin) -> Option<(SocketAddr, SocketAddr)> {
    match origin {
        Origin::Local | Origin::Unknown => None,
        Origin::Client(Addresses { source, destination, .. }) => {
            Some((source, destination)).filter(|_| source.is_ipv4() == destination.is_ipv4())
        }
    }
}

/// Whom a connection is for whose client nobody has spoken for: `client`, which came to us for `destination`. `near` is our own end of the
/// connection to the endpoint.
///
/// A loopback address is true within this pod only, and another pod might take it for its own: a client there is this pod, as the endpoint
/// sees it.
pub fn of_client(client: SocketAddr, destination: SocketAddr, near: SocketAddr) -> Origin {
    let client = canonical(client);
    let is_pod = client.ip().is_loopback() && !near.ip().to_canonical().is_loopback();
    let source = if is_pod { SocketAddr::new(near.ip().to_canonical(), client.port()) } else { client };
    Origin::Client(Addresses { source, destination: canonical(destination), transport: Transport::Tcp })
}

/// The header that each datagram of a client begins with, which came to us for `destination`: of version 2, for version 1 has no words
/// for datagrams (§2.1).
pub fn of_datagrams(client: SocketAddr, destination: SocketAddr, near: SocketAddr) -> Vec<u8> {
    let origin = match of_client(client, destination, near) {
        Origin::Client(of) => Origin::Client(Addresses { transport: Transport::Udp, ..of }),
        origin @ (Origin::Local | Origin::Unknown) => origin,
    };
    header(Version::V2, origin, Tlvs::NONE)
}

#[cfg(test)]
mod tests {
    use alloc::string::String;
    use std::vec;

    use svc_proto::proxy_header::{HEADER_BYTES_MAX, Step, Tlv, decode};

    use super::*;

    fn of(client: &str, destination: &str, near: &str) -> Origin {
        of_client(client.parse().unwrap(), destination.parse().unwrap(), near.parse().unwrap())
    }

    /// The header of version 1 for a client that came to us so.
    fn line(client: &str, destination: &str, near: &str) -> String {
        let header = header(Version::V1, of(client, destination, near), Tlvs::NONE);
        String::from_utf8(header).unwrap()
    }

    /// Reads `header` back.
    fn read<T>(header: &[u8], see: impl FnOnce(Origin, Tlvs<'_>) -> T) -> T {
        match decode(header) {
            Ok(Step::Done { value, used }) if used == header.len() => see(value.origin, value.tlvs),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn datagrams_say_that_they_are_none_of_a_stream() {
        let [client, destination, near] =
            ["127.0.0.1:4711", "10.96.0.53:53", "10.1.0.2:999"].map(|addr| addr.parse().unwrap());
        let header = of_datagrams(client, destination, near);
        assert_eq!(header.len(), 28);
        read(&header, |origin, _| {
            let source = "10.1.0.2:4711".parse().unwrap();
            let of = Addresses { source, destination, transport: Transport::Udp };
            assert_eq!(origin, Origin::Client(of));
        });
        assert_eq!(read_header(&header), Err(ProxyHeaderError::Malformed));
    }

    #[test]
    fn version_1_tells_where_a_client_came_from_and_where_it_was_going() {
        for (client, destination, near, expected) in [
            ("10.1.0.2:4711", "10.96.0.10:80", "10.1.0.2:999", "TCP4 10.1.0.2 10.96.0.10 4711 80"),
            (
                "[::ffff:10.1.0.2]:4711",
                "[::ffff:10.96.0.10]:80",
                "10.1.0.2:9",
                "TCP4 10.1.0.2 10.96.0.10 4711 80",
            ),
            ("[fd00::2]:4711", "[fd00::a]:80", "10.1.0.2:999", "TCP6 fd00::2 fd00::a 4711 80"),
            ("127.0.0.1:4711", "10.96.0.10:80", "10.1.0.2:999", "TCP4 10.1.0.2 10.96.0.10 4711 80"),
            ("[::1]:4711", "[fd00::a]:80", "[fd00::2]:999", "TCP6 fd00::2 fd00::a 4711 80"),
            ("127.0.0.5:4711", "10.96.0.10:80", "127.0.0.1:999", "TCP4 127.0.0.5 10.96.0.10 4711 80"),
            ("[fd00::2]:4711", "10.96.0.10:80", "10.1.0.2:999", "UNKNOWN"),
        ] {
            assert_eq!(line(client, destination, near), std::format!("PROXY {expected}\r\n"), "{client}");
        }
    }

    #[test]
    fn version_2_maps_an_ipv4_address_beside_an_ipv6_one() {
        let header = header(Version::V2, of("[fd00::2]:4711", "10.96.0.10:80", "10.1.0.2:9"), Tlvs::NONE);
        read(&header, |origin, _| {
            let Origin::Client(Addresses { source, destination, .. }) = origin else { panic!("{origin:?}") };
            assert_eq!(source, "[fd00::2]:4711".parse().unwrap());
            assert_eq!(destination, "[::ffff:10.96.0.10]:80".parse().unwrap());
        });
    }

    #[test]
    fn a_stream_begins_with_a_header_of_a_stream() {
        let [from, to] = ["192.0.2.1:1", "192.0.2.2:2"].map(|addr| addr.parse().unwrap());
        let of = |transport| Origin::Client(Addresses { source: from, destination: to, transport });
        let header = |transport| encode_v2(of(transport), [], false).unwrap();
        assert!(matches!(read_header(&header(Transport::Tcp)), Ok(Step::Done { used: 28, .. })));
        for (bytes, refusal) in [
            (&header(Transport::Udp)[..], ProxyHeaderError::Malformed),
            (b"PROXY TCP4 \r\n", ProxyHeaderError::Malformed),
            (b"GET / HTTP/1.1\r\n", ProxyHeaderError::Missing),
            (b"POST", ProxyHeaderError::Missing),
        ] {
            assert_eq!(read_header(bytes), Err(refusal), "{bytes:?}");
        }
        assert!(matches!(read_header(b"P"), Ok(Step::More { .. })));
    }

    #[test]
    fn nobody_is_told_as_nobody() {
        for origin in [Origin::Local, Origin::Unknown] {
            assert_eq!(header(Version::V1, origin, Tlvs::NONE), b"PROXY UNKNOWN\r\n");
            read(&header(Version::V2, origin, Tlvs::NONE), |read, _| assert_eq!(read, origin));
        }
    }

    #[test]
    fn what_a_header_said_beside_addresses_is_passed_on_with_a_checksum_of_its_own() {
        let [from, to] = ["192.0.2.1:1", "192.0.2.2:2"].map(|addr| addr.parse().unwrap());
        let origin =
            |source| Origin::Client(Addresses { source, destination: to, transport: Transport::Tcp });
        let said =
            [Tlv { kind: kind::AWS, value: b"\x01vpce-1" }, Tlv { kind: kind::AUTHORITY, value: b"a.test" }];
        for checksum in [false, true] {
            let came = encode_v2(origin(from), said, checksum).unwrap();
            let goes = read(&came, |_, tlvs| header(Version::V2, origin(to), tlvs));
            read(&goes, |passed_on, tlvs| {
                assert_eq!(passed_on, origin(to));
                let kept: Vec<_> = tlvs.iter().filter(|tlv| tlv.kind != kind::CRC32C).collect();
                assert_eq!(kept, said);
                assert_eq!(tlvs.get(kind::CRC32C).is_some(), checksum);
            });
        }
    }

    #[test]
    fn what_does_not_fit_beside_longer_addresses_is_left_out() {
        let full = vec![0; HEADER_BYTES_MAX - 16 - 3];
        let came = encode_v2(Origin::Unknown, [Tlv { kind: 0xe0, value: &full }], false).unwrap();
        let goes =
            read(&came, |_, tlvs| header(Version::V2, of("192.0.2.1:1", "192.0.2.2:2", "192.0.2.3:3"), tlvs));
        read(&goes, |origin, tlvs| {
            assert_eq!((origin, tlvs), (of("192.0.2.1:1", "192.0.2.2:2", "192.0.2.3:3"), Tlvs::NONE));
        });
    }
}
