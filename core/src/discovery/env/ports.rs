//! The ports of one Service, put together from what its variables say.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::variable::{Fact, TRANSPORTS, label};
use crate::address::Transport;
use crate::hash::HashSet;
use crate::service::{Port, TargetPort};

/// The ports: the first one first, the others by number and protocol, for the environment has lost their
/// order. With them, the names, each with its number, that could not be given to a port.
///
/// A name tells a number, but no protocol. Where several protocols share a number, a name belongs to the one
/// that is a part of it (`dns-tcp`), and the last name to the last protocol left (`dns` is then UDP's). Any
/// other name is not given to a port: a wrong one would mislead. Where more than one port has no name, each
/// is called `port-53-udp`, since names tell ports apart (S-03).
pub(super) fn from_facts(mut facts: Vec<Fact<'_>>) -> (Vec<Port>, Vec<(&str, u16)>) {
    facts.sort_by_key(Fact::port);
    let (mut drafts, mut nameless) = (Vec::new(), Vec::new());
    let first = First::of(&facts);
    for facts in facts.chunk_by(|one, other| one.port() == other.port()) {
        draft(facts, &first, &mut drafts, &mut nameless);
    }
    (ports(&drafts), nameless)
}

/// What is told of which port is the first.
struct First {
    number: Option<u16>,
    transport: Option<Transport>,
}

impl First {
    /// Where no fact tells its number, it is the lowest, by which they are sorted.
    fn of(facts: &[Fact<'_>]) -> First {
        let (mut number, mut link) = (None, None);
        for fact in facts {
            match fact {
                Fact::First(told) => number = Some(*told),
                Fact::FirstLink(told) => link = Some(*told),
                Fact::Named(..) | Fact::Link(_) => {}
            }
        }
        let number = number.or(link.map(|link| link.port)).or(facts.first().map(Fact::port));
        let transport = link.filter(|link| Some(link.port) == number).map(|link| link.transport);
        First { number, transport }
    }
}

/// A port to be.
struct Draft<'a> {
    number: u16,
    transport: Transport,
    /// As the variable has it; empty where none tells it.
    name: &'a str,
    is_first: bool,
}

/// Drafts the ports that share a number, of all facts about it.
fn draft<'a>(
    facts: &[Fact<'a>],
    first: &First,
    drafts: &mut Vec<Draft<'a>>,
    nameless: &mut Vec<(&'a str, u16)>,
) {
    let number = facts[0].port();
    let begin = drafts.len();
    for transport in TRANSPORTS {
        if facts.iter().any(|fact| fact.transport() == Some(transport)) {
            drafts.push(Draft { number, transport, name: "", is_first: false });
        }
    }
    if drafts.len() == begin {
        drafts.push(Draft { number, transport: Transport::Tcp, name: "", is_first: false });
    }
    let sharing = &mut drafts[begin..];
    let is_first = |draft: &&mut Draft<'_>| first.transport.is_none_or(|first| first == draft.transport);
    if first.number == Some(number)
        && let Some(draft) = sharing.iter_mut().find(is_first)
    {
        draft.is_first = true;
    }
    let mut names = Vec::new();
    for fact in facts {
        if let Fact::Named(name, _) = fact {
            names.push(*name);
        }
    }
    assign(&mut names, sharing);
    for name in names {
        nameless.push((name, number));
    }
}

/// Gives `names` to the ports that share their number; leaves those that remain.
fn assign<'a>(names: &mut Vec<&'a str>, sharing: &mut [Draft<'a>]) {
    let mut unnamed = 0;
    for draft in &mut *sharing {
        let tells = |name: &&str| name.split('_').any(|part| part == draft.transport.as_str());
        match names.iter().position(tells) {
            Some(at) => draft.name = names.remove(at),
            None => unnamed += 1,
        }
    }
    let first_may_do_without = names.len() < unnamed; // as no other port of a Service may
    let wants = |draft: &&mut Draft<'_>| draft.name.is_empty() && !(first_may_do_without && draft.is_first);
    let mut wanting = sharing.iter_mut().filter(wants);
    if let ([name], Some(draft), None) = (&names[..], wanting.next(), wanting.next()) {
        draft.name = name;
        names.clear();
    }
}

/// The ports of drafts in the order of their numbers and protocols.
fn ports(drafts: &[Draft<'_>]) -> Vec<Port> {
    let taken: HashSet<&str> = drafts.iter().map(|draft| draft.name).collect();
    let one_is_unnamed = drafts.iter().filter(|draft| draft.name.is_empty()).count() <= 1;
    let mut ports = Vec::with_capacity(drafts.len());
    for draft in drafts {
        let name = match draft.name {
            "" if !one_is_unnamed => made_up(draft, &taken),
            name => name.to_owned(),
        };
        let place = if draft.is_first { 0 } else { ports.len() };
        ports.insert(place, port(draft, label(&name)));
    }
    ports
}

/// Written as a variable would have it.
fn made_up(draft: &Draft<'_>, taken: &HashSet<&str>) -> String {
    let mut name = format!("PORT_{}_{}", draft.number, draft.transport.as_str());
    while taken.contains(&*name) {
        name.push_str("_X");
    }
    name
}

fn port(draft: &Draft<'_>, name: String) -> Port {
    Port {
        name: name.into(),
        port: draft.number,
        transport: draft.transport,
        target: TargetPort::Number(draft.number),
        node_port: None,
        app_protocol: None,
    }
}
