//! What a DNS server's answer says: records, an alias to follow, that there is nothing, or that it leads nowhere.

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
    /// Lower comes first (SRV): one that is higher is for when none below it may be used.
    pub priority: u16,
}

impl Record {
    /// An address, of equal share.
    pub fn of(address: IpAddr) -> Record {
        Record { address: address.to_canonical(), port: None, weight: 1, priority: 0 }
    }
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum QueryType {
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
    /// Lower comes first; what is higher is a reserve.
    pub priority: u16,
    /// Its share beside those of the same priority.
    pub weight: u16,
    /// Where the target listens.
    pub port: u16,
    /// The host; empty for the root, which says that there is no such service.
    pub target: Arc<str>,
}

/// A name and its aliases, in the order in which they were met, in one answer or over several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AliasChain {
    name: Arc<str>,
    aliases: Vec<Arc<str>>,
}

impl AliasChain {
    /// Begins with the name that is asked for.
    pub fn new(name: Arc<str>) -> AliasChain {
        AliasChain { name, aliases: Vec::new() }
    }

    /// The name whose records count.
    pub fn end(&self) -> &Arc<str> {
        self.aliases.last().unwrap_or(&self.name)
    }

    /// Whether the records belong to another name than the one asked for.
    pub fn is_alias(&self) -> bool {
        !self.aliases.is_empty()
    }

    fn follow(&mut self, alias: &Arc<str>) -> Result<(), BrokenChain> {
        if self.name == *alias || self.aliases.contains(alias) {
            return Err(BrokenChain::Circle);
        }
        if self.aliases.len() >= ALIAS_HOPS_MAX {
            return Err(BrokenChain::TooLong);
        }
        self.aliases.push(Arc::clone(alias));
        Ok(())
    }
}

/// Why aliases lead nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrokenChain {
    /// One of them leads back to one before it.
    Circle,
    /// There are more than [`ALIAS_HOPS_MAX`].
    TooLong,
}

/// What an answer comes to. A lifetime is the least of all on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnswerReading {
    /// The addresses of the end of the chain, in the order of the answer.
    Addresses {
        /// At least one.
        addresses: Vec<IpAddr>,
        /// How long they hold.
        lifetime: Duration,
    },
    /// The SRV records, by priority and in the order of the answer; none whose target is the root.
    Services {
        /// What they say.
        services: Vec<Srv>,
        /// How long they hold.
        lifetime: Duration,
    },
    /// The answer ends at an alias, the new end of the chain, which is to be asked for.
    Alias {
        /// How long the way there holds.
        lifetime: Duration,
    },
    /// Its aliases lead nowhere.
    Broken(BrokenChain),
    /// It says nothing on what was asked.
    Nothing,
}

/// Reads the answer to a question for the records of `kind` of the end of `chain`, which grows by the aliases in it.
pub fn read(chain: &mut AliasChain, kind: QueryType, resources: &[Resource]) -> AnswerReading {
    let mut lifetime = Duration::MAX;
    let followed = chain.aliases.len();
    loop {
        let own = resources.iter().filter(|resource| resource.owner == *chain.end());
        let wanted = own.clone().filter(|resource| is_of(&resource.data, kind));
        if let Some(shortest) = wanted.clone().map(|resource| resource.lifetime).min() {
            return collect(wanted, lifetime.min(shortest));
        }
        let alias = own.clone().find_map(|resource| match &resource.data {
            Data::Alias(target) => Some((target, resource.lifetime)),
            Data::Address(_) | Data::Service(_) => None,
        });
        match alias {
            None if chain.aliases.len() == followed => return AnswerReading::Nothing,
            None => return AnswerReading::Alias { lifetime },
            Some((target, shortest)) => {
                lifetime = lifetime.min(shortest);
                if let Err(broken) = chain.follow(target) {
                    return AnswerReading::Broken(broken);
                }
            }
        }
    }
}

fn is_of(data: &Data, kind: QueryType) -> bool {
    match data {
        Data::Address(address) => {
            (kind == QueryType::A && address.is_ipv4()) || (kind == QueryType::Aaaa && address.is_ipv6())
        }
        Data::Service(_) => kind == QueryType::Srv,
        Data::Alias(_) => false,
    }
}

fn collect<'a>(wanted: impl Iterator<Item = &'a Resource>, lifetime: Duration) -> AnswerReading {
    let (mut addresses, mut services) = (Vec::new(), Vec::new());
    for resource in wanted {
        match &resource.data {
            Data::Address(address) => addresses.push(*address),
            Data::Service(service) => services.push(service.clone()),
            Data::Alias(_) => {}
        }
    }
    match services.is_empty() {
        true => AnswerReading::Addresses { addresses, lifetime },
        false => AnswerReading::Services { services: by_priority(services), lifetime },
    }
}

/// Where all weights of a priority are 0 there is nothing to choose by, and all are equal (RFC 2782).
fn by_priority(mut services: Vec<Srv>) -> Vec<Srv> {
    services.retain(|service| !service.target.is_empty());
    services.sort_by_key(|service| service.priority);
    for group in services.chunk_by_mut(|a, b| a.priority == b.priority) {
        if group.iter().all(|service| service.weight == 0) {
            group.iter_mut().for_each(|service| service.weight = 1);
        }
    }
    services
}

/// Aliases followed for one name, in one answer or over several: as many as BIND follows. Chains in the field, of content networks, have
/// up to 8.
pub const ALIAS_HOPS_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
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

    fn chain(names: &[&str]) -> AliasChain {
        let mut names = names.iter().map(|&name| Arc::from(name));
        AliasChain { name: names.next().unwrap(), aliases: names.collect() }
    }

    /// What is read of `name`, and the chain that it leaves.
    fn reads(name: &str, answer: &[Resource]) -> (AnswerReading, AliasChain) {
        let mut chain = chain(&[name]);
        let reading = read(&mut chain, QueryType::A, answer);
        (reading, chain)
    }

    fn leads_to(addresses: &[&str], seconds: u64) -> AnswerReading {
        let addresses = addresses.iter().map(|address| ip(address)).collect();
        AnswerReading::Addresses { addresses, lifetime: Duration::from_secs(seconds) }
    }

    #[test]
    fn addresses_of_the_family_asked_for_are_taken_and_those_of_other_names_are_not() {
        let answer = [address("a", 30, "10.0.0.1"), address("b", 5, "10.0.0.2"), address("a", 20, "fd00::1")];
        assert_eq!(reads("a", &answer), (leads_to(&["10.0.0.1"], 30), chain(&["a"])));
        assert_eq!(reads("c", &answer).0, AnswerReading::Nothing);
    }

    #[test]
    fn aliases_are_followed_whatever_their_order_and_the_shortest_life_counts() {
        let answer = [address("c", 30, "10.0.0.1"), alias("b", 7, "c"), alias("a", 60, "b")];
        assert_eq!(reads("a", &answer), (leads_to(&["10.0.0.1"], 7), chain(&["a", "b", "c"])));
    }

    #[test]
    fn an_answer_that_ends_at_an_alias_says_whom_to_ask_next() {
        let answer = [alias("a", 60, "b"), alias("b", 7, "c")];
        let expected = AnswerReading::Alias { lifetime: Duration::from_secs(7) };
        assert_eq!(reads("a", &answer), (expected, chain(&["a", "b", "c"])));
    }

    #[test]
    fn a_circle_of_aliases_is_told() {
        for answer in [
            vec![alias("a", 60, "a")],
            vec![alias("a", 60, "b"), alias("b", 60, "a")],
            vec![alias("a", 60, "b"), alias("b", 60, "c"), alias("c", 60, "b")],
        ] {
            assert_eq!(reads("a", &answer).0, AnswerReading::Broken(BrokenChain::Circle), "{answer:?}");
        }
        let mut chain = chain(&["a", "b", "c"]);
        let reading = read(&mut chain, QueryType::A, &[alias("c", 60, "b")]);
        assert_eq!(reading, AnswerReading::Broken(BrokenChain::Circle), "over several answers");
    }

    #[test]
    fn sixteen_aliases_are_followed_and_more_are_too_many_but_no_circle() {
        let names: Vec<_> = (0..=17).map(|number| alloc::format!("n{number}")).collect();
        let answer = |from: usize, to: usize| -> Vec<Resource> {
            let mut answer: Vec<_> =
                (from..to).map(|number| alias(&names[number], 60, &names[number + 1])).collect();
            answer.push(address(&names[to], 60, "10.0.0.1"));
            answer
        };
        assert_eq!(reads("n0", &answer(0, 16)).0, leads_to(&["10.0.0.1"], 60));
        assert_eq!(reads("n0", &answer(0, 17)).0, AnswerReading::Broken(BrokenChain::TooLong));
        for step in [1, 3, 5, 16] {
            let mut chain = chain(&["n0"]);
            let mut last = AnswerReading::Nothing;
            for from in (0..17).step_by(step) {
                let to = (from + step).min(17);
                let mut part = answer(from, to);
                part.pop();
                last = read(&mut chain, QueryType::A, &part);
            }
            assert_eq!(last, AnswerReading::Broken(BrokenChain::TooLong), "over answers of {step} aliases");
        }
    }

    #[track_caller]
    fn check_services(answer: &[Resource], expected: &[(&str, u16, u16)]) {
        let read = read(&mut chain(&["_http._tcp.web"]), QueryType::Srv, answer);
        let AnswerReading::Services { services, .. } = read else { panic!("no services") };
        let of = |service: &Srv| (service.target.to_string(), service.weight, service.priority);
        let expected: Vec<_> = expected
            .iter()
            .map(|&(target, weight, priority)| (target.to_string(), weight, priority))
            .collect();
        assert_eq!(services.iter().map(of).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn services_come_by_priority_and_their_weights_are_of_their_priority() {
        check_services(
            &[srv(10, 3, "a"), srv(20, 0, "b"), srv(10, 1, "c")],
            &[("a", 3, 10), ("c", 1, 10), ("b", 1, 20)],
        );
        check_services(&[srv(0, 0, "a"), srv(0, 0, "b")], &[("a", 1, 0), ("b", 1, 0)]);
        check_services(&[srv(0, 0, "a"), srv(0, 5, "b")], &[("a", 0, 0), ("b", 5, 0)]);
    }

    #[test]
    fn the_root_as_a_target_is_no_service() {
        check_services(&[srv(0, 0, "")], &[]);
        check_services(&[srv(0, 0, ""), srv(1, 0, "a")], &[("a", 1, 1)]);
    }
}
