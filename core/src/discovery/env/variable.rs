//! One variable: which Services it may belong to, and what it then says.

use alloc::string::String;
use core::net::{IpAddr, SocketAddr};

use crate::address::Transport;

/// What a variable says about the Service whose prefix it bears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fact<'a> {
    /// `_SERVICE_PORT`: the number of the first port.
    First(u16),
    /// `_SERVICE_PORT_<NAME>`: a port's name as the variable has it, and number.
    Named(&'a str, u16),
    /// `_PORT`: the first port as a URL.
    FirstLink(DockerLink),
    /// `_PORT_<number>_<PROTOCOL>`: any port as a URL.
    Link(DockerLink),
}

impl Fact<'_> {
    /// The number of the port that it is about.
    pub(super) fn port(&self) -> u16 {
        match self {
            Fact::First(number) | Fact::Named(_, number) => *number,
            Fact::FirstLink(link) | Fact::Link(link) => link.port,
        }
    }

    /// The protocol that it tells.
    pub(super) fn transport(&self) -> Option<Transport> {
        match self {
            Fact::First(_) | Fact::Named(..) => None,
            Fact::FirstLink(link) | Fact::Link(link) => Some(link.transport),
        }
    }
}

/// A port as Docker's links write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DockerLink {
    pub(super) address: IpAddr,
    pub(super) port: u16,
    pub(super) transport: Transport,
}

/// The ways to read `name` as a prefix and a fact, longest prefix first. `Err`: the name fits, the value does
/// not; it tells what was expected.
///
/// There can be several, because `_SERVICE_PORT` may be part of a Service's name: `FOO_SERVICE_PORT` is the
/// number of `foo`, or the URL of `foo-service`. The value's shape tells which; where it does not, the longer
/// prefix is right unless its owner does not exist.
pub(super) fn readings<'a>(
    name: &'a str,
    value: &'a str,
) -> impl Iterator<Item = (&'a str, Result<Fact<'a>, &'static str>)> {
    name.rmatch_indices('_').filter_map(move |(at, _)| {
        let (prefix, rest) = name.split_at(at);
        Some((prefix, fact(rest, value)?))
    })
}

fn fact<'a>(rest: &'a str, value: &str) -> Option<Result<Fact<'a>, &'static str>> {
    if let Some(named) = rest.strip_prefix("_SERVICE_PORT") {
        let number = port_number(value).ok_or("a port from 1 to 65535");
        return match named.strip_prefix('_') {
            None if named.is_empty() => Some(number.map(Fact::First)),
            None => None,
            Some(name) => is_label(name).then(|| number.map(|number| Fact::Named(name, number))),
        };
    }
    let link = rest.strip_prefix("_PORT")?;
    let url = url(value).ok_or("a URL such as `tcp://10.0.0.1:80`");
    match link.strip_prefix('_') {
        None if link.is_empty() => Some(url.map(Fact::FirstLink)),
        None => None,
        Some(port) => port_and_transport(port).map(|named| {
            let agreeing = url.ok().filter(|url| (url.port, url.transport) == named);
            agreeing.map(Fact::Link).ok_or("a URL with the port and the protocol of the name")
        }),
    }
}

/// The variable whose URL `name` repeats a part of: `X_PORT_80_TCP` for `X_PORT_80_TCP_ADDR`.
pub(super) fn url_variable(name: &str) -> Option<&str> {
    let url_variable = ["_PROTO", "_PORT", "_ADDR"].into_iter().find_map(|part| name.strip_suffix(part))?;
    let (before, transport) = url_variable.rsplit_once('_')?;
    let (before, number) = before.rsplit_once('_')?;
    let is_url = before.ends_with("_PORT") && port_number(number).is_some();
    (is_url && transport_named(transport).is_some()).then_some(url_variable)
}

/// Whether this part of a variable is a label, of which the kubelet made upper case, and `_` of `-`.
pub(super) fn is_label(part: &str) -> bool {
    let is_made_of_label = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    (1..=63).contains(&part.len())
        && part.bytes().all(is_made_of_label)
        && !part.starts_with('_')
        && !part.ends_with('_')
}

/// The label that was made such a part of a variable.
pub(super) fn label(part: &str) -> String {
    part.to_ascii_lowercase().replace('_', "-")
}

/// `80_TCP`
fn port_and_transport(raw: &str) -> Option<(u16, Transport)> {
    let (port, transport) = raw.split_once('_')?;
    Some((port_number(port)?, transport_named(transport)?))
}

/// `tcp://10.0.0.1:80`, `udp://[2001:db8::1]:53`
fn url(raw: &str) -> Option<DockerLink> {
    let (scheme, rest) = raw.split_once(':')?;
    let authority = rest.strip_prefix("//")?;
    let transport =
        TRANSPORTS.into_iter().find(|transport| transport.as_str().to_ascii_lowercase() == scheme)?;
    let authority: SocketAddr =
        authority.parse().ok().filter(|authority: &SocketAddr| authority.port() != 0)?;
    Some(DockerLink { address: authority.ip(), port: authority.port(), transport })
}

/// As the kubelet writes it: no sign, no leading zero.
fn port_number(raw: &str) -> Option<u16> {
    let starts_right = raw.starts_with(|first: char| ('1'..='9').contains(&first));
    raw.parse().ok().filter(|_| starts_right)
}

fn transport_named(raw: &str) -> Option<Transport> {
    TRANSPORTS.into_iter().find(|transport| transport.as_str() == raw)
}

/// In their order.
pub(super) const TRANSPORTS: [Transport; 3] = [Transport::Tcp, Transport::Udp, Transport::Sctp];

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn a_variable_can_be_read_for_each_prefix_it_has() {
        let link = DockerLink { address: IpAddr::from([10, 0, 0, 1]), port: 80, transport: Transport::Tcp };
        let read: Vec<_> = readings("FOO_SERVICE_PORT", "tcp://10.0.0.1:80").collect();
        assert_eq!(
            read,
            [("FOO_SERVICE", Ok(Fact::FirstLink(link))), ("FOO", Err("a port from 1 to 65535"))]
        );
        let read: Vec<_> = readings("A_SERVICE_PORT_B_SERVICE_PORT", "80").skip(1).collect();
        assert_eq!(
            read,
            [("A_SERVICE_PORT_B", Ok(Fact::First(80))), ("A", Ok(Fact::Named("B_SERVICE_PORT", 80)))]
        );
    }

    #[test]
    fn a_urls_name_and_value_agree() {
        let facts = |name, value| readings(name, value).next().map(|(_, fact)| fact.is_ok());
        assert_eq!(facts("A_PORT_80_TCP", "tcp://1.2.3.4:80"), Some(true));
        assert_eq!(facts("A_PORT_80_SCTP", "sctp://[2001:db8::1]:80"), Some(true));
        for value in
            ["tcp://1.2.3.4:81", "udp://1.2.3.4:80", "tcp://[1.2.3.4]:80", "1.2.3.4:80", "tcp://a:80", ""]
        {
            assert_eq!(facts("A_PORT_80_TCP", value), Some(false), "{value}");
        }
    }

    #[test]
    fn other_variables_say_nothing() {
        for name in [
            "PATH",
            "A_PORTS",
            "A_PORT_X",
            "A_PORT_80",
            "A_PORT_080_TCP",
            "A_PORT_80_tcp",
            "A_SERVICE_PORT_",
            "A_SERVICE_PORT_b",
        ] {
            assert_eq!(readings(name, "80").count(), 0, "{name}");
        }
    }

    #[test]
    fn ports_are_written_as_the_kubelet_writes_them() {
        assert_eq!(port_number("65535"), Some(65535));
        for raw in ["", "0", "65536", "+80", "080", "80 ", "-1", "8O"] {
            assert_eq!(port_number(raw), None, "{raw}");
        }
    }

    #[test]
    fn the_parts_of_a_url_know_their_url() {
        assert_eq!(url_variable("A_PORT_80_TCP_ADDR"), Some("A_PORT_80_TCP"));
        assert_eq!(url_variable("A_PORT_80_TCP_PORT"), Some("A_PORT_80_TCP"));
        assert_eq!(url_variable("A_SERVICE_PORT"), None);
        assert_eq!(url_variable("A_PORT_80_TCP"), None);
    }
}
