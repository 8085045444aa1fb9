//! Version 1: `PROXY TCP4 192.0.2.202 10.0.42.7 12345 7\r\n` (§2.1).

use alloc::format;
use alloc::string::String;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::str::FromStr;

use super::{Addresses, Header, Malformed, Origin, Step, Tlvs, Transport, Version, same_family};

/// The longest line, its CR LF included: `PROXY UNKNOWN ffff:…:ffff ffff:…:ffff 65535 65535\r\n`.
pub const LINE_BYTES_MAX: usize = 107;

/// The shortest one: `PROXY UNKNOWN\r\n`.
pub(super) const LINE_BYTES_MIN: usize = 15;

const BEGINNING: &[u8] = b"PROXY ";

/// Reads a line. Only what is a line so far is waited for.
pub(super) fn decode(bytes: &[u8]) -> Result<Step<Header<'_>>, Malformed> {
    let known = bytes.len().min(BEGINNING.len());
    if bytes[..known] != BEGINNING[..known] {
        return Err(Malformed::NoHeader);
    }
    let window = &bytes[..bytes.len().min(LINE_BYTES_MAX)];
    match window.iter().position(|byte| matches!(byte, b'\r' | b'\n')) {
        Some(end) if window[end] == b'\n' => Err(Malformed::LineEnd),
        Some(end) => match window.get(end + 1) {
            Some(b'\n') => {
                let origin = origin(&window[BEGINNING.len()..end])?;
                let value = Header { version: Version::V1, origin, tlvs: Tlvs::NONE };
                Ok(Step::Done { value, used: end + 2 })
            }
            Some(_) => Err(Malformed::LineEnd),
            None if window.len() == LINE_BYTES_MAX => Err(Malformed::LineTooLong),
            None => Ok(Step::More { need: 1 }),
        },
        None if window.len() == LINE_BYTES_MAX => Err(Malformed::LineTooLong),
        None => Ok(Step::More { need: LINE_BYTES_MIN.saturating_sub(window.len()).max(2) }),
    }
}

/// What stands between `PROXY ` and CR LF.
fn origin(line: &[u8]) -> Result<Origin, Malformed> {
    let line = core::str::from_utf8(line).map_err(|_| Malformed::Protocol)?;
    let (protocol, rest) = line.split_once(' ').unwrap_or((line, ""));
    match protocol {
        "UNKNOWN" => Ok(Origin::Unknown), // whatever follows is to be ignored
        "TCP4" => addresses::<Ipv4Addr>(rest),
        "TCP6" => addresses::<Ipv6Addr>(rest),
        _ => Err(Malformed::Protocol),
    }
}

fn addresses<A: FromStr + Into<IpAddr>>(text: &str) -> Result<Origin, Malformed> {
    let mut fields = text.split(' ');
    let mut address = || {
        let text = fields.next().ok_or(Malformed::Address)?;
        text.parse::<A>().map(A::into).map_err(|_| Malformed::Address)
    };
    let (source, destination): (IpAddr, IpAddr) = (address()?, address()?);
    let mut port = || fields.next().and_then(port).ok_or(Malformed::Port);
    let (source_port, destination_port) = (port()?, port()?);
    if fields.next().is_some() {
        return Err(Malformed::Port);
    }
    Ok(Origin::Client(Addresses {
        source: SocketAddr::new(source, source_port),
        destination: SocketAddr::new(destination, destination_port),
        transport: Transport::Tcp,
    }))
}

/// Stricter than Rust, which takes `+80` and `0080`: who reads it otherwise than we do would see another client.
fn port(text: &str) -> Option<u16> {
    let canonical = text == "0" || (text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0'));
    canonical.then(|| text.parse().ok()).flatten()
}

/// The line for a TCP connection from `source` to `destination`; `UNKNOWN` where there is no address to tell.
pub fn encode_v1(addresses: Option<(SocketAddr, SocketAddr)>) -> String {
    let Some((source, destination)) = addresses else { return "PROXY UNKNOWN\r\n".into() };
    let (source, destination) = same_family(source, destination);
    let protocol = if source.is_ipv4() { "TCP4" } else { "TCP6" };
    let (from, to) = (source.ip(), destination.ip());
    format!("PROXY {protocol} {from} {to} {} {}\r\n", source.port(), destination.port())
}
