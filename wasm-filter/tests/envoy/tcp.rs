//! PROXY headers in front of tcp_proxy.

use std::net::{IpAddr, SocketAddr, TcpListener};

use serde_json::{Value, json};
use testing::recorder::Recorder;
use testing::time::until;

use super::bootstrap::Bootstrap;
use super::client::Client;
use super::envoy::Envoy;

#[test]
fn the_application_gets_what_follows_the_header_however_it_is_cut() {
    let (application, envoy) = behind(&json!({"proxyProtocol": "require"}));
    for (number, header) in [V1, V2].into_iter().enumerate() {
        for cut in 1..header.len() {
            let mut client = Client::from(TRUSTED, envoy.address());
            let (begin, end) = header.split_at(cut);
            client.send(begin);
            client.send(&[end, REQUEST].concat());
            assert_eq!(
                client.answer().expect("it is carried").status(),
                200,
                "header {number}, cut at {cut}"
            );
        }
    }
    let received = application.received();
    assert_eq!(received.len(), V1.len() + V2.len() - 2);
    assert!(received.iter().all(|bytes| bytes.as_bytes() == REQUEST), "{received:?}");
}

#[test]
fn what_is_no_header_is_closed() {
    let (application, envoy) = behind(&json!({"proxyProtocol": "require"}));
    for bytes in [
        REQUEST,
        b"PROXY TCP4 300.0.0.1 192.0.2.2 1 2\r\n",
        b"PROXY UNKNOWN",
        b"\r\n\r\n\0\r\nQUIT\r\n",
        b"\x16\x03\x01",
    ] {
        let mut client = Client::from(TRUSTED, envoy.address());
        client.send(bytes);
        client.send(&[b'x'; 200]);
        assert!(client.is_closed(), "{}", bytes.escape_ascii());
    }
    assert_eq!(application.received(), Vec::<String>::new());
}

#[test]
fn a_header_of_an_untrusted_peer_is_closed() {
    let (application, envoy) = behind(&json!({"proxyProtocol": "require"}));
    let mut client = Client::from(UNTRUSTED, envoy.address());
    client.send(&[V1, REQUEST].concat());
    assert!(client.is_closed());
    assert_eq!(application.received(), Vec::<String>::new());
    envoy.wait_for_stat("wasmcustom.svcmesh_proxy_header_total;result=refused_untrusted", 1);
    envoy.wait_for_stat("wasmcustom.svcmesh_failures_total;code=CD", 1);
}

#[test]
fn who_never_says_whom_it_is_for_is_closed_in_time() {
    let (application, envoy) = behind(&json!({"proxyProtocol": "require", "proxyProtocolTimeout": "1s"}));
    let mut silent = Client::from(TRUSTED, envoy.address());
    let mut slow = Client::from(TRUSTED, envoy.address());
    slow.send(&V1[..20]);
    assert!(silent.is_closed() && slow.is_closed());
    assert_eq!(application.received(), Vec::<String>::new());
    envoy.wait_for_stat("wasmcustom.svcmesh_proxy_header_total;result=timeout", 2);
}

#[test]
fn what_is_only_observed_passes_as_it_is() {
    let (application, envoy) = behind(&json!({"proxyProtocol": "observe"}));
    for bytes in [[V1, REQUEST].concat(), REQUEST.to_vec()] {
        let mut client = Client::from(TRUSTED, envoy.address());
        client.send(&bytes);
        assert_eq!(client.answer().expect("it is carried").status(), 200);
        let text = String::from_utf8(bytes).expect("it is text");
        until("the application has all of it", || application.received().contains(&text).then_some(()));
    }
}

/// Envoy before an application, with one trusted peer and these settings beside.
fn behind(settings: &Value) -> (Recorder, Envoy) {
    let address = free_address();
    let application = Recorder::start(&address.to_string(), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let bootstrap = Bootstrap::read("tcp.yaml").cluster("application", &[address]);
    let bootstrap = bootstrap.plugin(json!({"trustedProxies": ["127.0.0.2/32"]}));
    (application, Envoy::start(&bootstrap.plugin(settings.clone())))
}

/// An address that was free a moment ago.
pub(crate) fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("some port is free");
    listener.local_addr().expect("it is bound")
}

const TRUSTED: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 2));
const UNTRUSTED: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 3));
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: application\r\n\r\n";
const V1: &[u8] = b"PROXY TCP4 203.0.113.9 192.0.2.2 51000 443\r\n";
/// 203.0.113.9:51000 to 192.0.2.2:443 over TCP.
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb\0\x71\x09\xc0\0\x02\x02\xc7\x38\x01\xbb";
