//! Capture by REDIRECT: conntrack gives a connection another destination, and remembers the first one (`SO_ORIGINAL_DST`).

use alloc::format;
use alloc::vec::Vec;

use super::facts::PodFacts;
use super::sparing::{self, elsewhere, no_beginning, own, within_the_pod};
use super::text::NftChain;
use crate::address::Transport;

/// What the application opens goes to `port` at the loopback address of its family.
pub(super) fn output(facts: &PodFacts, port: u16) -> NftChain {
    let mut rules = own(facts);
    rules.extend(no_beginning());
    rules.extend(elsewhere(facts, Transport::Tcp));
    rules.push(format!("meta l4proto tcp redirect to :{port}"));
    NftChain {
        name: "output",
        hook: "type nat hook output priority -100",
        why: "What the application opens goes to the sidecar.",
        rules,
    }
}

/// What others open to the pod goes to `port` at the address that they came to.
pub(super) fn prerouting(facts: &PodFacts, port: u16) -> NftChain {
    let mut rules = Vec::from(no_beginning());
    rules.extend(within_the_pod());
    rules.extend(sparing::inbound_ports(facts));
    rules.push(format!("meta l4proto tcp redirect to :{port}"));
    NftChain {
        name: "prerouting",
        hook: "type nat hook prerouting priority -100",
        why: "What others open to the pod goes to the sidecar.",
        rules,
    }
}
