//! Version 2: a signature, what it is about, its length, addresses, TLVs (§2.2).

use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use super::tlv::{self, Tlv, Tlvs};
use super::{Addresses, Bytes, Header, Malformed, Origin, Step, Transport, Version, same_family};

/// What a header begins with: nothing that any other protocol would.
pub const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// The longest header that is read. The field allows 64 KiB; HAProxy reads 16 KiB at most, and nobody is known to send more than a few
/// hundred bytes. 10,000 connections × 16 KiB = 160 MiB if every trusted peer filled its own.
pub const HEADER_BYTES_MAX: usize = 16 * 1024;

/// Before the addresses: signature, version and command, family and transport, length.
const FIXED_BYTES: usize = 16;

/// Reads a header. Nothing is waited for that could not become right.
pub(super) fn decode(bytes: &[u8]) -> Result<Step<Header<'_>>, Malformed> {
    let known = bytes.len().min(SIGNATURE.len());
    if bytes[..known] != SIGNATURE[..known] {
        return Err(Malformed::NoHeader);
    }
    let local = bytes.get(12).map(|&byte| is_local(byte)).transpose()?;
    let (Some(local), [_, _, _, _, _, _, _, _, _, _, _, _, _, family, high, low, ..]) = (local, bytes) else {
        return Ok(Step::More { need: FIXED_BYTES - bytes.len() });
    };
    let used = FIXED_BYTES + usize::from(u16::from_be_bytes([*high, *low]));
    if used > HEADER_BYTES_MAX {
        return Err(Malformed::TooLong);
    }
    let Some(header) = bytes.get(..used) else {
        return Ok(Step::More { need: used - bytes.len() });
    };
    let (origin, tlvs) = match local {
        true => (Origin::Local, Tlvs::NONE), // the rest is to be skipped, unread
        false => proxied(*family, header)?,
    };
    Ok(Step::Done { value: Header { version: Version::V2, origin, tlvs }, used })
}

fn is_local(version_and_command: u8) -> Result<bool, Malformed> {
    match (version_and_command >> 4, version_and_command & 0x0f) {
        (0x2, 0x0) => Ok(true),
        (0x2, 0x1) => Ok(false),
        (0x2, _) => Err(Malformed::Command),
        (_, _) => Err(Malformed::Version),
    }
}

fn proxied(family: u8, header: &[u8]) -> Result<(Origin, Tlvs<'_>), Malformed> {
    let transport = match family & 0x0f {
        0x0 => None,
        0x1 => Some(Transport::Tcp),
        0x2 => Some(Transport::Udp),
        _ => return Err(Malformed::Family),
    };
    let rest = &header[FIXED_BYTES..];
    let (addresses, rest) = match family >> 4 {
        0x0 => (None, rest), // AF_UNSPEC
        0x1 => take(rest, |block: &[u8; 12]| Some(inet(block)))?,
        0x2 => take(rest, |block: &[u8; 36]| Some(inet6(block)))?,
        0x3 => take(rest, |_: &[u8; 216]| None)?, // AF_UNIX: nothing that a peer of ours could be called
        _ => return Err(Malformed::Family),
    };
    let origin = match (addresses, transport) {
        (Some((source, destination)), Some(transport)) => {
            Origin::Client(Addresses { source, destination, transport })
        }
        (None, _) | (_, None) => Origin::Unknown,
    };
    let tlvs = Tlvs::read(rest)?;
    tlv::verify(header, rest.len(), tlvs)?;
    Ok((origin, tlvs))
}

type Pair = (SocketAddr, SocketAddr);

fn take<const N: usize>(
    rest: &[u8],
    read: impl FnOnce(&[u8; N]) -> Option<Pair>,
) -> Result<(Option<Pair>, &[u8]), Malformed> {
    let (block, rest) = rest.split_first_chunk().ok_or(Malformed::AddressesCut)?;
    Ok((read(block), rest))
}

fn inet(block: &[u8; 12]) -> Pair {
    let [a, b, c, d, e, f, g, h, source_high, source_low, high, low] = *block;
    (
        SocketAddr::from((Ipv4Addr::new(a, b, c, d), u16::from_be_bytes([source_high, source_low]))),
        SocketAddr::from((Ipv4Addr::new(e, f, g, h), u16::from_be_bytes([high, low]))),
    )
}

fn inet6(block: &[u8; 36]) -> Pair {
    let address = |at: usize| {
        let octets: [u8; 16] = block[at..at + 16].try_into().expect("the block holds two of them");
        Ipv6Addr::from(octets)
    };
    let port = |at: usize| u16::from_be_bytes([block[at], block[at + 1]]);
    (SocketAddr::from((address(0), port(32))), SocketAddr::from((address(16), port(34))))
}

/// The header of a connection for `origin`, with `tlvs` in their order. With `checksum` a CRC-32C is added, and one among `tlvs`, which
/// was another header's, is left out either way.
///
/// # Errors
/// [`Malformed::TooLong`]: the TLVs do not fit, together or one of them.
pub fn encode_v2<'a>(
    origin: Origin,
    tlvs: impl IntoIterator<Item = Tlv<'a>>,
    checksum: bool,
) -> Result<Bytes, Malformed> {
    let mut header = Bytes::with_capacity(64);
    header.extend_from_slice(&SIGNATURE);
    match origin {
        Origin::Local => header.extend_from_slice(&[0x20, 0x00, 0, 0]),
        Origin::Unknown => header.extend_from_slice(&[0x21, 0x00, 0, 0]),
        Origin::Client(addresses) => push_addresses(&mut header, addresses),
    }
    for tlv in tlvs.into_iter().filter(|tlv| tlv.kind != tlv::kind::CRC32C) {
        tlv.push(&mut header)?;
    }
    if checksum {
        Tlv { kind: tlv::kind::CRC32C, value: &[0; 4] }.push(&mut header)?;
    }
    if header.len() > HEADER_BYTES_MAX {
        return Err(Malformed::TooLong);
    }
    let length = u16::try_from(header.len() - FIXED_BYTES).expect("16 KiB at most");
    header[14..16].copy_from_slice(&length.to_be_bytes());
    if checksum {
        let crc = tlv::crc(&header).to_be_bytes();
        *header.last_chunk_mut().expect("the checksum is its end") = crc;
    }
    Ok(header)
}

fn push_addresses(header: &mut Bytes, addresses: Addresses) {
    let (source, destination) = same_family(addresses.source, addresses.destination);
    let transport = match addresses.transport {
        Transport::Tcp => 0x01,
        Transport::Udp => 0x02,
    };
    let family = if source.is_ipv4() { 0x10 } else { 0x20 };
    header.extend_from_slice(&[0x21, family | transport, 0, 0]);
    for addr in [source, destination] {
        match addr {
            SocketAddr::V4(v4) => header.extend_from_slice(&v4.ip().octets()),
            SocketAddr::V6(v6) => header.extend_from_slice(&v6.ip().octets()),
        }
    }
    for addr in [source, destination] {
        header.extend_from_slice(&addr.port().to_be_bytes());
    }
}
