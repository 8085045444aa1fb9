//! What a DNS server's answer says: records, an alias to follow, a circle, or nothing.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

/// One place that a name leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Record {
    /// The address.
    pub address: IpAddr,
    /// The port, where the record names one (SRV): else it is the one that the client asked for.
    pub port: Option<u16>,
    /// Its share beside the others.
    pub weight: u16,
}

impl Record {
    /// An address, of equal share.
    pub fn of(address: IpAddr) -> Record {
        Record { address: address.to_canonical(), port: None, weight: 1 }
    }
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
    /// Targets with ports (RFC 2782).
    Srv,
}

/// One resource record of an answer. Names are in lower case, without a dot at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Whose record it is.
    pub owner: Arc<str>,
    /// How long it may be kept.
    pub lifetime: Duration,
    /// What it says.
    pub data: Data,
}

/// What a resource record says, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// A, AAAA.
    Address(IpAddr),
    /// CNAME.
    Alias(Arc<str>),
    /// SRV.
    Service(Srv),
}

/// An SRV record (RFC 2782).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Srv {
    /// Lower comes first; what is higher is a reserve, which is left to DNS to bring forward.
    pub priority: u16,
    /// Its share beside those of the same priority.
    pub weight: u16,
    /// Where the target listens.
    pub port: u16,
    /// The host; empty for the root, which says that there is no such service.
    pub target: Arc<str>,
}

/// What an answer comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// The addresses of the name, or of what it is an alias of. `through` is the last alias, if any.
    Addresses {
        /// In the order of the answer.
        addresses: Vec<IpAddr>,
        /// The least of all lifetimes on the way.
        lifetime: Duration,
        /// The name that they belong to, where that is not the one asked for.
        through: Option<Arc<str>>,
    },
    /// The SRV records of the lowest priority.
    Services {
        /// In the order of the answer; none whose target is the root.
        services: Vec<Srv>,
        /// The least of all lifetimes on the way.
        lifetime: Duration,
    },
    /// The answer ends at an alias, which is to be asked for.
    Alias {
        /// Its name.
        name: Arc<str>,
        /// The least of all lifetimes on the way.
        lifetime: Duration,
    },
    /// The aliases go round in a circle, or are too many.
    Loop,
    /// It says nothing on what was asked.
    Nothing,
}

/// Reads the answer to a question for the records of `kind` of `name`. `hops` aliases have been followed before.
pub fn read(name: &str, kind: Kind, resources: &[Resource], hops: usize) -> Reading {
    let mut owner = name;
    let mut lifetime = Duration::MAX;
    let mut seen = [name; ALIAS_HOPS_MAX + 1];
    for hop in hops..=ALIAS_HOPS_MAX {
        let own = resources.iter().filter(|resource| *resource.owner == *owner);
        let wanted = own.clone().filter(|resource| is_of(&resource.data, kind));
        if let Some(shortest) = wanted.clone().map(|resource| resource.lifetime).min() {
            let through = (owner != name).then(|| Arc::from(owner));
            return collect(wanted, lifetime.min(shortest), through);
        }
        let alias = own.clone().find_map(|resource| match &resource.data {
            Data::Alias(target) => Some((target, resource.lifetime)),
            Data::Address(_) | Data::Service(_) => None,
        });
        match alias {
            None if owner == name => return Reading::Nothing,
            None => return Reading::Alias { name: owner.into(), lifetime },
            Some((target, _)) if seen.contains(&&**target) => return Reading::Loop,
            Some((target, shortest)) => {
                (owner, lifetime) = (target, lifetime.min(shortest));
                seen[hop] = target;
            }
        }
    }
    Reading::Loop
}

fn is_of(data: &Data, kind: Kind) -> bool {
    match data {
        Data::Address(address) => {
            (kind == Kind::A && address.is_ipv4()) || (kind == Kind::Aaaa && address.is_ipv6())
        }
        Data::Service(_) => kind == Kind::Srv,
        Data::Alias(_) => false,
    }
}

fn collect<'a>(
    wanted: impl Iterator<Item = &'a Resource>,
    lifetime: Duration,
    through: Option<Arc<str>>,
) -> Reading {
    let (mut addresses, mut services) = (Vec::new(), Vec::new());
    for resource in wanted {
        match &resource.data {
            Data::Address(address) => addresses.push(*address),
            Data::Service(service) => services.push(service.clone()),
            Data::Alias(_) => {}
        }
    }
    match services.is_empty() {
        true => Reading::Addresses { addresses, lifetime, through },
        false => Reading::Services { services: foremost(services), lifetime },
    }
}

/// Those of the lowest priority. Where all weights are 0 there is nothing to choose by, and all are equal (RFC 2782).
fn foremost(mut services: Vec<Srv>) -> Vec<Srv> {
    let first = services.iter().map(|service| service.priority).min();
    services.retain(|service| Some(service.priority) == first && !service.target.is_empty());
    if services.iter().all(|service| service.weight == 0) {
        services.iter_mut().for_each(|service| service.weight = 1);
    }
    services
}

/// Aliases followed for one name, in one answer or over several: CoreDNS and BIND give up at 8 to 16.
pub const ALIAS_HOPS_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::samples::ip;

    fn resource(owner: &str, seconds: u64, data: Data) -> Resource {
        Resource { owner: owner.into(), lifetime: Duration::from_secs(seconds), data }
    }

    fn address(owner: &str, seconds: u64, address: &str) -> Resource {
        resource(owner, seconds, Data::Address(ip(address)))
    }

    fn alias(owner: &str, seconds: u64, target: &str) -> Resource {
        resource(owner, seconds, Data::Alias(target.into()))
    }

    fn srv(priority: u16, weight: u16, target: &str) -> Resource {
        let data = Srv { priority, weight, port: 8080, target: target.into() };
        resource("_http._tcp.web", 30, Data::Service(data))
    }

    #[test]
    fn addresses_of_the_family_asked_for_are_taken_and_strangers_are_not() {
        let answer = [address("a", 30, "10.0.0.1"), address("b", 5, "10.0.0.2"), address("a", 20, "fd00::1")];
        let expected = Reading::Addresses {
            addresses: vec![ip("10.0.0.1")],
            lifetime: Duration::from_secs(30),
            through: None,
        };
        assert_eq!(read("a", Kind::A, &answer, 0), expected);
        assert_eq!(read("c", Kind::A, &answer, 0), Reading::Nothing);
    }

    #[test]
    fn aliases_are_followed_whatever_their_order_and_the_shortest_life_counts() {
        let answer = [address("c", 30, "10.0.0.1"), alias("b", 7, "c"), alias("a", 60, "b")];
        let expected = Reading::Addresses {
            addresses: vec![ip("10.0.0.1")],
            lifetime: Duration::from_secs(7),
            through: Some("c".into()),
        };
        assert_eq!(read("a", Kind::A, &answer, 0), expected);
    }

    #[test]
    fn an_answer_that_ends_at_an_alias_says_whom_to_ask_next() {
        let answer = [alias("a", 60, "b"), alias("b", 7, "c")];
        let expected = Reading::Alias { name: "c".into(), lifetime: Duration::from_secs(7) };
        assert_eq!(read("a", Kind::A, &answer, 0), expected);
    }

    #[test]
    fn a_circle_of_aliases_is_told() {
        for answer in [
            vec![alias("a", 60, "a")],
            vec![alias("a", 60, "b"), alias("b", 60, "a")],
            vec![alias("a", 60, "b"), alias("b", 60, "c"), alias("c", 60, "b")],
        ] {
            assert_eq!(read("a", Kind::A, &answer, 0), Reading::Loop, "{answer:?}");
        }
    }

    #[test]
    fn too_many_aliases_are_a_circle_also_over_several_answers() {
        let names: Vec<_> = (0..=9).map(|number| alloc::format!("n{number}")).collect();
        let chain = |last: usize| -> Vec<Resource> {
            let mut answer: Vec<_> =
                (0..last).map(|number| alias(&names[number], 60, &names[number + 1])).collect();
            answer.push(address(&names[last], 60, "10.0.0.1"));
            answer
        };
        assert!(matches!(read("n0", Kind::A, &chain(8), 0), Reading::Addresses { .. }));
        assert_eq!(read("n0", Kind::A, &chain(9), 0), Reading::Loop);
        assert!(matches!(read("n0", Kind::A, &chain(2), 6), Reading::Addresses { .. }));
        assert_eq!(read("n0", Kind::A, &chain(2), 7), Reading::Loop);
    }

    #[track_caller]
    fn check_services(answer: &[Resource], expected: &[(&str, u16)]) {
        let Reading::Services { services, .. } = read("_http._tcp.web", Kind::Srv, answer, 0) else {
            panic!("no services");
        };
        let found: Vec<_> = services.iter().map(|service| (&*service.target, service.weight)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn the_lowest_priority_is_served_by_weight() {
        check_services(&[srv(10, 3, "a"), srv(20, 1, "b"), srv(10, 1, "c")], &[("a", 3), ("c", 1)]);
        check_services(&[srv(0, 0, "a"), srv(0, 0, "b")], &[("a", 1), ("b", 1)]);
        check_services(&[srv(0, 0, "a"), srv(0, 5, "b")], &[("a", 0), ("b", 5)]);
    }

    #[test]
    fn the_root_as_a_target_is_no_service() {
        check_services(&[srv(0, 0, "")], &[]);
    }
}
