//! How rules are written down.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt::Display;

use crate::address::Transport;

/// A chain: where it stands, why, and its rules in their order.
pub(super) struct NftChain {
    pub(super) name: &'static str,
    /// `type … hook … priority …`
    pub(super) hook: &'static str,
    pub(super) why: &'static str,
    pub(super) rules: Vec<String>,
}

/// The whole file: what was there goes, what is said here comes, or none of both.
pub(super) fn table(chains: &[Option<NftChain>]) -> String {
    let chains: Vec<String> = chains.iter().flatten().map(chain).collect();
    format!("# Written by `sidecar init`.\n{REMOVAL}\ntable inet svcmesh {{\n{}}}\n", chains.join("\n"))
}

fn chain(chain: &NftChain) -> String {
    let NftChain { name, hook, why, rules } = chain;
    let rules: String = rules.iter().map(|rule| format!("\t\t{rule}\n")).collect();
    format!("\t# {why}\n\tchain {name} {{\n\t\t{hook}; policy accept;\n{rules}\t}}\n")
}

/// What matches goes its way; `nft list table inet svcmesh` shows why.
pub(super) fn spare(matches: &str, why: &str) -> String {
    format!("{matches} accept comment \"{why}\"")
}

/// The same of ports, of which there may be none.
pub(super) fn spare_ports(transport: Transport, ports: &BTreeSet<u16>, why: &str) -> Option<String> {
    let word = word(transport);
    (!ports.is_empty()).then(|| spare(&format!("{word} dport {}", set(ports)), why))
}

/// What nft calls it.
pub(super) fn word(transport: Transport) -> &'static str {
    match transport {
        Transport::Tcp => "tcp",
        Transport::Udp => "udp",
        Transport::Sctp => "sctp",
    }
}

/// `{ 1, 2, 3 }`
pub(super) fn set<T: Display>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    format!("{{ {} }}", items.join(", "))
}

/// As people read marks.
pub(super) fn mark(mark: u32) -> String {
    format!("{mark:#010x}")
}

/// What `nft -f -` is to read for the table to be gone, whether it was there or not.
pub const REMOVAL: &str = "\
add table inet svcmesh
delete table inet svcmesh
";
