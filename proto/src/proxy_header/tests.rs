use alloc::format;
use alloc::vec::Vec;
use core::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;

fn client(source: &str, destination: &str) -> Origin {
    let [source, destination] = [source, destination].map(|text| text.parse().unwrap());
    Origin::Client(Addresses { source, destination, transport: Transport::Tcp })
}

/// What `bytes` followed by the connection's own are read as; that own is left alone.
fn read(bytes: &[u8]) -> Result<Header<'_>, Malformed> {
    match decode(bytes)? {
        Step::Done { value, used } => {
            assert_eq!(&bytes[used..], b"GET", "{value:?}");
            Ok(value)
        }
        Step::More { need } => panic!("waits for {need} bytes"),
    }
}

#[track_caller]
fn check_v1(line: &str, expected: Result<Origin, Malformed>) {
    let line = format!("{line}GET");
    assert_eq!(read(line.as_bytes()).map(|header| header.origin), expected, "{line:?}");
}

#[test]
fn lines_that_are_right() {
    let spec = client("192.0.2.202:12345", "10.0.42.7:7");
    check_v1("PROXY TCP4 192.0.2.202 10.0.42.7 12345 7\r\n", Ok(spec));
    let most = client("255.255.255.255:65535", "255.255.255.255:65535");
    check_v1("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", Ok(most));
    check_v1("PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", Ok(client("0.0.0.0:0", "0.0.0.0:0")));
    check_v1("PROXY TCP6 ::1 2001:DB8::7 1 65535\r\n", Ok(client("[::1]:1", "[2001:db8::7]:65535")));
    check_v1("PROXY TCP6 ::ffff:192.0.2.1 :: 1 2\r\n", Ok(client("[::ffff:192.0.2.1]:1", "[::]:2")));
    check_v1("PROXY UNKNOWN\r\n", Ok(Origin::Unknown));
    check_v1("PROXY UNKNOWN ffff::1 ::1 1 2\r\n", Ok(Origin::Unknown));
    check_v1("PROXY UNKNOWN what ever\t\0\r\n", Ok(Origin::Unknown));
    check_v1(&format!("PROXY UNKNOWN {}\r\n", "x".repeat(91)), Ok(Origin::Unknown));
}

#[test]
fn lines_that_are_wrong() {
    use Malformed::{Address, LineEnd, LineTooLong, NoHeader, Port, Protocol};
    for (line, why) in [
        ("PROXY TCP4 1.1.1.1 2.2.2.2 +80 1\r\n", Port),
        ("PROXY TCP4 1.1.1.1 2.2.2.2 0080 1\r\n", Port),
        ("PROXY TCP4 1.1.1.1 2.2.2.2 00 1\r\n", Port),
        ("PROXY TCP4 1.1.1.1 2.2.2.2 65536 1\r\n", Port),
        ("PROXY TCP4 1.1.1.1 2.2.2.2 -1 1\r\n", Port),
        ("PROXY TCP4 1.1.1.1 2.2.2.2 1\r\n", Port),
        ("PROXY TCP4 1.1.1.1 2.2.2.2 1 \r\n", Port),
        ("PROXY TCP4 1.1.1.1 2.2.2.2 1 2 \r\n", Port),
        ("PROXY TCP4 1.1.1.1 2.2.2.2 1 2 3\r\n", Port),
        ("PROXY TCP4 1.1.1.1 2.2.2.2 1\t2\r\n", Port),
        ("PROXY TCP4 01.1.1.1 2.2.2.2 1 2\r\n", Address),
        ("PROXY TCP4 1.1.1 2.2.2.2 1 2\r\n", Address),
        ("PROXY TCP4 1.1.1.256 2.2.2.2 1 2\r\n", Address),
        ("PROXY TCP4  1.1.1.1 2.2.2.2 1 2\r\n", Address),
        ("PROXY TCP4 1.1.1.1  2.2.2.2 1 2\r\n", Address),
        ("PROXY TCP4 ::1 ::2 1 2\r\n", Address),
        ("PROXY TCP4\r\n", Address),
        ("PROXY TCP6 1.1.1.1 2.2.2.2 1 2\r\n", Address),
        ("PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n", Address),
        ("PROXY TCP6 [::1] ::1 1 2\r\n", Address),
        ("PROXY TCP6 ::1::2 ::1 1 2\r\n", Address),
        ("PROXY UDP4 1.1.1.1 2.2.2.2 1 2\r\n", Protocol),
        ("PROXY tcp4 1.1.1.1 2.2.2.2 1 2\r\n", Protocol),
        ("PROXY  TCP4 1.1.1.1 2.2.2.2 1 2\r\n", Protocol),
        ("PROXY UNKNOWN2\r\n", Protocol),
        ("PROXY \r\n", Protocol),
        ("PROXY TCP4 1.1.1.1 2.2.2.2 1 2\n", LineEnd),
        ("PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r", LineEnd),
        ("PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\r\n", LineEnd),
        ("PROXY UNKNOWN \n\r\n", LineEnd),
        ("PROXY\r\n", NoHeader),
        ("proxy TCP4 1.1.1.1 2.2.2.2 1 2\r\n", NoHeader),
        ("POST / HTTP/1.1\r\n", NoHeader),
        (" PROXY UNKNOWN\r\n", NoHeader),
        ("GET / HTTP/1.1\r\n", NoHeader),
        ("\r\nPROXY UNKNOWN\r\n", NoHeader),
    ] {
        check_v1(line, Err(why));
    }
    check_v1(&format!("PROXY UNKNOWN {}\r\n", "x".repeat(92)), Err(LineTooLong));
    check_v1(&"PROXY UNKNOWN ".repeat(20), Err(LineTooLong));
}

/// A version 2 header of these bytes from the 13th on, its length put in.
fn v2(version_and_command: u8, family: u8, rest: &[&[u8]]) -> Vec<u8> {
    let rest = rest.concat();
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [&SIGNATURE[..], &[version_and_command, family], &length, &rest, b"GET"].concat()
}

#[track_caller]
fn check_v2(bytes: &[u8], expected: Result<Origin, Malformed>) {
    assert_eq!(read(bytes).map(|header| header.origin), expected, "{bytes:02x?}");
}

const INET: &[u8] = &[192, 0, 2, 202, 10, 0, 42, 7, 0x30, 0x39, 0, 7];

#[test]
fn binary_headers_that_are_right() {
    let spec = client("192.0.2.202:12345", "10.0.42.7:7");
    check_v2(&v2(0x21, 0x11, &[INET]), Ok(spec));
    check_v2(&v2(0x21, 0x11, &[INET, &[0xe5, 0, 2, b'h', b'i', 0x04, 0, 0]]), Ok(spec));
    let Origin::Client(addresses) = spec else { unreachable!() };
    let datagram = Origin::Client(Addresses { transport: Transport::Udp, ..addresses });
    check_v2(&v2(0x21, 0x12, &[INET]), Ok(datagram));
    let inet6 = [&Ipv6Addr::LOCALHOST.octets()[..], &Ipv6Addr::UNSPECIFIED.octets(), &[0, 1, 0, 2]].concat();
    check_v2(&v2(0x21, 0x21, &[&inet6]), Ok(client("[::1]:1", "[::]:2")));
    check_v2(&v2(0x21, 0x31, &[&[0; 216]]), Ok(Origin::Unknown));
    check_v2(&v2(0x21, 0x00, &[]), Ok(Origin::Unknown));
    check_v2(&v2(0x21, 0x01, &[&[0x04, 0, 1, 0]]), Ok(Origin::Unknown));
    check_v2(&v2(0x21, 0x10, &[INET]), Ok(Origin::Unknown));
}

#[test]
fn a_local_header_is_skipped_whatever_it_holds() {
    check_v2(&v2(0x20, 0x00, &[]), Ok(Origin::Local));
    check_v2(&v2(0x20, 0x11, &[INET]), Ok(Origin::Local));
    check_v2(&v2(0x20, 0xff, &[&[1, 2, 3]]), Ok(Origin::Local));
}

#[test]
fn binary_headers_that_are_wrong() {
    use Malformed::{AddressesCut, Checksum, Command, Family, NoHeader, TlvCut, TooLong, Version};
    check_v2(&v2(0x11, 0x11, &[INET]), Err(Version));
    check_v2(&v2(0x31, 0x11, &[INET]), Err(Version));
    check_v2(&v2(0x22, 0x11, &[INET]), Err(Command));
    check_v2(&v2(0x2f, 0x11, &[INET]), Err(Command));
    check_v2(&v2(0x21, 0x41, &[INET]), Err(Family));
    check_v2(&v2(0x21, 0x13, &[INET]), Err(Family));
    check_v2(&v2(0x21, 0x11, &[&INET[..11]]), Err(AddressesCut));
    check_v2(&v2(0x21, 0x21, &[INET]), Err(AddressesCut));
    check_v2(&v2(0x21, 0x31, &[&[0; 215]]), Err(AddressesCut));
    check_v2(&v2(0x21, 0x11, &[INET, &[0x04]]), Err(TlvCut));
    check_v2(&v2(0x21, 0x11, &[INET, &[0x04, 0]]), Err(TlvCut));
    check_v2(&v2(0x21, 0x11, &[INET, &[0x04, 0, 4, 0, 0, 0]]), Err(TlvCut));
    check_v2(&v2(0x21, 0x11, &[INET, &[0x03, 0, 4, 0, 0, 0, 0]]), Err(Checksum));
    check_v2(&v2(0x21, 0x11, &[INET, &[0x03, 0, 3, 0, 0, 0]]), Err(Checksum));
    check_v2(&v2(0x21, 0x11, &[&[0; HEADER_BYTES_MAX - 15]]), Err(TooLong));
    check_v2(b"\r\n\r\n\0\r\nQUIT\r!\x11\0\0GET", Err(NoHeader));
}

#[test]
fn of_two_alike_the_first_is_believed_and_both_are_passed_on() {
    let bytes = v2(0x21, 0x11, &[INET, &[0x02, 0, 1, b'a', 0x02, 0, 1, b'b']]);
    let tlvs = read(&bytes).unwrap().tlvs;
    assert_eq!(tlvs.get(kind::AUTHORITY), Some(&b"a"[..]));
    assert_eq!(tlvs.iter().map(|tlv| tlv.value).collect::<Vec<_>>(), [b"a", b"b"]);
    assert_eq!(tlvs.get(kind::ALPN), None);
}

#[test]
fn a_checksum_is_made_and_checked() {
    let origin = client("192.0.2.202:12345", "10.0.42.7:7");
    let name = Tlv { kind: kind::AUTHORITY, value: b"example.org" };
    let mut bytes = encode_v2(origin, [name], true).unwrap();
    assert!(matches!(decode(&bytes), Ok(Step::Done { used, .. }) if used == bytes.len()));
    let kind_at = bytes.len() - 7; // another kind in its place would be no checksum
    for at in (16..kind_at).chain(kind_at + 3..bytes.len()) {
        bytes[at] ^= 0x10;
        assert!(!matches!(decode(&bytes), Ok(Step::Done { .. })), "byte {at} is not covered");
        bytes[at] ^= 0x10;
    }
}

#[test]
fn what_tls_said_is_read() {
    let value = [&[0x05, 0, 0, 0, 0][..], &[0x21, 0, 7], b"TLSv1.3"].concat();
    let ssl = Ssl::read(&value).unwrap();
    assert!(ssl.encrypted && ssl.certificate && ssl.verified);
    assert_eq!(ssl.details.get(0x21), Some(&b"TLSv1.3"[..]));
    assert!(!Ssl::read(&[0x01, 0, 0, 0, 0]).unwrap().verified, "no certificate is none that was verified");
    assert_eq!(Ssl::read(&[0x01, 0, 0, 0]), Err(Malformed::TlvCut));
    assert_eq!(Ssl::read(&[0x01, 0, 0, 0, 0, 0x21, 0]), Err(Malformed::TlvCut));
}

#[test]
fn two_families_are_told_as_one() {
    let (four, six) = ("192.0.2.1:1".parse().unwrap(), "[2001:db8::1]:2".parse().unwrap());
    assert_eq!(encode_v1(Some((four, six))), "PROXY TCP6 ::ffff:192.0.2.1 2001:db8::1 1 2\r\n");
    assert_eq!(encode_v1(None), "PROXY UNKNOWN\r\n");
}

#[test]
fn the_longest_line_fits() {
    let longest = SocketAddr::from((Ipv6Addr::from([0xff; 16]), u16::MAX));
    assert!(encode_v1(Some((longest, longest))).len() <= LINE_BYTES_MAX);
}

#[test]
fn tlvs_that_do_not_fit_are_refused() {
    let value = [0; 9 * 1024];
    let half = Tlv { kind: 0xe0, value: &value };
    assert_eq!(encode_v2(Origin::Unknown, [half, half], false), Err(Malformed::TooLong));
    let whole = Tlv { kind: 0xe0, value: &[0; 70_000] };
    assert_eq!(encode_v2(Origin::Unknown, [whole], false), Err(Malformed::TooLong));
}

fn socket() -> impl Strategy<Value = SocketAddr> {
    prop_oneof![
        (any::<[u8; 4]>(), any::<u16>()).prop_map(|(ip, port)| (Ipv4Addr::from(ip), port).into()),
        (any::<[u8; 16]>(), any::<u16>()).prop_map(|(ip, port)| (Ipv6Addr::from(ip), port).into()),
    ]
}

fn origins() -> impl Strategy<Value = Origin> {
    let transport = prop_oneof![Just(Transport::Tcp), Just(Transport::Udp)];
    let clients = (socket(), socket(), transport).prop_map(|(source, destination, transport)| {
        let (source, destination) = same_family(source, destination);
        Origin::Client(Addresses { source, destination, transport })
    });
    prop_oneof![1 => Just(Origin::Local), 1 => Just(Origin::Unknown), 8 => clients]
}

type Owned = (u8, Vec<u8>);

fn headers() -> impl Strategy<Value = (Origin, Vec<Owned>, bool)> {
    let tlv = (5..=255u8, prop::collection::vec(any::<u8>(), 0..40));
    (origins(), prop::collection::vec(tlv, 0..4), any::<bool>())
}

fn encode(origin: Origin, tlvs: &[Owned], checksum: bool) -> Vec<u8> {
    encode_v2(origin, tlvs.iter().map(|(kind, value)| Tlv { kind: *kind, value }), checksum).unwrap()
}

/// Each beginning of a header is waited on, for no more than the rest of it.
fn check_beginnings(header: &[u8]) {
    for end in 0..header.len() {
        match decode(&header[..end]) {
            Ok(Step::More { need }) => assert!((1..=header.len() - end).contains(&need), "{end} {need}"),
            other => panic!("{end} bytes of {header:02x?}: {other:?}"),
        }
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read((origin, tlvs, checksum) in headers()) {
        let bytes = encode(origin, &tlvs, checksum);
        let Ok(Step::Done { value, used }) = decode(&bytes) else { panic!("{bytes:02x?}") };
        assert_eq!((value.version, value.origin, used), (Version::V2, origin, bytes.len()));
        let others = value.tlvs.iter().filter(|tlv| tlv.kind != kind::CRC32C);
        let read: Vec<Owned> = others.map(|tlv| (tlv.kind, tlv.value.to_vec())).collect();
        assert!(origin == Origin::Local || read == tlvs, "{read:?}");
        check_beginnings(&bytes);
    }

    #[test]
    fn what_is_written_as_a_line_is_read(source in socket(), destination in socket()) {
        let line = encode_v1(Some((source, destination)));
        let (source, destination) = same_family(source, destination);
        let expected = Origin::Client(Addresses { source, destination, transport: Transport::Tcp });
        check_v1(&line, Ok(expected));
        check_beginnings(line.as_bytes());
    }

    /// Whatever we take, another reader takes as the same: that is who stands behind us.
    #[test]
    fn another_reader_sees_the_same_line(line in "PROXY (TCP4|TCP6|UNKNOWN)( [0-9a-f:.+]{1,16}){0,5}\r\n") {
        let Ok(Step::Done { value, .. }) = decode(line.as_bytes()) else { return Ok(()) };
        // (It takes no UNKNOWN with a rest that it cannot read, which is to be ignored.)
        if let Origin::Client(Addresses { source, destination, .. }) = value.origin {
            let theirs = ppp::v1::Header::try_from(line.as_str()).unwrap();
            assert_eq!(theirs.addresses, ppp::v1::Addresses::from((source, destination)));
        }
    }

    #[test]
    fn another_reader_sees_the_same_header((origin, tlvs, checksum) in headers()) {
        let bytes = encode(origin, &tlvs, checksum);
        let theirs = ppp::v2::Header::try_from(&bytes[..]).unwrap();
        assert_eq!(theirs.len(), bytes.len());
        if let Origin::Client(Addresses { source, destination, .. }) = origin {
            assert_eq!(theirs.addresses, ppp::v2::Addresses::from((source, destination)));
            let count = tlvs.len() + usize::from(checksum);
            assert_eq!(theirs.tlvs().filter_map(Result::ok).count(), count);
        }
    }

    #[test]
    fn nothing_breaks_it(bytes in prop::collection::vec(any::<u8>(), 0..64), begun in 0..3u8) {
        let beginning: &[u8] = match begun { 0 => b"", 1 => b"PROXY ", _ => &SIGNATURE };
        let bytes = [beginning, &bytes].concat();
        if let Ok(Step::Done { used, .. }) = decode(&bytes) {
            assert!(used <= bytes.len());
        }
    }
}
