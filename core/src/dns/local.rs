//! Addresses that a name must not lead to: whoever may write a DNS record or a Service would reach what listens only for this pod or its
//! node, such as an admin port or a cloud's credentials.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What a Service, or the operator, permits beyond the rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Permit {
    /// `--allow-loopback-endpoints`.
    pub loopback: bool,
    /// `svcmesh.dev/allow-local-external-name`.
    pub local: bool,
}

/// Why a name must not lead to `address`; `None` where it may.
pub fn prohibition(address: IpAddr, permit: Permit) -> Option<&'static str> {
    if permit.local {
        return None;
    }
    leads_to(address).find_map(|address| prohibited(address, permit))
}

fn prohibited(address: IpAddr, permit: Permit) -> Option<&'static str> {
    if address.is_loopback() {
        return (!permit.loopback).then_some("a loopback address");
    }
    if METADATA.contains(&address) {
        return Some("a cloud's metadata service");
    }
    let link_local = match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    let in_this_network = match address {
        IpAddr::V4(v4) => v4.octets()[0] == 0 || v4.is_broadcast(), // RFC 1122 §3.2.1.3
        IpAddr::V6(v6) => v6.is_unspecified(),
    };
    if link_local {
        Some("a link-local address")
    } else if in_this_network {
        Some("an unspecified address")
    } else {
        address.is_multicast().then_some("a multicast address")
    }
}

/// Where a connection to `address` may lead: there, written as its own family has it; to the pod itself where it is unspecified, as Linux
/// has it; and to the IPv4 addresses that a translator (NAT64) makes of it, RFC 6052 §2.2, by the well-known prefix or by one that a
/// network has chosen for itself (RFC 8215).
pub fn leads_to(address: IpAddr) -> impl Iterator<Item = IpAddr> {
    let address = address.to_canonical();
    let pod = match address {
        IpAddr::V4(v4) => v4.is_unspecified().then_some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        IpAddr::V6(v6) => v6.is_unspecified().then_some(IpAddr::V6(Ipv6Addr::LOCALHOST)),
    };
    let translated = match address {
        IpAddr::V4(_) => [None; PLACES.len()],
        IpAddr::V6(v6) => translations(v6),
    };
    [Some(address), pod].into_iter().chain(translated).flatten()
}

fn translations(v6: Ipv6Addr) -> [Option<IpAddr>; PLACES.len()] {
    let (octets, segments) = (v6.octets(), v6.segments());
    let is_well_known = segments[..6] == [0x64, 0xff9b, 0, 0, 0, 0];
    let is_local = segments[..3] == [0x64, 0xff9b, 1];
    PLACES.map(|places| {
        let [a, b, c, d] = places.map(|place| octets[place]);
        let is_whole = is_well_known && places == SUFFIX;
        // How long a network's own prefix is, the address does not say; in a place that is not the right one there are mostly zeros.
        (is_whole || (is_local && a != 0)).then(|| IpAddr::V4(Ipv4Addr::new(a, b, c, d)))
    })
}

/// Which octets the IPv4 address has behind a prefix of 96, 64, 56 and 48 bits; the ninth octet is zero.
const PLACES: [[usize; 4]; 4] = [SUFFIX, [9, 10, 11, 12], [7, 9, 10, 11], [6, 7, 9, 10]];
const SUFFIX: [usize; 4] = [12, 13, 14, 15];

/// Where clouds hand out credentials: AWS, Azure, GCP and others; AWS over IPv6; Alibaba; Azure's wire server; Oracle.
pub const METADATA: [IpAddr; 5] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::ip;

    const NONE: Permit = Permit { loopback: false, local: false };

    #[test]
    fn what_is_for_this_pod_or_node_is_prohibited() {
        for address in [
            "127.0.0.1",
            "127.66.0.1",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::7f00:1",
            "64:ff9b:1:0:7f:0:100:0",
            "64:ff9b:1:7f:0:1::",
            "64:ff9b:1:7f00:0:100::",
            "64:ff9b:1::a9fe:a9fe",
            "64:ff9b:1:a9fe:a9:fe00::",
            "169.254.1.1",
            "169.254.169.254",
            "fe80::1",
            "fd00:ec2::254",
            "100.100.100.200",
            "0.0.0.0",
            "0.1.2.3",
            "::",
            "224.0.0.1",
            "255.255.255.255",
            "ff02::1",
        ] {
            assert!(prohibition(ip(address), NONE).is_some(), "{address}");
            assert_eq!(prohibition(ip(address), Permit { local: true, loopback: false }), None, "{address}");
        }
        for address in [
            "10.0.0.1",
            "192.168.1.1",
            "fd00::1",
            "64:ff9b::a00:1",
            "64:ff9b:1::a00:1",
            "64:ff9b:1:a00:0:100::",
            "93.184.216.34",
            "2001:db8::1",
        ] {
            assert_eq!(prohibition(ip(address), NONE), None, "{address}");
        }
    }

    #[test]
    fn a_trial_on_one_machine_opens_loopback_and_nothing_else() {
        let trial = Permit { loopback: true, local: false };
        for address in ["127.0.0.1", "::1", "::ffff:127.0.0.2"] {
            assert_eq!(prohibition(ip(address), trial), None, "{address}");
        }
        assert!(prohibition(ip("169.254.169.254"), trial).is_some());
    }
}
