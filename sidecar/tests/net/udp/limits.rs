//! More clients than there may be.

use std::net::Ipv4Addr;

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
        assert_eq!(all, FLOWS_MAX);
        assert_eq!(
            datagrams(&sidecar, "received", "to_upstream"),
            forwarded + limit,
            "nothing else was dropped"
        );
        assert!(grown_kib <= FLOWS_MAX * 4, "{grown_kib} KiB");
        assert_eq!(works.ask(), 1);
        let gave_way = sidecar.access_log().iter().filter(|record| record["failure.code"] == "ML").count();
        assert!(gave_way > 0, "the idlest made room");
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

/// Of one worker, which is all there are.
const FLOWS_MAX: u64 = 8192;

const CLIENTS: u32 = 100_000;

/// Fewer than fill the socket where nobody has raised `net.core.rmem_max`: the one that works must not lose its datagrams there.
const EACH: u32 = 250;
