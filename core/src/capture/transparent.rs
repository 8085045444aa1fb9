//! Capture by TPROXY: the sidecar's sockets have the addresses of both ends, the application's and the client's.
//!
//! A client's connection ends at the sidecar, at the address that it was opened to. The sidecar's connection to the application
//! comes from the client's address: the answers would leave the pod, and are brought back.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use svc_proto::names::mark::{APPLICATION, CLIENT, HOMEWARD};

use super::facts::PodFacts;
use super::sparing::{self, elsewhere, own, within_the_pod};
use super::text::{NftChain, mark, spare};
use crate::address::Transport;

/// What others open to the pod goes to the socket that listens on `port`, as it is.
///
/// conntrack does not see these connections: to it they could be those of the sidecar to the application, which come from the same
/// addresses. So the chain stands before it.
pub(super) fn prerouting(facts: &PodFacts, port: u16) -> NftChain {
    const BEGINS: &str = "tcp flags & (fin | syn | rst | ack) == syn";
    let mut rules = Vec::from([spare("meta l4proto != tcp", "only TCP is taken over")]);
    rules.extend(within_the_pod());
    rules.extend(sparing::inbound_ports(facts));
    // What begins comes first: a socket that was closed a moment ago would be found too, and hand it to the application.
    rules.push(format!("{BEGINS} tproxy to :{port} notrack accept"));
    rules.push(format!("{BEGINS} reject with tcp reset comment \"the sidecar does not listen\""));
    rules.push(String::from("socket transparent 1 notrack accept comment \"open, and the sidecar's\""));
    NftChain {
        name: "prerouting",
        hook: "type filter hook prerouting priority -300",
        why: "What others open to the pod is the sidecar's.",
        rules,
    }
}

/// What the sidecar sends to those clients: conntrack sees neither half.
pub(super) fn to_clients() -> NftChain {
    NftChain {
        name: "to_clients",
        hook: "type filter hook output priority -300",
        why: "What the sidecar answers them.",
        rules: Vec::from([format!("meta mark {} notrack", mark(CLIENT))]),
    }
}

/// What the application answers on connections that came from the sidecar goes to the sidecar.
pub(super) fn answers() -> NftChain {
    let [application, homeward] = [APPLICATION, HOMEWARD].map(mark);
    NftChain {
        name: "answers",
        hook: "type route hook output priority -150",
        why: "What the application answers clients whose address the sidecar has used goes back to the sidecar.",
        rules: Vec::from([
            format!("meta mark {application} ct mark set {application} accept"),
            format!("ct mark {application} ct direction reply meta mark set {homeward}"),
        ]),
    }
}

/// The datagrams that the application sends are routed to this pod's loopback interface instead of out of it.
pub(super) fn datagrams(facts: &PodFacts) -> NftChain {
    let mut rules = own(facts);
    rules.push(spare("meta l4proto != udp", "TCP is redirected"));
    rules.push(spare("ct direction reply", "the application answers what others have sent"));
    rules.extend(elsewhere(facts, Transport::Udp));
    rules.push(format!("meta mark set {}", mark(HOMEWARD)));
    NftChain {
        name: "datagrams",
        hook: "type route hook output priority -150",
        why: "The datagrams that the application sends stay in the pod.",
        rules,
    }
}

/// There the socket that listens on `port` gets them as they are.
pub(super) fn datagrams_here(port: u16) -> NftChain {
    let ours = format!("iif lo meta mark {} meta l4proto udp", mark(HOMEWARD));
    NftChain {
        name: "datagrams_here",
        hook: "type filter hook prerouting priority -150",
        why: "They are the sidecar's.",
        rules: Vec::from([
            format!("{ours} tproxy to :{port} accept"),
            // Whoever else has the port would get what was sent elsewhere. (To `reject` it would take a route from there.)
            format!("{ours} drop comment \"the sidecar does not listen\""),
        ]),
    }
}
