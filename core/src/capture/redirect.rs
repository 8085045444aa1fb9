//! Capture by REDIRECT: conntrack gives a connection another destination, and remembers the first one (`SO_ORIGINAL_DST`).

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use super::Facts;
use super::text::{Chain, set, spare, spare_ports};
use crate::discovery::local::METADATA;

/// What the application opens goes to `port` at the loopback address of its family.
pub(super) fn output(facts: &Facts, port: u16) -> Chain {
    let mut rules = own(facts);
    rules.extend(no_beginning());
    rules.extend(elsewhere());
    rules.extend(spare_ports(&facts.skip_outbound, "--skip-outbound-ports"));
    rules.push(format!("meta l4proto tcp redirect to :{port}"));
    Chain {
        name: "output",
        hook: "type nat hook output priority -100",
        why: "What the application opens goes to the sidecar.",
        rules,
    }
}

/// What others open to the pod goes to `port` at the address that they came to.
pub(super) fn prerouting(facts: &Facts, port: u16) -> Chain {
    let mut rules = Vec::from(no_beginning());
    rules.extend(within_the_pod());
    // Whoever asks for these gets the sidecar itself, or nobody: carried on, the connection would come back for ever.
    rules.extend(spare_ports(&listeners(facts), "the sidecar's own listeners"));
    rules.extend(spare_ports(&facts.skip_inbound, "--skip-inbound-ports"));
    rules.push(format!("meta l4proto tcp redirect to :{port}"));
    Chain {
        name: "prerouting",
        hook: "type nat hook prerouting priority -100",
        why: "What others open to the pod goes to the sidecar.",
        rules,
    }
}

/// What begins no TCP connection. A connection that is older than the rules is new to conntrack with any of its packets.
fn no_beginning() -> [String; 2] {
    [
        spare("meta l4proto != tcp", "only TCP can be redirected"),
        spare("tcp flags & (fin | syn | rst | ack) != syn", "open before these rules were there"),
    ]
}

/// The sidecar's own packets.
fn own(facts: &Facts) -> Vec<String> {
    let user = facts.own.user.map(|user| spare(&format!("meta skuid {user}"), "the sidecar's own"));
    user.into_iter().collect()
}

/// Destinations that no sidecar has a part in.
fn elsewhere() -> [String; 4] {
    let (v4, v6): (Vec<IpAddr>, Vec<IpAddr>) = METADATA.into_iter().partition(IpAddr::is_ipv4);
    let networks = |link_local: &str, addresses: &[IpAddr]| {
        let outside = addresses.iter().filter(|address| !is_link_local(address)); // nft refuses what overlaps
        set([String::from(link_local)].into_iter().chain(outside.map(|address| format!("{address}"))))
    };
    const WHY: &str = "this link, and the metadata services of clouds";
    [
        // Loopback addresses, the pod's own, broadcast and multicast.
        spare("fib daddr type != unicast", "this pod itself"),
        spare("tcp dport 53", "DNS"),
        spare(&format!("ip daddr {}", networks("169.254.0.0/16", &v4)), WHY),
        spare(&format!("ip6 daddr {}", networks("fe80::/10", &v6)), WHY),
    ]
}

fn is_link_local(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

/// What does not come from outside, or does not go to this pod.
fn within_the_pod() -> [String; 2] {
    [
        spare("iif lo", "from this pod itself"),
        spare("fib daddr type != local", "only passing through this pod"),
    ]
}

fn listeners(facts: &Facts) -> BTreeSet<u16> {
    facts.sidecar_ports.iter().copied().chain(facts.outbound).chain(facts.inbound).collect()
}
