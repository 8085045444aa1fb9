use alloc::vec::Vec;

use super::Here;
use super::*;
use crate::address::Transport;
use crate::hash::HashSet;
use crate::samples::{ip, port, service, slice, slice_endpoint, slice_port, text};
use crate::service::{Locality, Port, Service, Slice, TopologyHints};
use alloc::sync::Arc;

/// Merges, afresh, for the first port.
fn merge(service: &Service, slices: &[Slice]) -> EndpointSet {
    merge_port(service, slices, &service.ports[0])
}

fn merge_port(service: &Service, slices: &[Slice], port: &Port) -> EndpointSet {
    let (refused, here) = (HashSet::default(), Here::default());
    let merge = Merge::new(service, slices.iter(), &refused, &here);
    merge.endpoints(port, &EndpointSet::default(), &mut EndpointIds::default())
}

/// The addresses that may be used, and all the others.
fn shown(set: &EndpointSet) -> (Vec<String>, Vec<String>) {
    let addrs = |endpoints: &[Endpoint]| endpoints.iter().map(|endpoint| endpoint.addr.to_string()).collect();
    (addrs(set.usable()), addrs(&set.all()[set.usable().len()..]))
}

fn check(set: &EndpointSet, usable: &[&str], others: &[&str]) {
    let owned = |addrs: &[&str]| addrs.iter().map(|addr| addr.to_string()).collect::<Vec<_>>();
    assert_eq!(shown(set), (owned(usable), owned(others)));
}

#[test]
fn ready_ones_serve_and_the_others_wait() {
    let web = service("shop", "web");
    let mut one = slice(&web.name, "web-1", 8080, &["10.0.0.3", "10.0.0.1", "10.0.0.2"]);
    one.endpoints[2].ready = false;
    check(&merge(&web, &[one]), &["10.0.0.1:8080", "10.0.0.3:8080"], &["10.0.0.2:8080"]);
}

#[test]
fn those_that_serve_while_they_terminate_serve_only_when_none_is_ready() {
    let web = service("shop", "web");
    let mut one = slice(&web.name, "web-1", 80, &["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
    for endpoint in &mut one.endpoints[..2] {
        (endpoint.ready, endpoint.terminating) = (false, true);
    }
    one.endpoints[1].serving = false;
    check(&merge(&web, &[one.clone()]), &["10.0.0.3:80"], &["10.0.0.1:80", "10.0.0.2:80"]);
    one.endpoints.pop();
    check(&merge(&web, &[one]), &["10.0.0.1:80"], &["10.0.0.2:80"]);
}

#[test]
fn not_ready_ones_are_published_where_the_service_says_so() {
    let mut web = service("shop", "web");
    web.publish_not_ready = true;
    let mut one = slice(&web.name, "web-1", 80, &["10.0.0.1"]);
    (one.endpoints[0].ready, one.endpoints[0].serving) = (false, false);
    check(&merge(&web, &[one]), &["10.0.0.1:80"], &[]);
}

#[test]
fn the_same_address_in_two_slices_counts_once_and_the_better_word_wins() {
    let web = service("shop", "web");
    let fine = slice(&web.name, "web-2", 80, &["10.0.0.1"]);
    let mut leaving = slice(&web.name, "web-1", 80, &["10.0.0.1"]);
    (leaving.endpoints[0].ready, leaving.endpoints[0].hostname) = (false, Some(text("old")));
    for slices in [[fine.clone(), leaving.clone()], [leaving, fine]] {
        let set = merge(&web, &slices);
        check(&set, &["10.0.0.1:80"], &[]);
        assert_eq!(set.usable()[0].hostname, None);
    }
}

#[test]
fn one_address_with_two_port_numbers_is_two_endpoints() {
    let web = service("shop", "web");
    let slices =
        [slice(&web.name, "web-1", 8080, &["10.0.0.1"]), slice(&web.name, "web-2", 8081, &["10.0.0.1"])];
    check(&merge(&web, &slices), &["10.0.0.1:8080", "10.0.0.1:8081"], &[]);
}

#[test]
fn ports_are_matched_by_name_and_transport() {
    let mut dns = service("kube-system", "dns");
    dns.ports = [port("dns", 53), port("dns-tcp", 53), port("metrics", 9153)].into();
    dns.ports[0].transport = Transport::Udp;
    let mut one = slice(&dns.name, "dns-1", 0, &["10.0.0.1"]);
    one.ports = [slice_port("dns", 5353), slice_port("dns-tcp", 5354)].into();
    one.ports[0].transport = Transport::Udp;
    let mut two = slice(&dns.name, "dns-2", 0, &["10.0.0.2"]);
    two.ports = [slice_port("metrics", 9153), slice_port("dns", 53), slice_port("", 80)].into();

    let slices = [one, two];
    check(&merge_port(&dns, &slices, &dns.ports[0]), &["10.0.0.1:5353"], &[]);
    check(&merge_port(&dns, &slices, &dns.ports[1]), &["10.0.0.1:5354"], &[]);
    check(&merge_port(&dns, &slices, &dns.ports[2]), &["10.0.0.2:9153"], &[]);
}

#[test]
fn slices_win_over_endpoints_objects_also_when_they_are_empty() {
    let web = service("shop", "web");
    let mut endpoints = slice(&web.name, "web", 80, &["10.0.0.1"]);
    endpoints.from_endpoints = true;
    check(&merge(&web, &[endpoints.clone()]), &["10.0.0.1:80"], &[]);
    let mirrored = slice(&web.name, "web-1", 80, &[]);
    check(&merge(&web, &[endpoints, mirrored]), &[], &[]);
}

#[test]
fn endpoints_of_a_family_the_service_does_not_have_are_ignored() {
    let mut web = service("shop", "web");
    let slices = [slice(&web.name, "web-4", 80, &["10.0.0.1"]), slice(&web.name, "web-6", 80, &["fd00::1"])];
    check(&merge(&web, &slices), &["10.0.0.1:80", "[fd00::1]:80"], &[]);
    web.cluster_ips = [ip("fd00:10:96::7")].into();
    check(&merge(&web, &slices), &["[fd00::1]:80"], &[]);
    web.cluster_ips = [ip("10.96.0.7")].into();
    check(&merge(&web, &slices), &["10.0.0.1:80"], &[]);
}

#[test]
fn a_weight_of_the_slice_beats_one_of_the_service() {
    let mut web = service("shop", "web");
    web.annotations.insert(text("svcmesh.dev/weights"), text("10.0.0.1=2,web-2=3,10.0.0.3=4"));
    let mut one = slice(&web.name, "web-1", 80, &["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"]);
    one.endpoints[1].pod = Some("web-2".into());
    one.weights = Some(text("10.0.0.3=0"));
    let weights: Vec<_> = merge(&web, &[one]).all().iter().map(|endpoint| endpoint.weight).collect();
    assert_eq!(weights, [2, 3, 0, 1]);
}

#[test]
fn whoever_is_no_endpoint_of_the_port_has_no_say_in_topology() {
    let mut web = service("shop", "web");
    web.cluster_ips = [ip("10.96.0.7")].into();
    let mut near = slice(&web.name, "web-1", 80, &["10.0.0.1", "10.0.0.2"]);
    for (endpoint, zone) in near.endpoints.iter_mut().zip(["x", "y"]) {
        let hints = TopologyHints { zones: [text(zone)].into(), nodes: Vec::new() };
        endpoint.place = Some(Arc::new(Locality { hints, ..Locality::default() }));
    }
    let other_family = slice(&web.name, "web-2", 80, &["fd00::1"]);
    let mut other_port = slice(&web.name, "web-3", 81, &["10.0.0.3"]);
    other_port.ports[0].name = text("other");
    let vip = slice(&web.name, "web-4", 80, &["10.96.0.8"]);
    let mut unready = slice(&web.name, "web-5", 80, &["10.0.0.4"]);
    unready.endpoints[0].ready = false;

    let here = Here { node: None, zone: Some(text("x")) };
    let refused = HashSet::from_iter([ip("10.96.0.8")]);
    let slices = [near, other_family, other_port, vip, unready];
    let merged = |web: &Service| {
        let merge = Merge::new(web, slices.iter(), &refused, &here);
        merge.endpoints(&web.ports[0], &EndpointSet::default(), &mut EndpointIds::default())
    };
    check(&merged(&web), &["10.0.0.1:80"], &["10.0.0.2:80", "10.0.0.4:80"]);
    web.publish_not_ready = true;
    check(&merged(&web), &["10.0.0.1:80", "10.0.0.2:80", "10.0.0.4:80"], &[]);
}

#[test]
fn the_protocol_of_a_slice_is_known_for_its_port() {
    let web = service("shop", "web");
    let mut one = slice(&web.name, "web-1", 80, &[]);
    one.ports[0].app_protocol = Some(text("grpc"));
    let (slices, refused, here) = ([one], HashSet::default(), Here::default());
    let merge = Merge::new(&web, slices.iter(), &refused, &here);
    assert_eq!(merge.app_protocol(&web.ports[0]).as_deref(), Some("grpc"));
    assert_eq!(merge.app_protocol(&port("other", 80)), None);
}

#[test]
fn an_endpoint_keeps_its_identity_while_its_address_stays_and_nobody_inherits_it() {
    let (web, mut ids) = (service("shop", "web"), EndpointIds::default());
    let (refused, here) = (HashSet::default(), Here::default());
    let mut previous = EndpointSet::default();
    let mut step = |addresses: &[&str], unready: usize| {
        let mut one = slice(&web.name, "web-1", 80, addresses);
        one.endpoints[..unready].iter_mut().for_each(|endpoint| endpoint.ready = false);
        let slices = [one];
        let merge = Merge::new(&web, slices.iter(), &refused, &here);
        previous = merge.endpoints(&web.ports[0], &previous, &mut ids);
        let mut ids: Vec<_> = previous.all().iter().map(|endpoint| (endpoint.addr, endpoint.id.0)).collect();
        ids.sort();
        ids.into_iter().map(|(_, id)| id).collect::<Vec<_>>()
    };
    assert_eq!(step(&["10.0.0.1", "10.0.0.2"], 0), [1, 2]);
    assert_eq!(step(&["10.0.0.1", "10.0.0.2", "10.0.0.3"], 1), [1, 2, 3]);
    assert_eq!(step(&["10.0.0.2"], 0), [2]);
    assert_eq!(step(&["10.0.0.1", "10.0.0.2"], 0), [4, 2]);
}

#[test]
fn a_set_finds_its_members_on_either_side() {
    let web = service("shop", "web");
    let mut one = slice(&web.name, "web-1", 80, &["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"]);
    one.endpoints.push(slice_endpoint("10.0.0.5"));
    one.endpoints[1].ready = false;
    one.endpoints[3].ready = false;
    let set = merge(&web, &[one]);
    for endpoint in set.all() {
        assert_eq!(set.at(endpoint.addr).map(|found| found.id), Some(endpoint.id));
    }
    assert_eq!(set.at(EndpointAddr("10.0.0.1:81".parse().unwrap())), None);
}
