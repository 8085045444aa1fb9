//! What capture leaves alone, and why.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use svc_proto::names::mark::{APPLICATION, OWN};

use super::facts::PodFacts;
use super::text::{mark, set, spare, spare_ports, word};
use crate::address::Transport;
use crate::dns::local::METADATA;

/// What begins no TCP connection. A connection that is older than the rules is new to conntrack with any of its packets.
pub(super) fn no_beginning() -> [String; 2] {
    [
        spare("meta l4proto != tcp", "only TCP can be redirected"),
        spare("tcp flags & (fin | syn | rst | ack) != syn", "open before these rules were there"),
    ]
}

/// The sidecar's own packets. Whatever the facts say, one that marks them is known by that: told otherwise than `init`, it would be captured
/// itself, without end.
pub(super) fn own(facts: &PodFacts) -> Vec<String> {
    let user = facts.user.map(|user| format!("meta skuid {user}"));
    let marked = format!("meta mark {}", set([OWN, APPLICATION].map(mark)));
    user.into_iter().chain([marked]).map(|matches| spare(&matches, "the sidecar's own")).collect()
}

/// Destinations that no sidecar has a part in, and those that the user wants left alone.
pub(super) fn elsewhere(facts: &PodFacts, transport: Transport) -> Vec<String> {
    let (v4, v6): (Vec<IpAddr>, Vec<IpAddr>) = METADATA.into_iter().partition(IpAddr::is_ipv4);
    let networks = |link_local: &str, addresses: &[IpAddr]| {
        let outside = addresses.iter().filter(|address| !is_link_local(address)); // nft refuses what overlaps
        set([String::from(link_local)].into_iter().chain(outside.map(|address| format!("{address}"))))
    };
    const WHY: &str = "this link, and the metadata services of clouds";
    let rules = [
        // Loopback addresses, the pod's own, broadcast and multicast.
        spare("fib daddr type != unicast", "this pod itself"),
        spare(&format!("{} dport 53", word(transport)), "DNS"),
        spare(&format!("ip daddr {}", networks("169.254.0.0/16", &v4)), WHY),
        spare(&format!("ip6 daddr {}", networks("fe80::/10", &v6)), WHY),
    ];
    let skipped = spare_ports(transport, &facts.skip_outbound, "--skip-outbound-ports");
    rules.into_iter().chain(skipped).collect()
}

fn is_link_local(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

/// What does not come from outside, or does not go to this pod.
pub(super) fn within_the_pod() -> [String; 2] {
    [
        spare("iif lo", "from this pod itself"),
        spare("fib daddr type != local", "only passing through this pod"),
    ]
}

/// Ports of the pod that are not the application's, or not for the sidecar to carry.
pub(super) fn inbound_ports(facts: &PodFacts) -> Vec<String> {
    // Whoever asks for these gets the sidecar itself, or nobody: carried on, the connection would come back for ever.
    let listeners = facts.sidecar_ports.iter().copied().chain(facts.outbound).chain(facts.inbound).collect();
    let own = spare_ports(Transport::Tcp, &listeners, "the sidecar's own listeners");
    let skipped = spare_ports(Transport::Tcp, &facts.skip_inbound, "--skip-inbound-ports");
    own.into_iter().chain(skipped).collect()
}
