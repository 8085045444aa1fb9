//! Ways that lead back to us: they end at their first turn.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use super::backend::Backend;
use super::support::{enter_own_network, until};
use super::wire::Ending;
use super::world::{World, documents};

#[test]
fn a_service_whose_endpoint_is_its_own_address_is_one_failure_and_not_a_thousand() {
    for app_protocol in ["http", "tcp", ""] {
        let backend = Backend::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        let world = World::at(app_protocol, &[backend.address()], &[]);
        let own: SocketAddr = world.address().parse().expect("an address of ours");
        world.replace(&documents("", app_protocol, &[own]));
        let mut client = world.client();
        match app_protocol {
            "tcp" => {
                client.send("x");
                assert_eq!(client.until_it_ends(), (String::new(), Ending::Reset));
            }
            _ => {
                client.send("GET / HTTP/1.1\r\nHost: web\r\n\r\n");
                let response = client.response("GET").expect("an answer");
                let told = response.header("proxy-status").unwrap_or_default();
                assert!(response.status() == 502 && told.contains("proxy_loop_detected"), "{response}");
            }
        }
        world.records(&["MO"]);
    }
}

/// The addresses of endpoints that lead to `own`: itself, and as IPv6 has it, translated (RFC 6052, RFC 8215).
fn forms(own: SocketAddr) -> [SocketAddr; 3] {
    let IpAddr::V4(ip) = own.ip() else { panic!("{own} is of IPv4") };
    let [a, b, c, d] = ip.octets();
    let last = format!("{a:02x}{b:02x}:{c:02x}{d:02x}");
    let forms = [ip.to_string(), format!("64:ff9b::{last}"), format!("64:ff9b:1::{last}")];
    forms.map(|ip| SocketAddr::new(ip.parse().expect("it is an address"), own.port()))
}

/// `web`, which is of both families, at `endpoint`.
fn at(endpoint: SocketAddr) -> Vec<String> {
    let family = if endpoint.is_ipv4() { "IPv4" } else { "IPv6" };
    let ip = endpoint.ip();
    let of_both = |text: &String| {
        text.replace(
            "[\"10.96.0.10\"]",
            "[\"10.96.0.10\", \"fd00:10:96::a\"]\n  ipFamilyPolicy: RequireDualStack",
        )
        .replace("addressType: IPv4", &format!("addressType: {family}"))
        .replace(&format!("addresses: [{ip}]"), &format!("addresses: [\"{ip}\"]"))
    };
    documents("", "http", &[endpoint]).iter().map(of_both).collect()
}

/// The same for datagrams.
fn datagrams_at(endpoint: SocketAddr) -> Vec<String> {
    let port = format!("port: {} }}", endpoint.port());
    let speaks_udp = |text: &String| {
        text.replace("appProtocol: http", "protocol: UDP")
            .replace(&port, &port.replace(" }", ", protocol: UDP }"))
    };
    at(endpoint).iter().map(speaks_udp).collect()
}

#[test]
fn no_form_of_our_own_address_is_connected_to() {
    let backend = Backend::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let world = World::at("http", &[backend.address()], &[]);
    for (count, own) in (1..).zip(forms(world.address().parse().expect("an address of ours"))) {
        world.replace(&at(own));
        let mut client = world.client();
        client.send("GET / HTTP/1.1\r\nHost: web\r\n\r\n");
        let response = client.response("GET").expect("an answer");
        let told = response.header("proxy-status").unwrap_or_default();
        assert!(response.status() == 502 && told.contains("proxy_loop_detected"), "{own}: {response}");
        world.records(&vec!["MO"; count]);
    }
}

#[test]
fn no_form_of_our_own_address_is_sent_datagrams() {
    enter_own_network();
    let endpoint = UdpSocket::bind("127.0.0.1:0").expect("some port is free");
    let address = endpoint.local_addr().expect("it is bound");
    let world = World::over(&datagrams_at(address), &["--idle-timeout", "1h"]);
    let client = UdpSocket::bind("127.0.0.1:0").expect("some port is free");
    client.send_to(b"ping", world.address()).expect("the sidecar listens");
    endpoint.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout above zero is legal");
    endpoint.recv(&mut [0; 4]).expect("the endpoint is reached");
    let forwarded = || {
        world.measured("svcmesh_udp_datagrams_forwarded_total{direction=\"outbound\",flow=\"to_upstream\"}")
    };
    until("it is counted", || (forwarded() == [1]).then_some(()));
    for (count, own) in (1..).zip(forms(world.address().parse().expect("an address of ours"))) {
        world.replace(&datagrams_at(own));
        let client = UdpSocket::bind("127.0.0.1:0").expect("some port is free");
        client.send_to(b"ping", world.address()).expect("the sidecar listens");
        let failed = "svcmesh_failures_total{service=\"default/web\",code=\"MO\"}";
        until(&format!("the flow to {own} has failed"), || {
            (world.measured(failed).first() == Some(&count)).then_some(())
        });
    }
    assert_eq!(forwarded(), [1], "nothing else went anywhere");
}
