//! Any forwarding headers: whatever an untrusted peer says, the proxy that tells of it is read as it is, and so is what we add.

use core::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use svc_core::forwarding::{client_behind, forwarded_element, is_well_formed};

const PROXY: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 9));
const UNTRUSTED: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));

/// `bytes` are what an untrusted peer says in one header line.
pub(crate) fn check(bytes: &[u8]) {
    let trusted: [IpNet; 1] = ["10.0.0.0/8".parse().expect("a network")];
    let listed = [bytes, b", 192.0.2.7"].concat();
    let element = forwarded_element(UNTRUSTED, Some("a\"b\\c, for=_x"), "http");
    let elements = [bytes, b", ", element.as_bytes()].concat();
    let none: &[&[u8]] = &[];
    for (listed, elements) in [
        (&[&listed[..]][..], none),
        (&[bytes, b"192.0.2.7"], none),
        (none, &[&elements[..]][..]),
        (none, &[bytes, element.as_bytes()]),
    ] {
        let client = client_behind(PROXY, &trusted, listed.iter().copied(), elements.iter().copied());
        assert_eq!(client, UNTRUSTED);
    }
    assert_eq!(is_well_formed([bytes]), is_well_formed([&elements[..]]));
}
