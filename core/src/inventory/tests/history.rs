//! Random histories against a slow, obvious model: it keeps the facts in plain maps, and works out everything anew each time.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::IpAddr;

use proptest::prelude::*;

use super::*;
use crate::endpoints::{Endpoint, EndpointId};
use crate::samples::{slice_endpoint, slice_port};
use crate::service::{Service, Slice, SliceEndpoint};

/// Who is an endpoint of what: Service, port, address.
type Locality = (ServiceName, u16, SocketAddr);

#[derive(Default)]
struct Model {
    services: BTreeMap<ServiceName, Service>,
    slices: BTreeMap<SliceKey, Slice>,
    /// Everybody who was an endpoint after the last step, and everybody who ever was.
    present: BTreeMap<Locality, EndpointId>,
    used: HashSet<EndpointId>,
}

impl Model {
    fn learn(&mut self, change: &Change) {
        match change {
            Change::Service(name, Some(service)) => {
                drop(self.services.insert(name.clone(), Service::clone(service)))
            }
            Change::Service(name, None) => drop(self.services.remove(name)),
            Change::Slice(key, Some(slice)) => drop(self.slices.insert(key.clone(), Slice::clone(slice))),
            Change::Slice(key, None) => drop(self.slices.remove(key)),
            Change::Endpoints(..) | Change::Name(..) | Change::Here(_) => {
                unreachable!("manifests know no DNS")
            }
        }
    }

    /// What the slices say about each endpoint of a port: the best word on each address, in the order of the slices.
    fn expected(&self, service: &Service, port_name: &str) -> BTreeMap<SocketAddr, SliceEndpoint> {
        let own = || self.slices.values().filter(|slice| slice.service == service.name);
        let only_slices = own().any(|slice| !slice.from_endpoints);
        let mut best: BTreeMap<SocketAddr, SliceEndpoint> = BTreeMap::new();
        for slice in own() {
            if only_slices && slice.from_endpoints {
                continue;
            }
            for port in slice.ports.iter().filter(|port| &*port.name == port_name) {
                for endpoint in &slice.endpoints {
                    let mut endpoint = endpoint.clone();
                    endpoint.ready |= service.publish_not_ready;
                    let v4_only = service.cluster_ips == [ip("10.96.0.1")];
                    let is_vip =
                        self.services.values().any(|other| other.cluster_ips.contains(&endpoint.address));
                    if v4_only && endpoint.address.is_ipv6() || is_vip {
                        continue;
                    }
                    let addr = SocketAddr::new(endpoint.address, port.port);
                    match best.get(&addr) {
                        Some(known) if !is_better(&endpoint, known) => {}
                        Some(_) | None => drop(best.insert(addr, endpoint)),
                    }
                }
            }
        }
        best
    }

    /// Compares the whole table with the model, and follows the identities.
    fn check(&mut self, table: &Table) {
        let names: BTreeSet<_> = table.entries().map(|entry| entry.service.name.clone()).collect();
        assert_eq!(names, self.services.keys().cloned().collect());
        let mut present = BTreeMap::new();
        for entry in table.entries() {
            let service = &self.services[&entry.service.name];
            for (target, port) in entry.targets.iter().zip(&service.ports) {
                check_set(target, &self.expected(service, &port.name));
                for endpoint in target.endpoints.all() {
                    present.insert((service.name.clone(), port.port, endpoint.addr.0), endpoint.id);
                }
            }
        }
        for (place, id) in &present {
            match self.present.get(place) {
                Some(known) => assert_eq!(known, id, "{place:?} was there and changed its identity"),
                None => assert!(self.used.insert(*id), "{place:?} inherited {id:?}"),
            }
        }
        self.present = present;
        check_destinations(table);
    }
}

/// Every claim leads to whoever makes it or to another who makes it too, and no destination to anybody else.
fn check_destinations(table: &Table) {
    let mut claims: BTreeMap<SocketAddr, Vec<*const Target>> = BTreeMap::new();
    for entry in table.entries() {
        for address in entry.service.cluster_ips.iter().chain(&entry.service.external_ips) {
            for target in &entry.targets {
                let claimants = claims.entry(SocketAddr::new(*address, target.port.port)).or_default();
                claimants.push(Arc::as_ptr(target));
            }
        }
    }
    assert_eq!(table.destinations.len(), claims.len());
    for (destination, claimants) in claims {
        let found = table.by_destination(Transport::Tcp, destination).expect("somebody claims it");
        assert!(claimants.contains(&Arc::as_ptr(found)), "{destination} leads to what is no more");
    }
}

fn is_better(new: &SliceEndpoint, known: &SliceEndpoint) -> bool {
    let rank = |endpoint: &SliceEndpoint| (endpoint.ready, endpoint.serving, !endpoint.terminating);
    rank(new) > rank(known)
}

fn check_set(target: &Target, expected: &BTreeMap<SocketAddr, SliceEndpoint>) {
    let found: BTreeMap<_, _> =
        target.endpoints.all().iter().map(|endpoint| (endpoint.addr.0, facts(endpoint))).collect();
    assert_eq!(target.endpoints.all().len(), found.len(), "an address counts once");
    assert_eq!(&found, expected);

    let ready: Vec<_> =
        expected.iter().filter(|(_, endpoint)| endpoint.ready).map(|(addr, _)| *addr).collect();
    let dying = expected.iter().filter(|(_, endpoint)| endpoint.serving && endpoint.terminating);
    let wanted = if ready.is_empty() { dying.map(|(addr, _)| *addr).collect() } else { ready };
    let usable: Vec<_> = target.endpoints.usable().iter().map(|endpoint| endpoint.addr.0).collect();
    assert_eq!(usable, wanted);
}

fn facts(endpoint: &Endpoint) -> SliceEndpoint {
    let Endpoint { id: _, addr, ready, serving, terminating, weight, place, hostname } = endpoint.clone();
    assert_eq!(weight, 1);
    SliceEndpoint {
        address: addr.0.ip(),
        ready,
        serving,
        terminating,
        weight: None,
        hostname,
        place,
        pod: None,
    }
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![2 => service_change(), 5 => slice_change()]
}

fn service_name() -> impl Strategy<Value = ServiceName> {
    (0..3usize).prop_map(|which| ServiceName::new("default", ["a", "b", "c"][which]))
}

/// Of three Services one may have an IPv4 address, which some endpoint may have too; the others take both families. All may be
/// published at the same two addresses.
fn service_change() -> impl Strategy<Value = Change> {
    let external_ips = prop::sample::subsequence(vec![ip("203.0.113.1"), ip("203.0.113.2")], 0..3);
    (service_name(), 1..4usize, any::<[bool; 3]>(), external_ips).prop_map(
        |(name, port_count, [publish_not_ready, lives, addressed], external_ips)| {
            let ports = [port("http", 80), port("grpc", 90), port("metrics", 9000)];
            let service = Service {
                headless: true,
                publish_not_ready,
                external_ips,
                ports: ports[..port_count].into(),
                ..service(&name.namespace, &name.name)
            };
            let service = match addressed && &*name.name == "a" {
                true => Service { headless: false, cluster_ips: [ip("10.96.0.1")].into(), ..service },
                false => service,
            };
            Change::Service(name, lives.then(|| Arc::new(service)))
        },
    )
}

/// Six slices and Endpoints parts that move between the Services; up to 100 endpoints out of 24 addresses.
fn slice_change() -> impl Strategy<Value = Change> {
    let endpoints = |sizes| prop::collection::vec(slice_endpoints(), sizes);
    let endpoints = prop_oneof![9 => endpoints(0..12), 1 => endpoints(0..101)];
    let ports = prop::sample::subsequence(
        vec![("http", 8080), ("http-alt", 8081), ("grpc", 8082), ("metrics", 9000)],
        0..4,
    );
    (0..6u32, service_name(), any::<bool>(), ports, endpoints, prop::bool::weighted(0.8)).prop_map(
        |(which, service, shifted, ports, endpoints, lives)| {
            let mut slice = slice(&service, ["x", "y", "z"][which as usize % 3], 0, &[]);
            slice.from_endpoints = which == 5;
            slice.ports =
                ports.iter().map(|(name, port)| slice_port(name, port + u16::from(shifted))).collect();
            slice.endpoints = endpoints;
            let key = SliceKey { part: which / 3, ..key(&slice) };
            Change::Slice(key, lives.then(|| Arc::new(slice)))
        },
    )
}

fn slice_endpoints() -> impl Strategy<Value = SliceEndpoint> {
    let address = prop_oneof![
        20 => (1..20u8).prop_map(|octet| IpAddr::from([10, 0, 0, octet])),
        4 => (1..5u16).prop_map(|last| IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, last])),
        1 => Just(IpAddr::from([10, 96, 0, 1])),
    ];
    let ready = prop::bool::weighted(0.3);
    (address, ready, any::<bool>(), any::<bool>(), prop::option::of(0..3usize)).prop_map(
        |(address, ready, serving, terminating, hostname)| SliceEndpoint {
            address,
            ready,
            serving,
            terminating,
            weight: None,
            hostname: hostname.map(|which| text(["p", "q", "r"][which])), // tells whose word was taken
            ..slice_endpoint("10.0.0.1")
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn the_table_is_what_the_facts_say_after_every_step_of_every_history(
        steps in prop::collection::vec(prop::collection::vec(change(), 1..4), 1..25),
    ) {
        let (mut model, mut world) = (Model::default(), world());
        for changes in steps {
            changes.iter().for_each(|change| model.learn(change));
            let before = world.inventory.table();
            if !world.manifests(changes) {
                prop_assert!(Arc::ptr_eq(&before, &world.inventory.table()));
            }
            model.check(&world.inventory.table());
        }
    }
}
