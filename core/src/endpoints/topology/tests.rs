//! The hard cases one by one, and random endpoints against a slow model.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::SocketAddr;

use proptest::prelude::*;

use super::*;
use crate::address::EndpointAddr;
use crate::endpoints::{EndpointId, EndpointSet};
use crate::samples::{service, text};

/// A Service with this `trafficDistribution`, `Local`, or neither where it is empty.
fn asking(policy: &str) -> Service {
    let mut web = service("shop", "web");
    match policy {
        "" => {}
        "Local" => web.internal_traffic_local = true,
        other => web.traffic_distribution = Some(text(other)),
    }
    web
}

/// This pod on a node in a zone; `-` where one is not known.
fn here(node: &str, zone: &str) -> Here {
    let known = |name| Some(text(name)).filter(|name| **name != *"-");
    Here { node: known(node), zone: known(zone) }
}

/// An endpoint in a few words: its condition, then of `node=a`, `zone=x`, `for-nodes=a,b` and `for-zones=x,y` what it has.
fn endpoint(index: usize, words: &str) -> Endpoint {
    let (condition, words) = words.split_once(' ').unwrap_or((words, ""));
    let mut place = Locality::default();
    for word in words.split_whitespace() {
        let (name, value) = word.split_once('=').unwrap();
        let values = value.split(',').map(text).collect();
        match name {
            "node" => place.node = Some(text(value)),
            "zone" => place.zone = Some(text(value)),
            "for-nodes" => place.hints.nodes = values,
            "for-zones" => place.hints.zones = values,
            other => panic!("no {other}"),
        }
    }
    let (ready, serving, terminating) = match condition {
        "ready" => (true, true, false),
        "leaving" => (false, true, true),
        "gone" => (false, false, true),
        "unready" => (false, false, false),
        other => panic!("no {other}"),
    };
    made(index, (ready, serving, terminating), place)
}

fn made(index: usize, (ready, serving, terminating): (bool, bool, bool), place: Locality) -> Endpoint {
    let octet = u8::try_from(index).unwrap();
    Endpoint {
        id: EndpointId(u64::from(octet)),
        addr: EndpointAddr(SocketAddr::from(([10, 0, 0, octet], 80))),
        ready,
        serving,
        terminating,
        weight: 1,
        place: Some(Arc::new(place)).filter(|place| **place != Locality::default()),
        hostname: None,
    }
}

/// The indices of the endpoints that may be used.
fn usable(service: &Service, here: &Here, endpoints: &[Endpoint]) -> Vec<usize> {
    let set = EndpointSet::near(endpoints.iter().cloned(), Topology::of(service, here));
    assert_eq!(set.all().len(), endpoints.len(), "all of them stay known");
    set.usable().iter().map(|endpoint| endpoint.id.0 as usize).collect()
}

#[track_caller]
fn check(policy: &str, here: &Here, endpoints: &[&str], expected: &[usize]) {
    let endpoints: Vec<_> =
        endpoints.iter().enumerate().map(|(index, words)| endpoint(index, words)).collect();
    assert_eq!(usable(&asking(policy), here, &endpoints), expected);
}

#[test]
fn each_zone_of_an_uneven_spread_has_its_own_endpoints_and_no_more() {
    let spread: Vec<String> = [("x", 4), ("y", 4), ("z", 3)]
        .iter()
        .flat_map(|(zone, count)| (0..*count).map(move |_| format!("ready for-zones={zone}")))
        .collect();
    let spread: Vec<&str> = spread.iter().map(String::as_str).collect();
    check("", &here("a", "x"), &spread, &[0, 1, 2, 3]);
    check("", &here("a", "y"), &spread, &[4, 5, 6, 7]);
    check("", &here("a", "z"), &spread, &[8, 9, 10]);
}

#[test]
fn an_endpoint_may_be_for_several_zones() {
    let endpoints = ["ready for-zones=x,y", "ready for-zones=y", "ready for-zones=x,z"];
    check("", &here("a", "y"), &endpoints, &[0, 1]);
}

#[test]
fn one_ready_endpoint_without_a_hint_makes_all_hints_void() {
    check("", &here("a", "x"), &["ready for-zones=x", "ready for-zones=y", "ready zone=x"], &[0, 1, 2]);
}

#[test]
fn hints_of_endpoints_that_are_not_ready_count_for_nothing() {
    check("", &here("a", "x"), &["ready for-zones=x", "ready for-zones=y", "unready", "leaving"], &[0]);
    let none_for_us =
        ["unready for-zones=x", "ready for-zones=y", "leaving for-zones=x", "ready for-zones=z"];
    check("", &here("a", "x"), &none_for_us, &[1, 3]);
}

#[test]
fn hints_for_other_zones_only_and_a_zone_that_is_not_known_leave_all() {
    let endpoints = ["ready for-zones=x", "ready for-zones=y"];
    check("", &here("a", "z"), &endpoints, &[0, 1]);
    check("", &here("a", "-"), &endpoints, &[0, 1]);
    check("", &here("-", "-"), &endpoints, &[0, 1]);
    check("", &here("-", "y"), &endpoints, &[1]);
}

#[test]
fn hints_for_nodes_go_before_those_for_zones_where_they_hold() {
    let both = |node: &str, zone: &str| format!("ready for-nodes={node} for-zones={zone}");
    let endpoints = [both("a", "x"), both("b", "x"), both("c", "y")];
    let endpoints = endpoints.each_ref().map(String::as_str);
    check("", &here("a", "x"), &endpoints, &[0]);
    check("", &here("a", "y"), &endpoints, &[0]);
    check("", &here("d", "x"), &endpoints, &[0, 1]);
    check("", &here("-", "y"), &endpoints, &[2]);
    check("", &here("d", "z"), &endpoints, &[0, 1, 2]);
    let one_without = [endpoints[0], endpoints[1], "ready for-zones=y"];
    check("", &here("a", "x"), &one_without, &[0, 1]);
    check("", &here("a", "x"), &["ready for-nodes=b", "ready for-nodes=c"], &[0, 1]);
}

#[test]
fn where_none_is_ready_those_that_serve_while_they_leave_do_whatever_their_hints() {
    let endpoints = ["leaving for-zones=y zone=y", "gone for-zones=x", "unready for-zones=x", "leaving"];
    for policy in ["", "PreferSameZone", "PreferSameNode"] {
        check(policy, &here("a", "x"), &endpoints, &[0, 3]);
    }
    check("", &here("a", "x"), &["gone", "unready"], &[]);
    check("", &here("a", "x"), &[], &[]);
}

#[test]
fn local_is_this_node_and_never_another() {
    let endpoints = ["ready node=a for-zones=y", "ready node=b for-zones=x", "ready", "ready node=a"];
    check("Local", &here("a", "x"), &endpoints, &[0, 3]);
    check("Local", &here("c", "x"), &endpoints, &[]);
}

#[test]
fn local_endpoints_that_leave_serve_where_no_local_one_is_ready() {
    let endpoints = ["leaving node=a", "ready node=b", "leaving node=b", "gone node=a", "unready node=a"];
    check("Local", &here("a", "x"), &endpoints, &[0]);
    check("Local", &here("b", "x"), &endpoints, &[1]);
    check("Local", &here("c", "x"), &endpoints, &[]);
}

#[test]
fn where_the_node_is_not_known_no_endpoint_is_local() {
    check("Local", &here("-", "x"), &["ready node=a", "ready", "leaving"], &[]);
}

#[test]
fn without_hints_those_that_the_control_plane_would_write_count() {
    let endpoints =
        ["ready node=a zone=x", "ready node=b zone=x", "ready node=c zone=y", "leaving node=d zone=z"];
    for policy in ["PreferSameZone", "PreferClose"] {
        check(policy, &here("a", "x"), &endpoints, &[0, 1]);
        check(policy, &here("a", "y"), &endpoints, &[2]);
        check(policy, &here("a", "z"), &endpoints, &[0, 1, 2]);
        check(policy, &here("a", "-"), &endpoints, &[0, 1, 2]);
    }
    check("PreferSameNode", &here("a", "x"), &endpoints, &[0]);
    check("PreferSameNode", &here("d", "x"), &endpoints, &[0, 1]);
    check("PreferSameNode", &here("-", "y"), &endpoints, &[2]);
    check("PreferSameNode", &here("d", "z"), &endpoints, &[0, 1, 2]);
    check("", &here("a", "x"), &endpoints, &[0, 1, 2]);
}

#[test]
fn a_ready_endpoint_of_no_known_zone_makes_the_preference_void() {
    check("PreferSameZone", &here("a", "x"), &["ready zone=x", "ready zone=y", "ready node=a"], &[0, 1, 2]);
    let without_node = ["ready node=a zone=x", "ready zone=x", "ready node=c zone=y"];
    check("PreferSameNode", &here("a", "x"), &without_node, &[0, 1]);
}

#[test]
fn hints_that_are_written_go_before_what_would_be() {
    let endpoints = ["ready zone=x for-zones=y", "ready zone=y for-zones=x"];
    check("PreferSameZone", &here("a", "x"), &endpoints, &[1]);
    check("PreferSameZone", &here("a", "x"), &["ready zone=x for-zones=x", "ready zone=y"], &[0, 1]);
}

/// The rules as sentences, one after the other, on sets of indices.
fn model(service: &Service, here: &Here, endpoints: &[Endpoint]) -> BTreeSet<usize> {
    let all: BTreeSet<usize> = (0..endpoints.len()).collect();
    let of = |set: &BTreeSet<usize>, holds: &dyn Fn(&Endpoint) -> bool| -> BTreeSet<usize> {
        set.iter().copied().filter(|&index| holds(&endpoints[index])).collect()
    };
    let place = |endpoint: &Endpoint| endpoint.place.as_deref().cloned().unwrap_or_default();
    let is_ready = |endpoint: &Endpoint| endpoint.ready;
    let stands_in = |endpoint: &Endpoint| endpoint.serving && endpoint.terminating;
    if service.internal_traffic_local {
        let local = of(&all, &|endpoint| here.node.is_some() && place(endpoint).node == here.node);
        let ready = of(&local, &is_ready);
        return if ready.is_empty() { of(&local, &stands_in) } else { ready };
    }
    let ready = of(&all, &is_ready);
    if ready.is_empty() {
        return of(&all, &stands_in);
    }
    let distribution = service.traffic_distribution.as_deref();
    let nobody_hints = ready.iter().all(|&index| place(&endpoints[index]).hints == TopologyHints::default());
    let hints = |endpoint: &Endpoint| -> TopologyHints {
        let place = place(endpoint);
        match (nobody_hints, distribution) {
            (false, _) => place.hints,
            (true, None) => TopologyHints::default(),
            (true, Some("PreferSameNode")) => TopologyHints {
                zones: place.zone.into_iter().collect(),
                nodes: place.node.into_iter().collect(),
            },
            (true, Some(_)) => TopologyHints { zones: place.zone.into_iter().collect(), nodes: Vec::new() },
        }
    };
    let everybody_has = |which: &dyn Fn(TopologyHints) -> Vec<Arc<str>>| {
        ready.iter().all(|&index| !which(hints(&endpoints[index])).is_empty())
    };
    if let Some(node) = &here.node
        && everybody_has(&|hints| hints.nodes)
    {
        let ours = of(&ready, &|endpoint| hints(endpoint).nodes.contains(node));
        if !ours.is_empty() {
            return ours;
        }
    }
    if let Some(zone) = &here.zone
        && everybody_has(&|hints| hints.zones)
    {
        let ours = of(&ready, &|endpoint| hints(endpoint).zones.contains(zone));
        if !ours.is_empty() {
            return ours;
        }
    }
    ready
}

fn maybe(names: &'static [&'static str]) -> impl Strategy<Value = Option<Arc<str>>> {
    prop::option::weighted(0.9, prop::sample::select(names).prop_map(text))
}

fn some(names: &'static [&'static str], hinted: bool) -> impl Strategy<Value = Vec<Arc<str>>> {
    let names: Vec<Arc<str>> = names.iter().map(|name| text(name)).collect();
    let sizes = if hinted { 1..=2 } else { 0..=0 };
    prop_oneof![9 => prop::sample::subsequence(names, sizes), 1 => Just(Vec::new())]
}

/// Endpoints of which most, or none, have hints of either sort: hints of a random few would be void nearly always.
fn endpoints() -> impl Strategy<Value = Vec<Endpoint>> {
    any::<[bool; 2]>().prop_flat_map(|[for_nodes, for_zones]| {
        let conditions = (prop::bool::weighted(0.6), any::<bool>(), any::<bool>());
        let hints = (some(&NODES, for_nodes), some(&ZONES, for_zones));
        let place = (maybe(&NODES), maybe(&ZONES), hints).prop_map(|(node, zone, (nodes, zones))| Locality {
            node,
            zone,
            hints: TopologyHints { zones, nodes },
        });
        let places = prop::collection::vec((conditions, place), 0..9);
        places.prop_map(|places| {
            let made = |(index, (conditions, place))| made(index, conditions, place);
            places.into_iter().enumerate().map(made).collect()
        })
    })
}

const NODES: [&str; 3] = ["a", "b", "c"];
const ZONES: [&str; 3] = ["x", "y", "z"];
const POLICIES: [&str; 5] = ["", "Local", "PreferClose", "PreferSameZone", "PreferSameNode"];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_choice_is_that_of_the_model(
        policy in prop::sample::select(&POLICIES[..]),
        node in maybe(&NODES),
        zone in maybe(&ZONES),
        endpoints in endpoints(),
    ) {
        let (service, here) = (asking(policy), Here { node, zone });
        let expected: Vec<usize> = model(&service, &here, &endpoints).into_iter().collect();
        prop_assert_eq!(usable(&service, &here, &endpoints), expected);
    }
}
