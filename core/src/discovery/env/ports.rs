//! The ports of one Service, put together from what its variables say.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::variable::{Fact, Link};
use crate::address::Transport;
use crate::service::{Port, TargetPort};
use crate::sorted::{SortedMap, SortedSet};

/// The ports: the first one first, the others by number and protocol, for the environment has lost their
/// order. With them, the names, each with its number, that could not be given to a port.
///
/// A name tells a number, but no protocol. Where several protocols share a number, a name belongs to the one
/// that is a part of it (`dns-tcp`), and the last name to the last protocol left (`dns` is then UDP's). Any
/// other name is not given to a port: a wrong one would mislead. Where more than one port has no name, each
/// is called `port-53-udp`, since names tell ports apart (S-03).
pub(super) fn from_facts(facts: Vec<Fact>) -> (Vec<Port>, Vec<(String, u16)>) {
    let mut told = Told::from_facts(facts);
    let Some(first) = told.first() else { return (Vec::new(), Vec::new()) };
    let mut names = SortedMap::new();
    let mut nameless = Vec::new();
    for (number, candidates) in core::mem::take(&mut told.names) {
        let rest = assign(candidates, told.sharing(number), first, &mut names);
        nameless.extend(rest.into_iter().map(|name| (name, number)));
    }
    let others = told.keys.iter().copied().filter(|&key| key != first);
    let keys = core::iter::once(first).chain(others).collect();
    (named(keys, names), nameless)
}

/// What tells ports apart: number and protocol.
type Key = (u16, Transport);

/// The facts, sorted by kind.
#[derive(Default)]
struct Told {
    first_number: Option<u16>,
    first_link: Option<Key>,
    keys: SortedSet<Key>,
    names: SortedMap<u16, Vec<String>>,
}

impl Told {
    fn from_facts(facts: Vec<Fact>) -> Told {
        let mut told = Told::default();
        let key = |link: Link| (link.port, link.transport);
        for fact in facts {
            match fact {
                Fact::First(number) => told.first_number = Some(number),
                Fact::Named(name, number) => told.names.get_or_insert_with(number, Vec::new).push(name),
                Fact::FirstLink(link) => told.first_link = Some(key(link)),
                Fact::Link(link) => drop(told.keys.insert(key(link))),
            }
        }
        told.keys.extend(told.first_link);
        // A number of which no link tells the protocol is TCP's.
        let numbers = told.first_number.into_iter().chain(told.names.keys().copied());
        let lone: Vec<u16> = numbers.filter(|&number| told.sharing(number).next().is_none()).collect();
        told.keys.extend(lone.into_iter().map(|number| (number, Transport::Tcp)));
        told
    }

    /// The ports with this number.
    fn sharing(&self, number: u16) -> impl Iterator<Item = Key> {
        let begin = self.keys.partition_point(|key| key.0 < number);
        self.keys[begin..].iter().copied().take_while(move |key| key.0 == number)
    }

    fn first(&self) -> Option<Key> {
        match (self.first_number, self.first_link) {
            (Some(number), Some(link)) if link.0 == number => Some(link),
            (Some(number), _) => self.sharing(number).next(),
            (None, Some(link)) => Some(link),
            (None, None) => self.keys.first().copied(),
        }
    }
}

/// Gives `candidates` to the ports that share their number; returns those that remain.
fn assign(
    mut candidates: Vec<String>,
    sharing: impl Iterator<Item = Key>,
    first: Key,
    names: &mut SortedMap<Key, String>,
) -> Vec<String> {
    let mut unnamed = Vec::new();
    for key in sharing {
        let transport = key.1.as_str().to_ascii_lowercase();
        match candidates.iter().position(|name| name.split('-').any(|part| part == transport)) {
            Some(at) => drop(names.insert(key, candidates.remove(at))),
            None => unnamed.push(key),
        }
    }
    if candidates.len() < unnamed.len() {
        unnamed.retain(|&key| key != first); // only the first port of a Service may do without a name
    }
    if let ([_], &[key]) = (&candidates[..], &unnamed[..]) {
        candidates.pop().and_then(|name| names.insert(key, name));
    }
    candidates
}

/// Makes ports of keys and of the names that are known.
fn named(keys: Vec<Key>, mut names: SortedMap<Key, String>) -> Vec<Port> {
    let one_is_unnamed = keys.len() <= names.len() + 1;
    let taken: SortedSet<String> = names.values().cloned().collect();
    let mut name_of = |key: Key| match names.remove(&key) {
        Some(name) => name,
        None if one_is_unnamed => String::new(),
        None => made_up(key, &taken),
    };
    keys.into_iter().map(|key| port(key, name_of(key))).collect()
}

fn made_up((number, transport): Key, taken: &SortedSet<String>) -> String {
    let mut name = format!("port-{number}-{}", transport.as_str().to_ascii_lowercase());
    while taken.contains(&name) {
        name.push_str("-x");
    }
    name
}

fn port((number, transport): Key, name: String) -> Port {
    Port {
        name: name.into(),
        port: number,
        transport,
        target: TargetPort::Number(number),
        node_port: None,
        app_protocol: None,
    }
}
