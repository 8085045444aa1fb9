//! Who a request came from, as told by proxies that are trusted.

use core::net::IpAddr;

use ipnet::IpNet;

use super::element::{for_address, node_address, parts_from_the_right};

/// Whether forwarding headers from `peer` are believed.
pub fn is_trusted(peer: IpAddr, trusted: &[IpNet]) -> bool {
    let peer = peer.to_canonical();
    trusted.iter().any(|net| net.contains(&peer))
}

/// The client that the trusted proxy at `peer` speaks for: the nearest address that is not trusted, counted from the proxy.
///
/// That stands in `X-Forwarded-For` (its values in order) where there is one, else in `Forwarded` (RFC 7239 §5.2): what a proxy says
/// there of its own peer is true, what was there before is the word of that peer. An address that is hidden, or none, ends the chain.
/// Where the chain ends and all of it is trusted, it is the address that `peer` itself tells of: farther ones may be made up by a client
/// that would like to pass for one of ours.
pub fn client_behind<'a, Lines>(
    peer: IpAddr,
    trusted: &[IpNet],
    x_forwarded_for: Lines,
    forwarded: Lines,
) -> IpAddr
where
    Lines: IntoIterator<Item = &'a [u8], IntoIter: DoubleEndedIterator>,
{
    let mut listed = x_forwarded_for.into_iter().rev().peekable();
    let client = if listed.peek().is_some() {
        nearest(trusted, entries(listed).map(listed_address))
    } else {
        nearest(trusted, entries(forwarded.into_iter().rev()).map(for_address))
    };
    client.unwrap_or(peer).to_canonical()
}

/// What stands between the commas of `lines`, the last first; empty entries are none (RFC 9110 §5.6.1).
fn entries<'a>(lines: impl Iterator<Item = &'a [u8]>) -> impl Iterator<Item = &'a [u8]> {
    lines.flat_map(|line| parts_from_the_right(line, b',')).filter(|entry| !entry.is_empty())
}

/// The first address that is not trusted, else the first.
fn nearest(trusted: &[IpNet], chain: impl Iterator<Item = Option<IpAddr>>) -> Option<IpAddr> {
    let mut first = None;
    for address in chain.map_while(|address| address) {
        first.get_or_insert(address);
        if !is_trusted(address, trusted) {
            return Some(address);
        }
    }
    first
}

/// An entry of `X-Forwarded-For`: a node as `Forwarded` has it, or an IPv6 address as it is.
fn listed_address(entry: &[u8]) -> Option<IpAddr> {
    let text = core::str::from_utf8(entry).ok()?;
    node_address(text).or_else(|| text.parse().ok())
}

#[cfg(test)]
mod tests {
    use alloc::string::{String, ToString as _};
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;
    use crate::samples::ip;

    /// The client behind the trusted proxy 10.0.0.9.
    fn client(x_forwarded_for: &[&str], forwarded: &[&str]) -> String {
        told_by("10.0.0.9", &["10.0.0.0/8", "2001:db8::/32"], x_forwarded_for, forwarded)
    }

    fn told_by(peer: &str, trusted: &[&str], x_forwarded_for: &[&str], forwarded: &[&str]) -> String {
        let trusted: Vec<IpNet> = trusted.iter().map(|net| net.parse().unwrap()).collect();
        let [listed, elements] = [x_forwarded_for, forwarded]
            .map(|lines| lines.iter().map(|line| line.as_bytes()).collect::<Vec<_>>());
        client_behind(ip(peer), &trusted, listed, elements).to_string()
    }

    #[test]
    fn the_client_is_the_nearest_address_that_is_not_trusted() {
        for (said, expected) in [
            (&[][..], "10.0.0.9"),
            (&["192.0.2.1"], "192.0.2.1"),
            (&["192.0.2.1, 198.51.100.2"], "198.51.100.2"),
            (&["192.0.2.1, 198.51.100.2, 10.0.0.3,10.0.0.4"], "198.51.100.2"),
            (&["192.0.2.1", "198.51.100.2", "10.0.0.3"], "198.51.100.2"),
            (&["198.51.100.2", "192.0.2.1,10.0.0.4", "10.0.0.3"], "192.0.2.1"),
            (&["192.0.2.1,, 10.0.0.2,"], "192.0.2.1"),
            (&["192.0.2.1:4711"], "192.0.2.1"),
            (&["192.0.2.1:_hidden"], "192.0.2.1"),
            (&["[2001:db9::1]:4711, ::ffff:10.0.0.3"], "2001:db9::1"),
            (&["2001:db9::1, [2001:db8::1]"], "2001:db9::1"),
            (&["::ffff:192.0.2.1"], "192.0.2.1"),
            (&["\"\", 192.0.2.1\t, \t10.0.0.2"], "192.0.2.1"),
        ] {
            assert_eq!(client(said, &[]), expected, "{said:?}");
        }
    }

    #[test]
    fn what_is_no_address_is_not_believed_and_ends_the_chain() {
        for entry in [
            "unknown",
            "_hidden",
            "192.0.2.1 198.51.100.2",
            "192.0.2",
            "192.0.2.1:",
            "192.0.2.1:123456",
            "[192.0.2.1]",
            "[2001:db9::1",
            "[2001:db9::1]x",
            "fe80::1%eth0",
            "192.0.2.1/24",
            "0xc0000201",
            "192.0.2.01",
            "\u{e9}",
            "\"",
        ] {
            assert_eq!(client(&[entry], &[]), "10.0.0.9", "{entry}");
            assert_eq!(
                client(&[&alloc::format!("198.51.100.2, {entry}, 10.0.0.3, 10.0.0.4")], &[]),
                "10.0.0.4",
                "{entry}"
            );
        }
        for said in [&[""][..], &[" , ,"], &["", ""]] {
            assert_eq!(client(said, &[]), "10.0.0.9", "{said:?}");
        }
    }

    #[test]
    fn nobody_passes_for_one_of_ours_by_saying_so() {
        // 10.0.0.5 is a client within the trusted networks, which the proxy tells of; what is left of it, the client has made up.
        for made_up in
            ["10.0.0.1", "10.0.0.1, 10.0.0.2", "unknown, 10.0.0.1", "192.0.2.1, _x, 10.0.0.1", "2001:db8::1"]
        {
            assert_eq!(client(&[&alloc::format!("{made_up}, 10.0.0.5")], &[]), "10.0.0.5", "{made_up}");
            assert_eq!(client(&[made_up, "10.0.0.5"], &[]), "10.0.0.5", "{made_up}");
        }
    }

    /// The examples in Envoy's manual (HTTP connection manager, headers, `x-forwarded-for`), which counts hops where we name networks.
    #[test]
    fn envoys_examples_have_envoys_answers() {
        let made_up = "203.0.113.128, 203.0.113.10, 203.0.113.1";
        let through_edge = "203.0.113.128, 203.0.113.10, 203.0.113.1, 192.0.2.5";
        let outside = ["192.0.2.5/32", "203.0.113.1/32"];
        let edge_and_outside = ["10.11.12.13/32", "192.0.2.5/32", "203.0.113.1/32"];
        for (number, peer, trusted, said, expected) in [
            (2, "10.11.12.13", &["10.11.12.13/32"][..], &[through_edge][..], "192.0.2.5"),
            (3, "192.0.2.5", &outside, &[made_up], "203.0.113.10"),
            (4, "10.11.12.13", &edge_and_outside, &[through_edge], "203.0.113.10"),
            (6, "10.20.30.50", &["10.20.30.50/32"], &["10.20.30.40"], "10.20.30.40"),
            (6, "10.20.30.50", &["10.0.0.0/8"], &["10.20.30.40"], "10.20.30.40"),
        ] {
            assert!(is_trusted(
                ip(peer),
                &trusted.iter().map(|net| net.parse().unwrap()).collect::<Vec<_>>()
            ));
            assert_eq!(told_by(peer, trusted, said, &[]), expected, "example {number}");
        }
        // In 1 and 5 nobody is trusted, so that nobody is asked: the client is the peer, 192.0.2.5 and 10.20.30.40.
        assert!(!is_trusted(ip("192.0.2.5"), &[]) && !is_trusted(ip("10.20.30.40"), &[]));
    }

    #[test]
    fn forwarded_is_read_where_nothing_is_listed() {
        for (said, expected) in [
            (&["for=192.0.2.1;proto=http"][..], "192.0.2.1"),
            (&["for=192.0.2.1, For=\"[2001:db9::1]:4711\";by=_x", "host=a;FOR=10.0.0.3"], "2001:db9::1"),
            (&["for=\"[2001:db9::1]\"; proto=https;by=203.0.113.43"], "2001:db9::1"),
            (&["for=\"192.0.2.1:_port\""], "192.0.2.1"),
            (&["for=\"192.0.2\\.1\""], "192.0.2.1"),
            (&["for=192.0.2.1;ext=\"\\\\\""], "192.0.2.1"),
            (&[";for=192.0.2.1;;", ",,"], "192.0.2.1"),
            (&["for=192.0.2.1, for=unknown, for=10.0.0.3"], "10.0.0.3"),
            (&["for=192.0.2.1, for=_hidden, for=10.0.0.3"], "10.0.0.3"),
            (&["for=192.0.2.1, for=\"_hidden:_port\""], "10.0.0.9"),
            (&["for=192.0.2.1, by=10.0.0.3"], "10.0.0.9"),
        ] {
            assert_eq!(client(&[], said), expected, "{said:?}");
            assert_eq!(client(&["198.51.100.9"], said), "198.51.100.9", "{said:?}");
        }
    }

    #[test]
    fn what_contradicts_the_grammar_of_forwarded_is_not_believed() {
        for element in [
            "for=2001:db9::1",
            "for=\"2001:db9::1\"",
            "for=[2001:db9::1]",
            "for=192.0.2.1:80",
            "for = 192.0.2.1",
            "for=192.0.2.1 ;x",
            "for=\"192.0.2.1",
            "for=192.0.2.1\"",
            "for=\"192.0.2.1\"x",
            "for=192.0.2.1;for=192.0.2.2",
            "for=192.0.2.1;proto=http;Proto=https",
            "for=192.0.2.1;=x",
            "for=192.0.2.1;proto=",
            "for=192.0.2.1;p roto=x",
            "for=192.0.2.1;host=a b",
            "for",
            "192.0.2.1",
            "for=\"\\",
            "for=\u{e9}",
        ] {
            assert_eq!(client(&[], &[element]), "10.0.0.9", "{element}");
        }
    }

    #[test]
    fn what_a_client_says_cannot_change_how_its_proxy_is_read() {
        for made_up in [
            "for=\"",
            "for=\"a;x=\\",
            "\"",
            "for=198.51.100.9;host=\"a, for=198.51.100.8\"",
            "\\\"",
            "=;,\"x",
        ] {
            for told in [
                "for=192.0.2.1",
                "for=192.0.2.1;host=\"a, for=198.51.100.2\"",
                "for=192.0.2.1;host=\"a\\\", for=x\"",
            ] {
                assert_eq!(
                    client(&[], &[&alloc::format!("{made_up}, {told}")]),
                    "192.0.2.1",
                    "{made_up} {told}"
                );
                assert_eq!(client(&[], &[made_up, told]), "192.0.2.1", "{made_up} {told}");
            }
        }
    }

    #[test]
    fn trust_is_by_network_and_sees_through_mapped_addresses() {
        let nets = ["10.0.0.0/8".parse().unwrap(), "2001:db8::/32".parse().unwrap()];
        assert!(is_trusted(ip("::ffff:10.1.2.3"), &nets));
        assert!(is_trusted(ip("2001:db8::1"), &nets));
        assert!(!is_trusted(ip("192.0.2.1"), &nets));
        assert!(!is_trusted(ip("10.0.0.1"), &[]));
    }

    proptest! {
        /// Whatever an untrusted peer says, a proxy that tells of it is believed, and nothing of what was said.
        #[test]
        fn an_untrusted_peer_is_itself_whatever_it_says(said in "[ -~é]{0,40}|[0-9a-f.:,\"\\\\\\[\\]=; a-z]{0,60}") {
            let listed = alloc::format!("{said}, 192.0.2.7");
            prop_assert_eq!(client(&[&listed], &[]), "192.0.2.7");
            let elements = alloc::format!("{said}, for=192.0.2.7;proto=http");
            prop_assert_eq!(client(&[], &[&elements]), "192.0.2.7");
        }
    }
}
