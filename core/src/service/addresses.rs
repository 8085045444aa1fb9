//! Addresses in the spellings that an API server accepts, some of them with a warning (`k8s.io/utils/net`, `ParseIPSloppy`).

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use core::net::IpAddr;

use super::invalid::{FieldErrors, Path};

/// The address, or nothing and a mistake.
pub(super) fn read(text: &str, at: Path<'_>, found: &mut FieldErrors) -> Option<IpAddr> {
    let Some(ip) = parse(text) else {
        found.invalid(at, text, NO_ADDRESS);
        return None;
    };
    warn(text, ip, at, found);
    Some(ip)
}

/// Tells of a spelling that programs do not agree on: of leading zeros some make octal numbers.
pub(super) fn warn(text: &str, ip: IpAddr, at: Path<'_>, found: &mut FieldErrors) {
    let is_standard = text.parse().is_ok_and(|strict: IpAddr| strict.to_canonical() == strict);
    if !is_standard {
        let expected = format!("is a non-standard IP address, read as {ip}: newer API servers refuse it");
        found.warn(at, Some(text.into()), expected);
    }
}

/// Numbers may have leading zeros, which mean nothing, and an IPv4 address may be written as a mapped one.
pub(super) fn parse(text: &str) -> Option<IpAddr> {
    let strict = text.parse::<IpAddr>();
    let ip = strict.or_else(|_| without_leading_zeros(text).parse()).ok()?;
    Some(ip.to_canonical())
}

/// Whether `text` is an address with the length of a prefix.
pub(super) fn is_cidr(text: &str) -> bool {
    let Some((address, prefix)) = text.split_once('/') else { return false };
    let bits = if address.contains(':') { 128 } else { 32 };
    let is_number = !prefix.is_empty() && prefix.bytes().all(|byte| byte.is_ascii_digit());
    parse(address).is_some() && is_number && prefix.parse::<u32>().is_ok_and(|prefix| prefix <= bits)
}

fn without_leading_zeros(text: &str) -> Cow<'_, str> {
    let mut kept = String::with_capacity(text.len());
    let mut digits = text.bytes().peekable();
    let mut is_inside = false;
    while let Some(byte) = digits.next() {
        let is_leading = byte == b'0' && !is_inside && digits.peek().is_some_and(u8::is_ascii_hexdigit);
        if !byte.is_ascii() {
            return Cow::Borrowed(text);
        }
        if !is_leading {
            kept.push(char::from(byte));
            is_inside = byte.is_ascii_hexdigit();
        }
    }
    Cow::Owned(kept)
}

pub(super) const NO_ADDRESS: &str = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_with_leading_zeros_is_decimal_and_a_mapped_one_is_ipv4() {
        for (text, expected) in [
            ("010.000.0.01", Some("10.0.0.1")),
            ("10.0.0.0000000009", Some("10.0.0.9")),
            ("2001:0DB8::00001", Some("2001:db8::1")),
            ("::ffff:10.0.0.1", Some("10.0.0.1")),
            ("::ffff:010.0.0.1", Some("10.0.0.1")),
            ("10.0.0.1", Some("10.0.0.1")),
            ("0.0.0.0", Some("0.0.0.0")),
            ("0x10.0.0.1", None),
            ("10.0.0", None),
            ("10.0.0.256", None),
            ("10.0.0.1 ", None),
            ("fe80::1%eth0", None),
            ("", None),
            ("1\u{660}.0.0.1", None),
        ] {
            assert_eq!(parse(text), expected.map(|ip| ip.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn a_range_has_a_prefix_that_its_family_has() {
        for good in
            ["10.0.0.0/8", "10.9.8.7/32", "0.0.0.0/0", "010.0.0.0/08", "fd00::/128", "::ffff:10.0.0.0/104"]
        {
            assert!(is_cidr(good), "{good}");
        }
        for bad in [
            "",
            "10.0.0.0",
            "10.0.0.0/33",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10.0.0.0/8 ",
            "fd00::/129",
            "a/8",
            "10.0.0.0/8/8",
        ] {
            assert!(!is_cidr(bad), "{bad}");
        }
    }
}
