//! More clients than there may be.

use std::net::Ipv4Addr;

use rustix::process::{Resource, getrlimit};

use super::sockets::kernel_drops_at;
use super::*;

#[test]
fn a_flood_of_100_000_clients_takes_neither_memory_nor_the_flow_that_works() {
    isolated(|| {
        let pod = Pod::here();
        let _echo = Echo::start(&pod, 1);
        let mut sidecar = Sidecar::start(Manifests::of(&[documents([1])]), VIP);
        let works = Client::new();
        assert_eq!(works.ask(), 1);
        let rss_before_kib = sidecar.process().rss_kib();
        for number in 0..CLIENTS {
            strike(number);
            if number % EACH == 0 {
                assert_eq!(works.ask(), 1, "after {number} others");
            }
        }
        let sent = u64::from(1 + CLIENTS + CLIENTS / EACH);
        until("all are seen", || {
            let seen = datagrams(&sidecar, "received", "to_upstream") + kernel_drops_at(ECHO);
            (seen == sent).then_some(())
        });
        let all = flows(&sidecar);
        let grown_kib = sidecar.process().peak_rss_kib().saturating_sub(rss_before_kib);
        let (forwarded, limit) =
            (datagrams(&sidecar, "forwarded", "to_upstream"), dropped(&sidecar, "limit"));
        println!(
            "{all} flows, {forwarded} datagrams forwarded, {limit} over the limit, {grown_kib} KiB more memory"
        );
        assert_eq!(all, flows_max());
        assert_eq!(
            datagrams(&sidecar, "received", "to_upstream"),
            forwarded + limit,
            "nothing else was dropped"
        );
        assert!(grown_kib <= flows_max() * 4, "{grown_kib} KiB");
        assert_eq!(works.ask(), 1);
        let gave_way = sidecar.access_log().iter().filter(|record| record["failure.code"] == "ML").count();
        assert!(gave_way > 0, "the idlest made room");
    });
}

#[test]
fn clients_beyond_what_an_endpoint_may_have_are_turned_away_until_another_has_gone() {
    isolated(|| {
        let pod = Pod::here();
        let _echoes = [1, 2].map(|number| Echo::start(&pod, number));
        let limited = annotated("max-connections: \"3\", svcmesh.dev/idle-timeout: 2s", [1, 2]);
        let sidecar = Sidecar::start(Manifests::of(&[limited]), VIP);
        let clients: Vec<Client> = (0..6).map(|_| Client::new()).collect();
        assert!(clients.iter().all(|client| [1, 2].contains(&client.ask())));
        let late = Client::new();
        late.send(b"?");
        until("it is dropped", || (dropped(&sidecar, "limit") == 1).then_some(()));
        assert_eq!((flows(&sidecar), codes(&sidecar, 1)), (6, vec!["ML".into()]));
        assert!(clients.iter().all(|client| [1, 2].contains(&client.ask())), "those that are in stay in");
        let answer = late.ask_until_answered();
        assert!([1, 2].contains(&answer));
    });
}

#[test]
fn a_burst_of_the_largest_datagrams_passes_both_ways() {
    isolated(|| {
        let pod = Pod::here();
        let _echo = Echo::start(&pod, 1);
        let sidecar = Sidecar::start(Manifests::of(&[documents([1])]), VIP);
        let client = Client::new();
        for _ in 0..8 {
            client.send(&[0; 65_507]);
            client.send(&[0; 65_507]); // more would not fit into the endpoint's buffer
            assert_eq!([client.hear().len(), client.hear().len()], [65_507; 2]);
        }
        assert_eq!(
            datagrams(&sidecar, "dropped", "to_upstream") + datagrams(&sidecar, "dropped", "to_client"),
            0
        );
    });
}

/// One datagram from an address that nobody else has, and which is gone before it could be answered.
fn strike(number: u32) {
    let source = Ipv4Addr::from_bits(FIRST_SOURCE + number);
    let socket = UdpSocket::bind((source, 0)).expect("all of 127.0.0.0/8 is ours");
    socket.send_to(b"!", ECHO).expect("the VIP listens");
}

/// 127.128.0.0: no address here begins so.
const FIRST_SOURCE: u32 = 0x7f80_0000;

/// What a worker that has no other beside it takes: as many as there may be, but no more than a quarter of the descriptors that
/// it may have, as we may.
fn flows_max() -> u64 {
    getrlimit(Resource::Nofile).maximum.map_or(8192, |descriptors| (descriptors / 4).min(8192))
}

const CLIENTS: u32 = 100_000;

/// Fewer than fill the socket where nobody has raised `net.core.rmem_max`: the one that works must not lose its datagrams there.
const EACH: u32 = 250;
