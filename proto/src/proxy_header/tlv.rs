//! What a version 2 header says beside its addresses (§2.2.1 to §2.2.8): type, length, value.

use crc::{CRC_32_ISCSI, Crc, NoTable};

use super::{Bytes, Malformed};

/// Types that have a name.
pub mod kind {
    /// The protocol that TLS agreed on.
    pub const ALPN: u8 = 0x01;
    /// The host that the client asked TLS for.
    pub const AUTHORITY: u8 = 0x02;
    /// CRC-32C of the header.
    pub const CRC32C: u8 = 0x03;
    /// Nothing: padding.
    pub const NOOP: u8 = 0x04;
    /// An identity of the connection, 128 bytes at most.
    pub const UNIQUE_ID: u8 = 0x05;
    /// How the client's connection is encrypted: see [`Ssl`](super::Ssl).
    pub const SSL: u8 = 0x20;
    /// The network namespace.
    pub const NETNS: u8 = 0x30;
    /// Amazon's: sub-type 1 is the id of a VPC endpoint.
    pub const AWS: u8 = 0xea;
}

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tlv<'a> {
    /// One of [`kind`], or another.
    pub kind: u8,
    /// Its bytes.
    pub value: &'a [u8],
}

impl Tlv<'_> {
    pub(super) fn push(&self, header: &mut Bytes) -> Result<(), Malformed> {
        let length = u16::try_from(self.value.len()).map_err(|_| Malformed::TooLong)?;
        header.push(self.kind);
        header.extend_from_slice(&length.to_be_bytes());
        header.extend_from_slice(self.value);
        Ok(())
    }
}

/// All of a header, in their order; read once, so that each is whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tlvs<'a>(&'a [u8]);

impl<'a> Tlvs<'a> {
    /// None.
    pub const NONE: Tlvs<'static> = Tlvs(&[]);

    pub(super) fn read(bytes: &'a [u8]) -> Result<Tlvs<'a>, Malformed> {
        let mut rest = bytes;
        while !rest.is_empty() {
            (_, rest) = split(rest).ok_or(Malformed::TlvCut)?;
        }
        Ok(Tlvs(bytes))
    }

    /// One after the other.
    pub fn iter(self) -> impl Iterator<Item = Tlv<'a>> {
        let mut rest = self.0;
        core::iter::from_fn(move || {
            let (tlv, after) = split(rest)?;
            rest = after;
            Some(tlv)
        })
    }

    /// The first of a type: a second one, which a client may have smuggled in behind it, is not believed.
    pub fn get(self, kind: u8) -> Option<&'a [u8]> {
        self.iter().find(|tlv| tlv.kind == kind).map(|tlv| tlv.value)
    }
}

fn split(bytes: &[u8]) -> Option<(Tlv<'_>, &[u8])> {
    let ([kind, high, low], rest) = bytes.split_first_chunk()?;
    let (value, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([*high, *low])))?;
    Some((Tlv { kind: *kind, value }, rest))
}

/// How the client's connection is encrypted (§2.2.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ssl<'a> {
    /// It is encrypted.
    pub encrypted: bool,
    /// The client has shown a certificate, on this connection or on the session that it resumes.
    pub certificate: bool,
    /// And that certificate was verified.
    pub verified: bool,
    /// Version, common name, cipher, …: types `0x21` to `0x25`.
    pub details: Tlvs<'a>,
}

impl<'a> Ssl<'a> {
    /// Reads the value of a [`kind::SSL`].
    ///
    /// # Errors
    /// [`Malformed::TlvCut`].
    pub fn read(value: &'a [u8]) -> Result<Ssl<'a>, Malformed> {
        let ([client, verify @ ..], details) = value.split_first_chunk::<5>().ok_or(Malformed::TlvCut)?;
        let certificate = client & 0x06 != 0; // PP2_CLIENT_CERT_CONN, PP2_CLIENT_CERT_SESS
        Ok(Ssl {
            encrypted: client & 0x01 != 0,
            certificate,
            verified: certificate && *verify == [0; 4],
            details: Tlvs::read(details)?,
        })
    }
}

/// Checks the CRC-32C of a header whose last `tlvs_bytes` are `tlvs`, where there is one (§2.2.3).
pub(super) fn verify(header: &[u8], tlvs_bytes: usize, tlvs: Tlvs<'_>) -> Result<(), Malformed> {
    let mut at = header.len() - tlvs_bytes;
    for tlv in tlvs.iter() {
        let value_at = at + 3;
        at = value_at + tlv.value.len();
        if tlv.kind == kind::CRC32C {
            let told: [u8; 4] = tlv.value.try_into().map_err(|_| Malformed::Checksum)?;
            let parts = [&header[..value_at], &[0; 4], &header[at..]];
            return if crc_of(&parts) == u32::from_be_bytes(told) {
                Ok(())
            } else {
                Err(Malformed::Checksum)
            };
        }
    }
    Ok(())
}

/// Of a header whose checksum is still zero.
pub(super) fn crc(header: &[u8]) -> u32 {
    crc_of(&[header])
}

fn crc_of(parts: &[&[u8]]) -> u32 {
    let mut digest = CRC.digest();
    parts.iter().for_each(|part| digest.update(part));
    digest.finalize()
}

/// Without a table: a header is short, and most have no checksum.
const CRC: Crc<u32, NoTable> = Crc::<u32, NoTable>::new(&CRC_32_ISCSI);
