use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::*;
use crate::address::{EndpointAddr, Transport};
use crate::endpoints::EndpointId;
use crate::samples::{port, service};
use crate::service::Port;
use crate::time::Now;

mod fairness;
mod history;
mod models;
mod simulation;

fn member(last_octet: u8, weight: u16) -> Member {
    let addr = SocketAddr::from((Ipv4Addr::new(10, 0, 0, last_octet), 80));
    Member {
        id: EndpointId(u64::from(last_octet)),
        addr: EndpointAddr(addr),
        weight,
        stats: Default::default(),
    }
}

pub(super) fn group(last_octets: impl IntoIterator<Item = u8>) -> Vec<Member> {
    last_octets.into_iter().map(|last_octet| member(last_octet, 1)).collect()
}

pub(super) const CALLER: Caller = Caller {
    client: IpAddr::V4(Ipv4Addr::new(10, 9, 0, 1)),
    destination: IpAddr::V4(Ipv4Addr::new(10, 96, 0, 1)),
};

/// Asks once, for a caller that has failed on `tried`.
fn pick<'a>(balancer: &mut Balancer, members: &'a [Member], tried: &Tried, draw: u64) -> Option<&'a Member> {
    balancer.meet(members);
    let ask = Ask { caller: CALLER, tried, replayable: true };
    balancer.pick(members, &ask, Now::default(), draw).map(|index| &members[index])
}

/// How many picks each endpoint got.
fn counts(
    balancer: &mut Balancer,
    members: &[Member],
    draws: impl Iterator<Item = u64>,
) -> BTreeMap<u64, u32> {
    let mut counts = BTreeMap::new();
    for draw in draws {
        let picked = pick(balancer, members, &Tried::NONE, draw).expect("one of them has a weight");
        *counts.entry(picked.id.0).or_default() += 1;
    }
    counts
}

/// Numbers spread evenly over `u64`: multiples of 2^64 divided by the golden ratio.
pub(super) fn even_draws(count: u64) -> impl Iterator<Item = u64> {
    (0..count).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

#[test]
fn thirty_in_a_row_over_three_are_ten_each_wherever_it_starts() {
    for draw in [0, u64::MAX / 2, u64::MAX] {
        let mut balancer = Balancer::new(Policy::RoundRobin);
        let counts = counts(&mut balancer, &group([1, 2, 3]), core::iter::repeat_n(draw, 30));
        assert_eq!(counts, BTreeMap::from([(1, 10), (2, 10), (3, 10)]));
    }
}

#[test]
fn round_robin_starts_anywhere() {
    let first =
        |draw| pick(&mut Balancer::new(Policy::RoundRobin), &group(0..4), &Tried::NONE, draw).unwrap().id.0;
    assert_eq!([0, 1 << 62, 2 << 62, 3 << 62].map(first), [0, 1, 2, 3]);
}

#[test]
fn random_gives_each_its_share_and_the_share_of_a_weightless_one_to_all() {
    let draws = || even_draws(9_000);
    let spread = counts(&mut Balancer::new(Policy::Random), &group([1, 2, 3]), draws());
    assert!(spread.values().all(|count| (2_900..3_100).contains(count)), "{spread:?}");

    let one_without = [member(1, 1), member(2, 0), member(3, 7), member(4, 1)];
    let spread = counts(&mut Balancer::new(Policy::Random), &one_without, draws());
    assert!(spread.len() == 3 && spread.values().all(|count| (2_800..3_200).contains(count)), "{spread:?}");
}

#[test]
fn nobody_is_picked_where_nobody_is_left() {
    for policy in Policy::ALL {
        let mut balancer = Balancer::new(policy);
        assert!(pick(&mut balancer, &[], &Tried::NONE, 7).is_none());
        assert!(pick(&mut balancer, &[member(1, 0), member(2, 0)], &Tried::NONE, 7).is_none());
        let mut tried = Tried::NONE;
        tried.insert(EndpointId(1));
        assert_eq!(pick(&mut balancer, &group([1, 2]), &tried, 7).unwrap().id.0, 2);
        tried.insert(EndpointId(2));
        assert!(pick(&mut balancer, &group([1, 2]), &tried, 7).is_none());
        (0..100).for_each(|id| tried.insert(EndpointId(id)));
        assert!(pick(&mut balancer, &group([200, 201]), &tried, 7).is_none());
    }
}

#[test]
fn the_annotation_of_the_service_decides() {
    let mut service = service("shop", "web");
    let both = |service: &Service| [Unit::Connection, Unit::Request].map(|unit| Policy::of(service, unit));
    assert_eq!(both(&service), [Policy::RoundRobin, Policy::TwoChoices]);
    service.handling.policy = Some(Policy::Random);
    assert_eq!(both(&service), [Policy::Random; 2]);
}

#[test]
fn what_is_shown_is_the_policy_of_requests_where_there_may_be_any() {
    let shown = |ports: &[(&str, Transport)]| {
        let port = |(name, transport): &(&str, Transport)| Port { transport: *transport, ..port(name, 80) };
        Policy::shown(&Service { ports: ports.iter().map(port).collect(), ..service("shop", "web") })
    };
    assert_eq!(shown(&[("redis", Transport::Tcp), ("", Transport::Tcp)]), Policy::TwoChoices);
    assert_eq!(shown(&[("redis", Transport::Tcp), ("http", Transport::Udp)]), Policy::RoundRobin);
    assert_eq!(shown(&[]), Policy::RoundRobin);
}
