//! Session affinity: which of several clients goes to which endpoint, over many connections.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use super::backend::{Backend, Talk};
use super::support::until;
use super::wire::{Message, Wire};
use super::world::{READY, UNREADY, World, documents};

#[test]
fn each_client_keeps_its_endpoint_over_connections_of_bytes_and_of_http() {
    for protocol in ["tcp", "http"] {
        let (world, _backends) = sticky(protocol, HOURS, &["--workers", "2"]);
        let before = places(&world, 1..=10);
        assert!(before.values().collect::<BTreeSet<_>>().len() > 1, "they are spread: {before:?}");
        for _ in 0..5 {
            assert_eq!(places(&world, 1..=10), before, "{protocol}");
        }
        world.counts("svcmesh_affinity_entries 10");
    }
}

#[test]
fn without_affinity_a_client_goes_round() {
    let backends = three();
    let world = World::over(&plain("http", &backends), &[]);
    let went: BTreeSet<String> = (0..3).map(|_| go(&world, 1)).collect();
    assert_eq!(went.len(), 3);
    world.counts("svcmesh_affinity_entries 0");
}

#[test]
fn the_requests_of_a_connection_and_those_of_the_next_go_to_one_endpoint() {
    let (world, _backends) = sticky("http", HOURS, &[]);
    let (mut mine, mut other) = (world.client_at(source(1)), world.client_at(source(2)));
    let (place, others) = (ask(&mut mine, ""), ask(&mut other, ""));
    for _ in 0..5 {
        assert_eq!((ask(&mut mine, ""), ask(&mut other, "")), (place.clone(), others.clone()));
        assert_eq!(go(&world, 1), place);
    }
}

#[test]
fn each_use_moves_the_timeout_on_and_without_use_it_ends() {
    let (world, _backends) = sticky("http", TWO_SECONDS, &[]);
    let mut kept = world.client_at(source(1));
    // Each use is at some time after it was begun: on a busy machine long after.
    let mut used = now();
    let mut place = ask(&mut kept, "");
    let start = now();
    while start.elapsed() < Duration::from_secs(3) {
        // On connections of their own, which ask the table, and on the one that remembers.
        for own in [true, false] {
            let begun = now();
            let went = if own { go(&world, 1) } else { ask(&mut kept, "") };
            let since = used.elapsed();
            assert!(went == place || since >= Duration::from_secs(2), "{since:?} after its last use");
            (used, place) = (begun, went);
        }
        std::thread::sleep(Duration::from_millis(150)); // time itself is what is tried here
    }
    world.counts("svcmesh_affinity_entries 0");
    assert!(used.elapsed() >= Duration::from_secs(2), "over after {:?}", used.elapsed());
    let places: Vec<String> = [2, 3, 1].map(|client| go(&world, client)).into();
    assert_eq!(places.iter().collect::<BTreeSet<_>>().len(), 3, "1 is a client like the others: {places:?}");
}

#[test]
fn an_endpoint_that_is_not_ready_moves_its_own_clients_and_does_not_get_them_back() {
    for protocol in ["tcp", "http"] {
        let (world, backends) = sticky(protocol, HOURS, &[]);
        let mut connections: BTreeMap<u8, Wire> =
            (1..=12).map(|client| (client, world.client_at(source(client)))).collect();
        let before: BTreeMap<u8, String> =
            connections.iter_mut().map(|(client, wire)| (*client, ask(wire, ""))).collect();
        let leaving = before[&1].clone();
        let mut unready = with(protocol, HOURS, &backends);
        let slice = 1 + NAMES.iter().position(|name| *name == leaving).expect("one of them");
        unready[slice] = unready[slice].replace(READY, UNREADY);
        world.replace(&unready);
        let after = places(&world, 1..=12);
        for (client, place) in &before {
            assert_eq!(*place == leaving, after[client] != *place, "client {client} of {protocol}");
            assert_ne!(after[client], leaving);
        }
        if protocol == "http" {
            for (client, wire) in &mut connections {
                assert_eq!(ask(wire, ""), after[client], "what a connection remembers is not followed");
            }
        }
        world.replace(&with(protocol, HOURS, &backends));
        assert_eq!(places(&world, 1..=12), after);
    }
}

#[test]
fn an_endpoint_that_refuses_loses_the_client_for_good_and_the_client_sees_nothing() {
    for protocol in ["tcp", "http"] {
        let mine = SocketAddr::from(([127, 77, 0, 1], 0)); // no other test takes the port meanwhile
        let mut backends: Vec<Backend> = NAMES.map(|name| Backend::start_at(mine, says_once(name))).into();
        let world = World::over(&with(protocol, HOURS, &backends), &[]);
        let before = places(&world, 1..=6);
        let dead = before[&1].clone();
        let index = NAMES.iter().position(|name| *name == dead).expect("one of them");
        let address = backends[index].address();
        drop(backends.remove(index));
        until("it refuses", || TcpStream::connect(address).is_err().then_some(()));
        let after = places(&world, 1..=6);
        for (client, place) in &before {
            assert_eq!(*place == dead, after[client] != *place, "client {client} of {protocol}");
        }
        let _back = Backend::start_at(address, says_once(NAMES[index]));
        assert_eq!(places(&world, 1..=6), after);
    }
}

#[test]
fn an_endpoint_that_is_ejected_loses_its_clients_and_does_not_get_them_back() {
    let well = Arc::new(AtomicBool::new(false));
    let backends = vec![Backend::start(says_when_well("a", well.clone())), Backend::start(says("b"))];
    let world = World::over(&with("http", HOURS, &backends), &[]);
    let mut clients: Vec<Wire> = (1..=4).map(|client| world.client_at(source(client))).collect();
    let before: Vec<u16> = clients.iter_mut().map(|client| answer(client, "").status()).collect();
    assert_eq!(before.iter().filter(|status| **status == 500).count(), 2, "they are spread: {before:?}");
    for client in &mut clients {
        until("its endpoint is the other", || (answer(client, "").body == "b").then_some(()));
    }
    well.store(true, Relaxed);
    let mut newcomers = 5..;
    until("somebody new finds that it is well", || (go(&world, newcomers.next()?) == "a").then_some(()));
    for client in &mut clients {
        assert_eq!(ask(client, ""), "b");
    }
}

#[test]
fn an_equal_update_and_one_of_another_service_move_nobody() {
    let (world, backends) = sticky("http", HOURS, &[]);
    let before = places(&world, 1..=10);
    let mut same = with("http", HOURS, &backends);
    same.push("# the same\n".to_owned());
    world.rewrite(&same);
    let unchanged = "svcmesh_discovery_updates_total{source=\"manifests\",result=\"unchanged\"}";
    until("it has been read", || (world.measured(unchanged) == [1]).then_some(()));
    assert_eq!(places(&world, 1..=10), before);
    let other = "apiVersion: v1\nkind: Service\nmetadata: { name: other }\nspec: { ports: [{ port: 1 }] }\n";
    same.push(other.to_owned());
    world.replace(&same);
    assert_eq!(places(&world, 1..=10), before);
    world.counts("svcmesh_affinity_entries 10");
}

#[test]
fn a_shorter_timeout_ends_pins_that_are_there() {
    let (world, backends) = sticky("http", HOURS, &[]);
    places(&world, 1..=10);
    world.replace(&with("http", TWO_SECONDS, &backends));
    world.counts("svcmesh_affinity_entries 0");
}

#[test]
fn affinity_can_be_turned_on_and_off() {
    let backends = three();
    let world = World::over(&plain("http", &backends), &[]);
    go(&world, 1);
    world.replace(&with("http", HOURS, &backends));
    let place = go(&world, 1);
    assert_eq!([go(&world, 1), go(&world, 1)], [place.clone(), place]);
    world.replace(&plain("http", &backends));
    let went: BTreeSet<String> = (0..3).map(|_| go(&world, 1)).collect();
    assert_eq!(went.len(), 3);
    world.counts("svcmesh_affinity_entries 0");
}

#[test]
fn a_trusted_proxys_clients_are_told_apart_and_an_untrusted_peers_are_not() {
    for (trusted, expected) in [("127.0.0.0/8", 3), ("10.0.0.0/8", 1)] {
        let (world, _backends) = sticky("http", HOURS, &["--trusted-proxies", trusted]);
        let mut proxy = world.client_at(source(1));
        let said = |client: u8| match client {
            2 => "Forwarded: for=\"192.0.2.2:4711\";proto=https\r\n".to_owned(),
            _ => format!("X-Forwarded-For: 192.0.2.{client}, 127.0.0.9\r\n"),
        };
        let before = [1, 2, 3].map(|client| ask(&mut proxy, &said(client)));
        assert_eq!(before.iter().collect::<BTreeSet<_>>().len(), expected, "trusting {trusted}: {before:?}");
        for _ in 0..3 {
            assert_eq!([1, 2, 3].map(|client| ask(&mut proxy, &said(client))), before);
            let mut other = world.client_at(source(2));
            let from_another = ask(&mut other, &said(1));
            assert_eq!(from_another == before[0], expected == 3, "by the client, not by the proxy");
        }
    }
}

/// Where each of these clients goes with a connection of its own.
fn places(world: &World, clients: std::ops::RangeInclusive<u8>) -> BTreeMap<u8, String> {
    clients.map(|client| (client, go(world, client))).collect()
}

fn go(world: &World, client: u8) -> String {
    ask(&mut world.client_at(source(client)), "")
}

/// The name of the endpoint that answers.
fn ask(wire: &mut Wire, headers: &str) -> String {
    let response = answer(wire, headers);
    assert_eq!(response.status(), 200, "{response}");
    response.body
}

fn answer(wire: &mut Wire, headers: &str) -> Message {
    wire.send(format!("GET / HTTP/1.1\r\nHost: web\r\n{headers}\r\n"));
    wire.response("GET").expect("an answer")
}

fn source(client: u8) -> IpAddr {
    [127, 55, 0, client].into()
}

/// A Service with affinity, and its endpoints.
fn sticky(protocol: &str, timeout: &str, arguments: &[&str]) -> (World, Vec<Backend>) {
    let backends = three();
    (World::over(&with(protocol, timeout, &backends), arguments), backends)
}

fn with(protocol: &str, timeout: &str, backends: &[Backend]) -> Vec<String> {
    let mut documents = plain(protocol, backends);
    documents[0] += &format!("  sessionAffinity: ClientIP\n{timeout}");
    documents
}

fn plain(protocol: &str, backends: &[Backend]) -> Vec<String> {
    documents("svcmesh.dev/load-balancer: rr", protocol, &addresses(backends))
}

fn addresses(backends: &[Backend]) -> Vec<SocketAddr> {
    backends.iter().map(Backend::address).collect()
}

fn three() -> Vec<Backend> {
    NAMES.map(|name| Backend::start(says(name))).into()
}

/// Answers each request with a name.
fn says(name: &'static str) -> impl Fn(&mut Talk) + Send + Sync + 'static {
    move |talk| {
        while talk.request().is_ok() {
            talk.wire.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{name}", name.len()));
        }
    }
}

/// The same once it is `well`; answers 500 before.
fn says_when_well(name: &'static str, well: Arc<AtomicBool>) -> impl Fn(&mut Talk) + Send + Sync + 'static {
    move |talk| {
        while talk.request().is_ok() {
            let status = if well.load(Relaxed) { "200 OK" } else { "500 Ill" };
            talk.wire.send(format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{name}", name.len()));
        }
    }
}

/// Answers one request with a name, and closes.
fn says_once(name: &'static str) -> impl Fn(&mut Talk) + Send + Sync + 'static {
    move |talk| {
        let _asked = talk.request();
        talk.wire.send(format!(
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{name}",
            name.len()
        ));
    }
}

#[expect(clippy::disallowed_methods, reason = "tests run in real time")]
fn now() -> Instant {
    Instant::now()
}

const NAMES: [&str; 3] = ["a", "b", "c"];

/// What the API server fills in.
const HOURS: &str = "  sessionAffinityConfig: { clientIP: { timeoutSeconds: 10800 } }\n";
const TWO_SECONDS: &str = "  sessionAffinityConfig: { clientIP: { timeoutSeconds: 2 } }\n";
