//! Datagrams that the application sends to a Service's own addresses, taken over on their way by TPROXY.

use std::fs;

use super::*;

#[test]
fn datagrams_to_a_cluster_ip_are_balanced_and_answered_from_it() {
    isolated(|| {
        let pod = Pod::here();
        let _echoes = [1, 2].map(|number| Echo::start(&pod, number));
        let sidecar = captured(Manifests::of(&[documents([1, 2])]), &["--workers", "2"]);
        let clients: Vec<Client> = (0..20).map(|_| Client::of("10.1.0.2", "10.96.0.7:7")).collect();
        let answers: Vec<u8> = clients.iter().map(Client::ask).collect();
        assert!([1, 2].iter().all(|number| answers.iter().filter(|answer| *answer == number).count() >= 9));
        assert!(clients.iter().map(Client::ask).eq(answers));
        clients[0].send(&[0; 65_507]);
        assert_eq!(clients[0].hear().len(), 65_507);
        assert_eq!(flows(&sidecar), 20);
        until_answered(&sidecar, 41);
        assert_eq!(sidecar.measured("svcmesh_passed_through_total "), [0]);
    });
}

#[test]
fn both_families_are_taken_over() {
    isolated(|| {
        let pod = Pod::here();
        let address = Pod::backend_v6(1);
        let _echo = Echo::at(&pod, &address, 6);
        let documents = [udp_service("echo", "10.96.0.7", 7), udp_slice("echo", &[&address], 7)];
        let documents = documents.map(|document| document.replace("clusterIPs: [\"10.96.0.7\"]", DUAL));
        let _sidecar = captured(Manifests::of(&documents), &[]);
        let client = Client::of("fd00:10:1::2", "[fd00:10:96::7]:7");
        assert_eq!(client.ask(), 6);
        client.send(&[0; 60_000]);
        assert_eq!(client.hear().len(), 60_000);
        assert_eq!(Client::of("10.1.0.2", "10.96.0.7:7").ask(), 6);
    });
}

#[test]
fn what_goes_elsewhere_passes_through_untouched() {
    isolated(|| {
        let pod = Pod::here();
        let _stranger = Echo::start(&pod, 3);
        let sidecar = captured(Manifests::of(&[documents([1])]), &["--idle-timeout", "5m"]);
        let [first, second] = [(), ()].map(|()| Client::of("10.1.0.2", "10.1.1.3:7"));
        assert_eq!((first.ask(), second.ask(), first.ask()), (3, 3, 3));
        assert_eq!(sidecar.measured("svcmesh_passed_through_total "), [2]);
        assert_eq!(flows(&sidecar), 2);
        sidecar.manifests().write("test.yaml", &documents([1]).replace("10.96.0.7", "10.1.1.3"));
        let _echo = Echo::start(&pod, 1);
        until("it is a Service now, and its flows move", || (first.ask() == 1).then_some(()));
        sidecar.manifests().write("test.yaml", &documents([1]));
        until("it is none again", || (first.ask() == 3).then_some(()));
    });
}

#[test]
fn a_datagram_to_the_sidecars_own_port_goes_nowhere() {
    isolated(|| {
        let _pod = Pod::here();
        let sidecar = captured(Manifests::of(&[documents([1])]), &[]);
        Client::of("127.0.0.1", "127.0.0.1:15001").send(b"?");
        until("it is dropped", || (sidecar.failures("MO") == 1).then_some(()));
        assert_eq!((flows(&sidecar), datagrams(&sidecar, "forwarded", "to_upstream")), (0, 0));
    });
}

#[test]
fn answers_from_a_port_that_needs_a_privilege_are_missed_aloud() {
    isolated(|| {
        let pod = Pod::here();
        let _echo = Echo::start(&pod, 1);
        let mut sidecar = captured(Manifests::of(&[documents([1])]), &[]);
        unprivileged_ports_begin_at("1024");
        Client::of("10.1.0.2", "10.96.0.7:7").send(b"?");
        sidecar.process().wait_for_log("cannot answer from a port below");
        until("it is dropped", || (dropped(&sidecar, "unreachable") == 1).then_some(()));
    });
}

/// Runs the sidecar, and then what `sidecar init` does for it.
fn captured(manifests: Manifests, arguments: &[&str]) -> Sidecar {
    let transparent = [TRANSPARENT, arguments].concat();
    unprivileged_ports_begin_at("0");
    let sidecar = Sidecar::start_with_only("net_admin", manifests, &transparent);
    init(TRANSPARENT).succeeds();
    sidecar
}

const TRANSPARENT: &[&str] = &["--privileges", "transparent"];

/// Of this thread's namespace, which is what `/proc/sys/net` shows.
fn unprivileged_ports_begin_at(port: &str) {
    fs::write("/proc/sys/net/ipv4/ip_unprivileged_port_start", port).expect("the namespace is ours");
}
