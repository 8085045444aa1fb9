//! Listeners that cannot all be: two at one address, or one that an application is said to have.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use super::{ADMIN, FORWARD_PROXY, INBOUND, INBOUND_MAP, Listeners, OUTBOUND};
use crate::config::settings::SettingsReader;

/// Whose an address is. The order is that of `--help`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Outbound,
    Inbound,
    InboundMap,
    ForwardProxy,
    Admin,
}

/// Tells of each address that is wanted twice, and of each application that would be one of our own listeners.
pub(super) fn check(listeners: &Listeners, settings: &mut SettingsReader<'_>) {
    let wanted = wanted(listeners);
    for (index, &(owner, addr)) in wanted.iter().enumerate() {
        for &(other, taken) in &wanted[..index] {
            if overlap(addr, taken) {
                // A default is nobody's mistake.
                let (mistaken, addr, other, taken) = match owner.is_given(settings) {
                    true => (owner, addr, other, taken),
                    false => (other, taken, owner, addr),
                };
                let other = other.flag();
                mistaken.refuse(
                    settings,
                    format!("addresses of its own: `{addr}` is also `{taken}` of --{other}"),
                );
            }
        }
    }
    for mapping in &listeners.inbound_map {
        let application = mapping.application;
        if let Some((owner, taken)) = wanted.iter().find(|(_, addr)| is_reached_at(*addr, application)) {
            let owner = owner.flag();
            let expected =
                format!("where the application listens: `{application}` is our own `{taken}` of --{owner}");
            Owner::InboundMap.refuse(settings, expected);
        }
    }
}

fn wanted(listeners: &Listeners) -> Vec<(Owner, SocketAddr)> {
    let mapped: Vec<SocketAddr> = listeners
        .inbound_map
        .iter()
        .map(|mapping| SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), mapping.port))
        .collect();
    [
        (Owner::Outbound, &listeners.outbound),
        (Owner::Inbound, &listeners.inbound),
        (Owner::InboundMap, &mapped),
        (Owner::ForwardProxy, &listeners.forward_proxy),
        (Owner::Admin, &listeners.admin),
    ]
    .into_iter()
    .flat_map(|(owner, addrs)| addrs.iter().map(move |addr| (owner, *addr)))
    .collect()
}

/// Whether two sockets cannot listen at both. A port of 0 is any that is free; `[::]` takes IPv4 too.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let (ip, other_ip) = (one.ip().to_canonical(), other.ip().to_canonical());
    one.port() != 0
        && one.port() == other.port()
        && (ip == other_ip || covers(ip, other_ip) || covers(other_ip, ip))
}

/// Whether a socket at `wildcard`, if it is one, takes what comes to `ip`.
fn covers(wildcard: IpAddr, ip: IpAddr) -> bool {
    match wildcard {
        IpAddr::V4(any) => any.is_unspecified() && ip.is_ipv4(),
        IpAddr::V6(any) => any.is_unspecified(),
    }
}

/// Whether a connection to `target` comes to a socket that listens at `addr`. Behind a wildcard only what is certainly this pod's: its
/// loopback addresses, which `0.0.0.0` and `::` lead to as well.
fn is_reached_at(addr: SocketAddr, target: SocketAddr) -> bool {
    let (ip, target_ip) = (addr.ip().to_canonical(), target.ip().to_canonical());
    let is_of_pod = target_ip.is_loopback() || target_ip.is_unspecified();
    addr.port() != 0
        && addr.port() == target.port()
        && (ip == target_ip || (is_of_pod && (covers(ip, target_ip) || covers(target_ip, ip))))
}

impl Owner {
    fn flag(self) -> &'static str {
        match self {
            Owner::Outbound => OUTBOUND.name,
            Owner::Inbound => INBOUND.name,
            Owner::InboundMap => INBOUND_MAP.name,
            Owner::ForwardProxy => FORWARD_PROXY.name,
            Owner::Admin => ADMIN.name,
        }
    }

    fn is_given(self, settings: &SettingsReader<'_>) -> bool {
        match self {
            Owner::Outbound => settings.is_given(&OUTBOUND),
            Owner::Inbound => settings.is_given(&INBOUND),
            Owner::InboundMap => settings.is_given(&INBOUND_MAP),
            Owner::ForwardProxy => settings.is_given(&FORWARD_PROXY),
            Owner::Admin => settings.is_given(&ADMIN),
        }
    }

    fn refuse(self, settings: &mut SettingsReader<'_>, expected: String) {
        match self {
            Owner::Outbound => settings.refuse(&OUTBOUND, expected),
            Owner::Inbound => settings.refuse(&INBOUND, expected),
            Owner::InboundMap => settings.refuse(&INBOUND_MAP, expected),
            Owner::ForwardProxy => settings.refuse(&FORWARD_PROXY, expected),
            Owner::Admin => settings.refuse(&ADMIN, expected),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_wildcard_takes_every_address_of_its_family_and_ipv6s_takes_both() {
        for (one, other) in [
            ("127.0.0.1:1", "127.0.0.1:1"),
            ("0.0.0.0:1", "127.0.0.1:1"),
            ("[::]:1", "127.0.0.1:1"),
            ("[::]:1", "0.0.0.0:1"),
            ("[::]:1", "[::1]:1"),
            ("[::ffff:127.0.0.1]:1", "127.0.0.1:1"),
        ] {
            assert!(overlap(at(one), at(other)) && overlap(at(other), at(one)), "{one} {other}");
        }
        for (one, other) in [
            ("127.0.0.1:1", "127.0.0.2:1"),
            ("127.0.0.1:1", "127.0.0.1:2"),
            ("127.0.0.1:1", "[::1]:1"),
            ("0.0.0.0:1", "[::1]:1"),
            ("[::]:0", "[::]:0"),
        ] {
            assert!(!overlap(at(one), at(other)) && !overlap(at(other), at(one)), "{one} {other}");
        }
    }

    #[test]
    fn an_application_is_not_one_of_our_listeners_however_it_is_written() {
        for (listener, application) in [
            ("[::]:1", "127.0.0.1:1"),
            ("[::]:1", "[::1]:1"),
            ("[::]:1", "0.0.0.0:1"),
            ("127.0.0.1:1", "0.0.0.0:1"),
            ("10.0.0.1:1", "10.0.0.1:1"),
            ("0.0.0.0:1", "127.5.5.5:1"),
        ] {
            assert!(is_reached_at(at(listener), at(application)), "{listener} {application}");
        }
        for (listener, application) in [
            ("[::]:1", "127.0.0.1:2"),
            ("127.0.0.1:1", "127.0.0.2:1"),
            ("[::]:1", "10.0.0.1:1"),
            ("[::]:0", "0.0.0.0:1"),
        ] {
            assert!(!is_reached_at(at(listener), at(application)), "{listener} {application}");
        }
    }
}
