//! What a flow is: datagrams of all sizes, both ways, with one endpoint, to one record.

use std::net::UdpSocket;

use rustix::process::Signal;
use svc_proto::proxy_header::{Addresses, Origin, Step, Transport, decode};

use super::*;

#[test]
fn datagrams_of_every_size_go_there_and_back() {
    isolated(|| {
        let pod = Pod::here();
        let _echo = Echo::start(&pod, 1);
        let sidecar = Sidecar::start(Manifests::of(&[documents([1])]), VIP);
        let client = Client::new();
        let sizes = [1, 0, 512, 1_473, 9_000, 65_507];
        for size in sizes {
            let mut datagram: Vec<u8> = (0..size).map(|index| (index % 251) as u8).collect();
            client.send(&datagram);
            let heard = client.hear();
            datagram.iter_mut().take(1).for_each(|first| *first = 1);
            assert!(heard == datagram, "{size} bytes became {}", heard.len());
        }
        until_answered(&sidecar, 6);
        for flow in ["to_upstream", "to_client"] {
            let counts = ["received", "forwarded", "dropped"].map(|what| datagrams(&sidecar, what, flow));
            assert_eq!(counts, [6, 6, 0], "{flow}");
        }
        let bytes = sidecar.measured("svcmesh_bytes_total{direction=\"outbound\",service=\"default/echo\"");
        assert_eq!(bytes, [sizes.iter().sum::<usize>() as u64; 2]);
        assert_eq!(flows(&sidecar), 1);
    });
}

#[test]
fn endpoints_of_the_other_family_serve_too() {
    isolated(|| {
        let pod = Pod::here();
        let address = Pod::backend_v6(2);
        let _echo = Echo::at(&pod, &address, 6);
        let documents = [udp_service("echo", "10.96.0.7", 7), udp_slice("echo", &[&address], 7)];
        let documents = documents.map(|document| document.replace("clusterIPs: [\"10.96.0.7\"]", DUAL));
        let _sidecar = Sidecar::start(Manifests::of(&documents), VIP);
        let client = Client::new();
        assert_eq!(client.ask(), 6);
        client.send(&[0; 65_507]);
        assert_eq!(client.hear().len(), 65_507);
    });
}

#[test]
fn clients_take_turns_and_each_stays_with_its_endpoint() {
    isolated(|| {
        let pod = Pod::here();
        let _echoes = [1, 2, 3].map(|number| Echo::start(&pod, number));
        let sidecar = Sidecar::start(Manifests::of(&[documents([1, 2, 3])]), VIP);
        let clients: Vec<Client> = (0..30).map(|_| Client::new()).collect();
        let answers: Vec<u8> = clients.iter().map(Client::ask).collect();
        for number in 1..=3 {
            assert_eq!(answers.iter().filter(|answer| **answer == number).count(), 10);
        }
        for _ in 0..3 {
            assert!(clients.iter().map(Client::ask).eq(answers.iter().copied()));
        }
        assert_eq!(flows(&sidecar), 30);
    });
}

#[test]
fn clients_of_a_service_with_affinity_go_back_by_their_address() {
    isolated(|| {
        let pod = Pod::here();
        let _echoes = [1, 2, 3].map(|number| Echo::start(&pod, number));
        let documents = documents_with("sessionAffinity: ClientIP", [1, 2, 3]);
        let _sidecar = Sidecar::start(Manifests::of(&[documents]), VIP);
        let answers = |address: &str| -> Vec<u8> { (0..6).map(|_| Client::from(address).ask()).collect() };
        let [first, second, third] = ["127.0.1.1", "127.0.1.2", "127.0.1.3"].map(answers);
        for answers in [&first, &second, &third] {
            assert!(answers.iter().all(|answer| answer == &answers[0]), "{answers:?}");
        }
        let mut all = [first[0], second[0], third[0]];
        all.sort_unstable();
        assert_eq!(all, [1, 2, 3]);
    });
}

#[test]
fn a_stranger_cannot_answer_in_the_place_of_an_endpoint() {
    isolated(|| {
        let pod = Pod::here();
        let server =
            pod.node.enter(|| UdpSocket::bind((Pod::backend_v4(1).as_str(), 7))).expect("it is free");
        let stranger =
            pod.node.enter(|| UdpSocket::bind((Pod::backend_v4(2).as_str(), 7))).expect("it is free");
        let _sidecar = Sidecar::start(Manifests::of(&[documents([1])]), VIP);
        let client = Client::new();
        client.send(b"?");
        let (_length, us) = server.recv_from(&mut [0]).expect("the datagram comes");
        stranger.send_to(b"forged", us).expect("the pod is there");
        server.send_to(b"true", us).expect("the pod is there");
        assert_eq!(client.hear(), b"true");
    });
}

#[test]
fn each_datagram_tells_of_its_client_where_the_service_asks_for_that() {
    isolated(|| {
        let pod = Pod::here();
        let server =
            pod.node.enter(|| UdpSocket::bind((Pod::backend_v4(1).as_str(), 7))).expect("it is free");
        let sidecar = Sidecar::start(Manifests::of(&[annotated("proxy-protocol: v2", [1])]), VIP);
        let client = Client::new();
        let hear = |datagram: &[u8]| {
            let mut heard = [0; 128];
            let (length, us) = server.recv_from(&mut heard).expect("the datagram comes");
            let header = heard[..length].strip_suffix(datagram).expect("it comes whole").to_vec();
            (header, us)
        };
        let source = SocketAddr::from(([10, 1, 0, 2], client.addr().port()));
        let destination = SocketAddr::from(([10, 96, 0, 7], 7));
        let of = Addresses { source, destination, transport: Transport::Udp };
        for datagram in [&b"first"[..], b"second", b""] {
            client.send(datagram);
            let (header, us) = hear(datagram);
            let Ok(Step::Done { value, used: 28 }) = decode(&header) else { panic!("{header:?}") };
            assert_eq!(value.origin, Origin::Client(of));
            server.send_to(b"answer", us).expect("the pod is there");
            assert_eq!(client.hear(), b"answer", "answers have no header");
        }
        sidecar.manifests().write("test.yaml", &documents([1]));
        until("it does not ask any more, and the flow goes on", || {
            client.send(b"plain");
            hear(b"plain").0.is_empty().then_some(())
        });
        assert_eq!(flows(&sidecar), 1);
    });
}

#[test]
fn one_record_tells_of_an_idle_flow_and_the_gauge_falls() {
    isolated(|| {
        let pod = Pod::here();
        let _echo = Echo::start(&pod, 1);
        let sidecar = Sidecar::start(Manifests::of(&[annotated("idle-timeout: 2s", [1])]), VIP);
        let (idle, busy) = (Client::new(), Client::new());
        idle.send(b"hello");
        assert_eq!(idle.hear(), b"\x01ello");
        busy.ask();
        assert_eq!(flows(&sidecar), 2);
        let record = until("the idle one is over", || {
            busy.ask();
            records(&sidecar).into_iter().next()
        });
        assert_eq!(flows(&sidecar), 1);
        assert_eq!(record["client.address"], idle.addr().to_string());
        assert_eq!(record["service.name"], "default/echo");
        assert_eq!(record["endpoint.address"], "10.1.1.1:7");
        assert_eq!((&record["bytes.in"], &record["bytes.out"]), (&5.into(), &5.into()));
        assert!(record["failure.code"].is_null() && record["response.status"].is_null(), "{record}");
        assert!(record["duration.us"].as_u64().is_some_and(|us| us < 1_500_000), "the wait is no part of it");
        assert_eq!(idle.ask(), 1, "its next datagram begins anew");
    });
}

#[test]
fn a_client_that_goes_on_while_the_sidecar_is_replaced_is_answered_again() {
    isolated(|| {
        let pod = Pod::here();
        let _echo = Echo::start(&pod, 1);
        let client = Client::new();
        let first = Sidecar::start(Manifests::of(&[documents([1])]), VIP);
        assert_eq!(client.ask(), 1);
        drop(first);
        assert!(client.try_ask().is_err(), "nobody is there");
        let _second = Sidecar::start(Manifests::of(&[documents([1])]), VIP);
        assert_eq!(client.ask_until_answered(), 1);
    });
}

#[test]
fn flows_are_served_to_the_end_of_a_drain_and_do_not_hold_it_up() {
    isolated(|| {
        let pod = Pod::here();
        let _echo = Echo::start(&pod, 1);
        let arguments = [VIP, &["--drain-delay", "1s", "--drain-timeout", "20s"]].concat();
        let mut sidecar = Sidecar::start(Manifests::of(&[documents([1])]), &arguments);
        let (old, new) = (Client::new(), Client::new());
        assert_eq!(old.ask(), 1);
        sidecar.process().signal(Signal::TERM);
        sidecar.process().wait_for_log("draining");
        assert_eq!((old.ask(), new.ask()), (1, 1));
        assert!(sidecar.process().wait(Duration::from_secs(5)).success());
        let records = records(&sidecar);
        assert_eq!(records.len(), 2);
        assert!(records.iter().all(|record| record["failure.code"].is_null()), "{records:?}");
    });
}

#[test]
fn a_service_may_have_the_same_port_for_both_transports_and_a_second_sidecar_gets_neither() {
    isolated(|| {
        let pod = Pod::here();
        let _echo = Echo::start(&pod, 1);
        let listener = pod.node.enter(|| std::net::TcpListener::bind((Pod::backend_v4(1).as_str(), 7)));
        let listener = listener.expect("addresses of a node are free");
        let both = "{ name: a, port: 7, protocol: UDP }, { name: b, port: 7, appProtocol: tcp }";
        let documents = documents([1]).replace("{ port: 7, protocol: UDP }", both);
        let sidecar = Sidecar::start(Manifests::of(&[documents]), &[VIP, &["--workers", "2"]].concat());
        let elsewhere =
            ["--outbound", "off", "--inbound", "off", "--forward-proxy", "off", "--admin", "127.0.0.1:16020"];
        let second = Sidecar::start_second(sidecar.manifests().path(), &[VIP, &elsewhere].concat());
        for transport in ["TCP", "UDP"] {
            let refused =
                format!("cannot listen on a loopback VIP service=default/echo transport={transport:?}");
            assert!(second.log().contains(&refused), "{}", second.log());
        }
        let clients: Vec<Client> = (0..20).map(|_| Client::new()).collect();
        assert!(clients.iter().all(|client| client.ask() == 1));
        assert_eq!(flows(&sidecar), 20);
        let mut tcp = Conversation::with(ECHO);
        tcp.say("hello");
        accepted(&listener).hear("hello");
    });
}
