//! The PROXY protocol, versions 1 and 2: bytes ↔ values (S-20, S-30). Sections are those of HAProxy's `proxy-protocol.txt`.
//!
//! A header stands before the first byte of a connection (or in each datagram) and says who opened it where. It is believed from trusted
//! peers only; whether a peer is one, and whether there must be a header, is decided elsewhere.

use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;

mod tlv;
mod v1;
mod v2;

#[cfg(test)]
mod tests;

pub use tlv::{Ssl, Tlv, Tlvs, kind};
pub use v1::{LINE_BYTES_MAX, encode_v1};
pub use v2::{HEADER_BYTES_MAX, SIGNATURE, encode_v2};

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// Which version it is written in.
    pub version: Version,
    /// Whom the connection is for.
    pub origin: Origin,
    /// What else it says; nothing in version 1.
    pub tlvs: Tlvs<'a>,
}

/// The version of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// A line of text (§2.1).
    V1,
    /// Binary (§2.2).
    V2,
}

/// Whom a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The proxy's own (a health check): the connection's own addresses are right, whatever else the header says (`LOCAL`).
    Local,
    /// Somebody's whose addresses the proxy cannot tell (`UNKNOWN`, `UNSPEC`, a UNIX socket): the connection's own stand in.
    Unknown,
    /// This client's.
    Client(Addresses),
}

/// Who opened a connection, where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Addresses {
    /// The client. Of the same family as `destination`.
    pub source: SocketAddr,
    /// What it opened the connection to.
    pub destination: SocketAddr,
    /// What it speaks.
    pub transport: Transport,
}

/// What is carried between a header's addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// `STREAM`.
    Tcp,
    /// `DGRAM`.
    Udp,
}

/// How far a decoder got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<T> {
    /// A value, and how many bytes it took.
    Done {
        /// The value.
        value: T,
        /// The bytes that belong to it; what follows is the connection's own.
        used: usize,
    },
    /// What there is begins a value; at least `need` more bytes must come to tell.
    More {
        /// At least 1.
        need: usize,
    },
}

/// Reads the header that `bytes` begin with, of either version.
///
/// # Errors
/// They begin no header: whoever sent them speaks something else, or wrongly. Nothing in them may be believed.
pub fn decode(bytes: &[u8]) -> Result<Step<Header<'_>>, Malformed> {
    match bytes.first() {
        None => Ok(Step::More { need: v1::LINE_BYTES_MIN }),
        Some(b'P') => v1::decode(bytes),
        Some(_) => v2::decode(bytes),
    }
}

/// Why bytes are no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Malformed {
    /// They begin neither as version 1 nor as version 2.
    NoHeader,
    /// Version 1: no CR LF within the longest line.
    LineTooLong,
    /// Version 1: a CR or LF elsewhere than at the end.
    LineEnd,
    /// Version 1: not `TCP4`, `TCP6` or `UNKNOWN`, with one space between what follows.
    Protocol,
    /// Version 1: not an address of the family that the line names.
    Address,
    /// Version 1: not a port as a decimal number from 0 to 65535, without sign or zeros before it.
    Port,
    /// Version 2: another version in the 13th byte.
    Version,
    /// Version 2: a command other than `LOCAL` and `PROXY`.
    Command,
    /// Version 2: an address family or a transport that there is not.
    Family,
    /// Version 2: longer than [`HEADER_BYTES_MAX`].
    TooLong,
    /// Version 2: shorter than the addresses that its family has.
    AddressesCut,
    /// Version 2: a TLV that goes beyond the header, or a rest that is no TLV.
    TlvCut,
    /// Version 2: the CRC-32C does not match.
    Checksum,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Malformed::NoHeader => "no PROXY header",
            Malformed::LineTooLong => "the PROXY line is longer than 107 bytes",
            Malformed::LineEnd => "the PROXY line must end with CR LF and have neither before",
            Malformed::Protocol => "the PROXY line must name TCP4, TCP6 or UNKNOWN",
            Malformed::Address => "the PROXY line has an address that is none of its family",
            Malformed::Port => "the PROXY line has a port that is no number from 0 to 65535",
            Malformed::Version => "the PROXY header is of an unknown version",
            Malformed::Command => "the PROXY header has an unknown command",
            Malformed::Family => "the PROXY header has an unknown address family or transport",
            Malformed::TooLong => "the PROXY header is longer than 16 KiB",
            Malformed::AddressesCut => "the PROXY header is shorter than its addresses",
            Malformed::TlvCut => "the PROXY header ends within a TLV",
            Malformed::Checksum => "the PROXY header does not match its CRC-32C",
        })
    }
}

impl core::error::Error for Malformed {}

/// `source` and `destination` in one family, as headers want them: an IPv4 address beside an IPv6 one is written as IPv6 (RFC 4291 §2.5.5.2).
fn same_family(source: SocketAddr, destination: SocketAddr) -> (SocketAddr, SocketAddr) {
    if source.is_ipv4() == destination.is_ipv4() {
        return (source, destination);
    }
    let widen = |addr: SocketAddr| match addr {
        SocketAddr::V4(v4) => SocketAddr::from((v4.ip().to_ipv6_mapped(), v4.port())),
        SocketAddr::V6(_) => addr,
    };
    (widen(source), widen(destination))
}

/// A growing header.
type Bytes = Vec<u8>;
