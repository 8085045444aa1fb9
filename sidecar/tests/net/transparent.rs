//! Connections to the pod that are taken over as they are: the application sees the addresses of their clients.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};
use svc_proto::names::mark;

use crate::support::*;

/// Runs the sidecar, and then what `sidecar init` does for it.
fn taken_over(manifests: Manifests, arguments: &[&str]) -> Sidecar {
    let sidecar = Sidecar::start_with_only("net_admin", manifests, &[TRANSPARENT, arguments].concat());
    init(TRANSPARENT).succeeds();
    sidecar
}

const TRANSPARENT: &[&str] = &["--privileges", "transparent"];

#[test]
fn nginx_sees_each_clients_own_address_on_connections_that_are_kept() {
    isolated(|| {
        let pod = Pod::here();
        let sidecar = taken_over(Manifests::of(&[]), &[]);
        let tell = "location / { return 200 '$remote_addr $http_x_forwarded_for\\n'; }";
        let _nginx = Pod::OWN.map(|own| Nginx::serving("web", &at(own, 8080), tell));
        let clients = [
            (Pod::OWN[0], Pod::backend_v4(1)),
            (Pod::OWN[0], Pod::backend_v4(2)),
            (Pod::OWN[1], Pod::backend_v6(1)),
            (Pod::OWN[1], Pod::backend_v6(2)),
        ];
        for (own, client) in clients.iter().chain(&clients) {
            let url = format!("http://{}/[1-3]", at(own, 8080));
            let answer = pod.node.enter(|| curl(&["--interface", client, &url]));
            assert_eq!(answer.body, format!("{client} {client}\n").repeat(3));
        }
        let opened = sidecar.measured("svcmesh_connections_opened_total{direction=\"inbound\"");
        assert_eq!(opened.iter().sum::<u64>(), 4, "one for each client, kept for its second visit");
    });
}

#[test]
fn nginx_sees_the_address_that_a_trusted_balancer_tells() {
    isolated(|| {
        let pod = Pod::here();
        let flags = ["--proxy-protocol-in", "require", "--trusted-proxies", "10.1.0.1/32"];
        let sidecar = taken_over(Manifests::of(&[]), &flags);
        let tell = "location / { return 200 '$remote_addr'; }";
        let _nginx = Nginx::serving("web", &at(Pod::OWN[0], 8080), tell);
        for (header, seen) in [
            ("PROXY TCP4 192.0.2.202 10.0.42.7 12345 7\r\n", "192.0.2.202"),
            ("PROXY TCP4 192.0.2.203 10.0.42.7 12345 7\r\n", "192.0.2.203"),
            ("PROXY UNKNOWN\r\n", "10.1.0.1"),
            ("PROXY TCP4 127.0.0.1 10.0.42.7 12345 7\r\n", "10.1.0.2"),
            ("PROXY TCP6 2001:db8::1 2001:db8::2 12345 7\r\n", "10.1.0.2"),
        ] {
            let mut client = pod.node.enter(|| Conversation::with(&at(Pod::OWN[0], 8080)));
            client.say(header);
            client.ask("/");
            let answer = client.hear(seen);
            assert!(answer.ends_with(&format!("\r\n\r\n{seen}")), "{header}: {answer}");
        }
        assert_eq!(sidecar.measured("svcmesh_proxy_header_total{result=\"accepted\"}"), [5]);
    });
}

#[test]
fn postgresql_logs_the_clients_own_address() {
    isolated(|| {
        let pod = Pod::here();
        let _sidecar = taken_over(Manifests::of(&[]), &["--detect-timeout", "100ms"]);
        for (own, client) in own_and_node() {
            let postgres = Postgres::start(own, 5432);
            let seen = pod.node.enter(|| Postgres::ask(own, 5432, "select host(inet_client_addr())"));
            assert_eq!(seen, client);
            assert!(postgres.log().contains(&format!("connection received: host={client} ")));
        }
    });
}

#[test]
fn redis_lists_the_clients_own_address() {
    isolated(|| {
        let pod = Pod::here();
        let _sidecar = taken_over(Manifests::of(&[]), &["--workers", "2"]);
        for (own, client) in own_and_node() {
            let _redis = Redis::start(own, 6379);
            let clients = pod.node.enter(|| Redis::ask(own, 6379, &["CLIENT", "LIST"]));
            let client = if client.contains(':') { format!("[{client}]") } else { client.to_owned() };
            assert!(clients.contains(&format!(" addr={client}:")), "{clients}");
            assert!(clients.contains(&format!(" laddr={} ", at(own, 6379))), "{clients}");
        }
    });
}

#[test]
fn an_application_that_listens_for_its_own_pod_only_sees_the_pod() {
    isolated(|| {
        let pod = Pod::here();
        let _sidecar = taken_over(Manifests::of(&[]), &[]);
        let _redis = Redis::start("127.0.0.1", 6379);
        let clients = pod.node.enter(|| Redis::ask(Pod::OWN[0], 6379, &["CLIENT", "LIST"]));
        assert!(clients.contains(" addr=127.0.0.1:"), "{clients}");
    });
}

#[test]
fn bytes_arrive_in_full_and_both_ends_see_the_end() {
    isolated(|| {
        let pod = Pod::here();
        let _sidecar = taken_over(Manifests::of(&[]), &[]);
        for own in Pod::OWN {
            let folder = tempfile::tempdir().expect("the temporary folder is writable");
            let bytes: Vec<u8> =
                (0..5_000_000_u32).map(|number| number.to_le_bytes()[number as usize % 3]).collect();
            std::fs::write(folder.path().join("big"), &bytes).expect("the folder is ours");
            let root = format!("root {};", folder.path().display());
            let _nginx = Nginx::serving("big", &at(own, 8080), &root);
            let fetched = folder.path().join("fetched");
            let [fetched_to, url] = [fetched.display().to_string(), format!("http://{}/big", at(own, 8080))];
            assert_eq!(pod.node.enter(|| curl(&["-o", &fetched_to, &url])).status, 200);
            assert!(std::fs::read(&fetched).is_ok_and(|got| got == bytes), "{own}");
        }
    });
}

#[test]
fn what_is_skipped_and_the_sidecars_own_pages_are_reached_past_it() {
    isolated(|| {
        let pod = Pod::here();
        let sidecar = Sidecar::start_with_only("net_admin", Manifests::of(&[]), TRANSPARENT);
        init(&[TRANSPARENT, &["--skip-inbound-ports=9090"]].concat()).succeeds();
        for own in Pod::OWN {
            let _there = [9090, 15020].map(|port| Told::at(&at(own, port), "direct"));
            for port in [9090, 15020] {
                assert_eq!(pod.node.enter(|| ask_where(&at(own, port))), "direct", "{own} {port}");
            }
            let to_itself = pod.node.enter(|| ask_where(&at(own, 15006)));
            assert!(["", "connection reset"].contains(&to_itself.as_str()), "{to_itself}");
        }
        let codes = until("both are recorded", || {
            let log = sidecar.access_log();
            let codes: Vec<_> = log.iter().map(|line| line["failure.code"].clone()).collect();
            (codes.len() >= 2).then_some(codes)
        });
        assert_eq!(codes, ["MO", "MO"]);
    });
}

#[test]
fn what_is_open_outlives_rules_that_are_written_again() {
    isolated(|| {
        let pod = Pod::here();
        let _sidecar = taken_over(Manifests::of(&[]), &["--detect-timeout", "100ms"]);
        for (own, node) in own_and_node() {
            let application = TcpListener::bind(at(own, 8080)).expect("addresses in a namespace are free");
            let mut client = pod.node.enter(|| Conversation::with(&at(own, 8080)));
            client.say("a");
            let (mut served, from) = accepted_from(&application);
            assert_eq!(from.ip().to_string(), node);
            assert_eq!(served.hear_bytes(1), b"a");
            init(TRANSPARENT).succeeds();
            served.say("b");
            assert_eq!(client.hear_bytes(1), b"b");
            client.say("c");
            assert_eq!(served.hear_bytes(1), b"c");
        }
    });
}

#[test]
fn a_client_that_takes_the_port_in_use_in_its_name_is_refused_and_disturbs_nobody() {
    isolated(|| {
        let pod = Pod::here();
        let _sidecar = taken_over(Manifests::of(&[]), &["--detect-timeout", "100ms"]);
        for (own, node) in own_and_node() {
            let application = TcpListener::bind(at(own, 8080)).expect("addresses in a namespace are free");
            let mut client = pod.node.enter(|| Conversation::with(&at(own, 8080)));
            client.say("a");
            let (mut served, from) = accepted_from(&application);
            assert!((1024..32768).contains(&from.port()), "{from}");
            let second = pod.node.enter(|| {
                let address: SocketAddr = at(node, from.port()).parse().expect("an address and a port");
                let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).expect("as ever");
                socket.bind(&address.into()).expect("the node has not used it");
                let to: SocketAddr = at(own, 8080).parse().expect("an address and a port");
                socket.connect(&to.into())
            });
            assert!(second.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused));
            assert_eq!(served.hear_bytes(1), b"a");
            served.say("b");
            assert_eq!(client.hear_bytes(1), b"b");
        }
    });
}

#[test]
fn the_sidecars_own_checks_are_not_captured() {
    isolated(|| {
        let pod = Pod::here();
        let checked = "annotations: {svcmesh.dev/health-check: \"tcp,interval=1s,timeout=500ms,healthy=2,unhealthy=2\"}";
        let web = service("web", &["10.96.0.10"], 80, "http");
        let web = web.replacen("name: web", &format!("name: web, {checked}"), 1);
        let sidecar = taken_over(Manifests::of(&[web, slice("web", &[&Pod::backend_v4(1)], 80)]), &[]);
        let backend = pod.node.enter(|| TcpListener::bind(at(&Pod::backend_v4(1), 80)));
        let _check = accepted(&backend.expect("addresses in a namespace are free"));
        assert_eq!(sidecar.measured("svcmesh_passed_through_total"), [0]);
        assert!(sidecar.access_log().is_empty());
    });
}

#[test]
fn without_the_sidecar_nobody_reaches_the_application() {
    isolated(|| {
        let pod = Pod::here();
        let mut sidecar = taken_over(Manifests::of(&[]), &[]);
        for own in Pod::OWN {
            let _application = Told::at(&at(own, 8080), "application");
            assert_eq!(pod.node.enter(|| ask_where(&at(own, 8080))), "application");
        }
        sidecar.process().kill();
        for own in Pod::OWN {
            let _application = Told::at(&at(own, 8080), "application");
            assert_eq!(pod.node.enter(|| ask_where(&at(own, 8080))), "connection refused");
            assert_eq!(ask_where(&at(own, 8080)), "application", "within the pod");
        }
    });
}

#[test]
fn an_application_that_runs_as_the_sidecars_user_is_captured_too() {
    isolated(|| {
        let pod = Pod::here();
        let (v4, v6) = (Pod::backend_v4(1), Pod::backend_v6(1));
        let _redis = pod.node.enter(|| (Redis::start(&v4, 6379), Redis::start(&v6, 6379)));
        let sidecar = taken_over(Manifests::of(&[]), &[]);
        assert_eq!(Redis::ask(&v4, 6379, &["PING"]), "PONG");
        assert_eq!(Redis::ask(&v6, 6379, &["PING"]), "PONG");
        assert_eq!(sidecar.measured("svcmesh_passed_through_total"), [2]);
    });
}

#[test]
fn rules_that_redirect_do_not_capture_a_sidecar_that_marks_its_packets() {
    isolated(|| {
        let pod = Pod::here();
        let address = Pod::backend_v4(1);
        let _redis = pod.node.enter(|| Redis::start(&address, 6379));
        let sidecar = Sidecar::start_with_only("net_admin", Manifests::of(&[]), TRANSPARENT);
        init(&[]).succeeds();
        assert_eq!(Redis::ask(&address, 6379, &["PING"]), "PONG");
        assert_eq!(sidecar.measured("svcmesh_passed_through_total"), [1]);
    });
}

#[test]
fn without_the_capability_it_does_not_start() {
    isolated(|| {
        let manifests = Manifests::of(&[]);
        let (end, log) = Sidecar::refusal_as(SIDECAR_USER, manifests.path(), TRANSPARENT);
        assert_eq!(end.code(), Some(1));
        assert!(log.contains("cannot be transparent without the capability NET_ADMIN"), "{log}");
    });
}

#[test]
fn datagrams_of_the_application_are_captured_but_for_dns_and_what_is_skipped() {
    isolated(|| {
        let pod = Pod::here();
        let outbound = ["127.0.0.1:15001", "[::1]:15001"].map(transparent_socket);
        init(&[TRANSPARENT, &["--skip-outbound-ports=123"]].concat()).succeeds();
        for (backend, outbound) in [Pod::backend_v4(1), Pod::backend_v6(1)].iter().zip(outbound) {
            let there = |port| pod.node.enter(|| socket(&at(backend, port)));
            let (dns, skipped, taken) = (there(53), there(123), there(9999));
            let application = socket(if backend.contains(':') { "[::]:0" } else { "0.0.0.0:0" });
            for (port, gets_it) in [(53, &dns), (123, &skipped), (9999, &outbound)] {
                let datagram = format!("to {port}");
                application.send_to(datagram.as_bytes(), at(backend, port)).expect("it is sent");
                assert_eq!(next(gets_it).0, datagram);
            }
            SockRef::from(&application).set_mark(mark::OWN).expect("root may");
            application.send_to(b"the sidecar's own", at(backend, 9999)).expect("it is sent");
            assert_eq!(next(&taken).0, "the sidecar's own");
        }
    });
}

#[test]
fn datagrams_that_the_application_answers_are_left_alone() {
    isolated(|| {
        let pod = Pod::here();
        let _outbound = ["127.0.0.1:15001", "[::1]:15001"].map(transparent_socket);
        init(TRANSPARENT).succeeds();
        for (own, backend) in Pod::OWN.into_iter().zip([Pod::backend_v4(1), Pod::backend_v6(1)]) {
            let application = socket(&at(own, 5000));
            let client = pod.node.enter(|| socket(&at(&backend, 0)));
            client.send_to(b"question", at(own, 5000)).expect("it is sent");
            let (question, from) = next(&application);
            assert_eq!((question.as_str(), from), ("question", client.local_addr().expect("it is bound")));
            application.send_to(b"answer", from).expect("it is sent");
            assert_eq!(next(&client), ("answer".to_owned(), at(own, 5000).parse().expect("an address")));
        }
    });
}

#[test]
fn captured_datagrams_reach_nobody_else_while_the_sidecar_does_not_listen() {
    isolated(|| {
        let _pod = Pod::here();
        init(TRANSPARENT).succeeds();
        for (backend, any, here) in [
            (Pod::backend_v4(1), "0.0.0.0:9999", "127.0.0.1:9999"),
            (Pod::backend_v6(1), "[::]:9999", "[::1]:9999"),
        ] {
            let bystander = socket(any);
            let application = socket(if backend.contains(':') { "[::]:0" } else { "0.0.0.0:0" });
            application.send_to(b"for somebody else", at(&backend, 9999)).expect("it is sent");
            application.send_to(b"for the bystander", here).expect("it is sent");
            assert_eq!(next(&bystander).0, "for the bystander");
        }
    });
}

/// The next connection to `listener`, and where it comes from.
fn accepted_from(listener: &TcpListener) -> (Conversation, SocketAddr) {
    let accepted = accepted(listener);
    let from = accepted.peer();
    (accepted, from)
}

/// A socket for datagrams that waits no longer than a test may.
fn socket(address: &str) -> UdpSocket {
    let socket = UdpSocket::bind(address).expect("addresses in a namespace are free");
    socket.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout above zero is legal");
    socket
}

/// The same for datagrams to anybody, as the sidecar has at `--outbound`.
fn transparent_socket(address: &str) -> UdpSocket {
    let address: SocketAddr = address.parse().expect("an address and a port");
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None).expect("sockets are to be had");
    socket.set_ip_transparent_v4(true).expect("root may");
    socket.bind(&address.into()).expect("addresses in a namespace are free");
    socket.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout above zero is legal");
    socket.into()
}

/// The next datagram, and who sent it.
fn next(socket: &UdpSocket) -> (String, SocketAddr) {
    let mut bytes = [0; 64];
    let (count, from) = socket.recv_from(&mut bytes).expect("a datagram comes");
    (String::from_utf8_lossy(&bytes[..count]).into_owned(), from)
}

/// The pod's own address of each family, and the node's that its connections come from.
fn own_and_node() -> [(&'static str, &'static str); 2] {
    [(Pod::OWN[0], "10.1.0.1"), (Pod::OWN[1], "fd00:10:1::1")]
}
