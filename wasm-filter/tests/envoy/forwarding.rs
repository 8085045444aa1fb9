//! What an endpoint is told of its client, and by whose word.

use std::net::IpAddr;

use serde_json::json;

use super::backend::Backend;
use super::bootstrap::Bootstrap;
use super::client::Client;
use super::envoy::Envoy;
use super::head::Head;
use super::services::web;

#[test]
fn an_untrusted_peer_is_told_by_the_address_that_its_connection_comes_from() {
    let (envoy, _backends) = trusting_one();
    for made_up in MADE_UP {
        let received = Client::from(UNTRUSTED, envoy.address()).ask("web", "/", made_up).received();
        assert_eq!(
            told(&received),
            ["127.0.0.3", "for=127.0.0.3;host=web;proto=http", "127.0.0.3", "http", "web"],
            "{made_up:?}"
        );
        assert_ne!(received.field("x-envoy-external-address"), Some("203.0.113.9"));
        for header in ["x-forwarded-port", "x-forwarded-prefix", "x-forwarded-user", "x_forwarded_for"] {
            assert_eq!(received.field(header), None, "{made_up:?}");
        }
    }
}

#[test]
fn a_trusted_proxy_is_believed() {
    let (envoy, _backends) = trusting_one();
    let said = [
        ("X-Forwarded-For", "203.0.113.9, 203.0.113.8"),
        ("Forwarded", "for=203.0.113.8;proto=https"),
        ("X-Real-IP", "203.0.113.1"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "shop.example"),
    ];
    let received = Client::from(TRUSTED, envoy.address()).ask("web", "/", &said).received();
    assert_eq!(
        told(&received),
        [
            "203.0.113.9, 203.0.113.8, 127.0.0.2",
            "for=203.0.113.8;proto=https, for=127.0.0.2;host=web;proto=http",
            "203.0.113.8",
            "http", // Envoy's own, before the filter sees the request: so it is with `use_remote_address`
            "shop.example",
        ]
    );
}

#[test]
fn every_hop_is_in_via() {
    let (envoy, _backends) = trusting_one();
    let mut client = envoy.client();
    let via = |received: Head| received.field("via").map(str::to_owned);
    assert_eq!(via(client.get("web").received()).as_deref(), Some("1.1 svcmesh"));
    let received = client.ask("web", "/", &[("Via", "1.0 elsewhere")]).received();
    assert_eq!(via(received).as_deref(), Some("1.0 elsewhere, 1.1 svcmesh"));
}

#[test]
fn nothing_is_told_where_nothing_shall_be() {
    let backends = Backend::three();
    let bootstrap = Bootstrap::of(&[web(&backends)]);
    let envoy = Envoy::start(&bootstrap.plugin(json!({"forwardingHeaders": false, "viaHeader": false})));
    let received = envoy.client().get("web").received();
    for header in ["x-forwarded-for", "forwarded", "x-real-ip", "x-forwarded-host", "via"] {
        assert_eq!(received.field(header), None, "{header}");
    }
}

const TRUSTED: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 2));
const UNTRUSTED: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 3));

/// What untrusted peers try.
const MADE_UP: &[&[(&str, &str)]] = &[
    &[],
    &[("X-Forwarded-For", "203.0.113.9"), ("X-Forwarded-For", "127.0.0.2"), ("X-FORWARDED-PROTO", "https")],
    &[("X-Forwarded-Host", "evil"), ("X-Forwarded-Port", "1"), ("X-Real-IP", "203.0.113.9")],
    &[("Forwarded", "for=203.0.113.9"), ("Forwarded", "for=_hidden;host=evil")],
    &[("X-Forwarded-Prefix", "/admin"), ("X-Forwarded-User", "root"), ("x_forwarded_for", "203.0.113.9")],
    &[("X-Envoy-External-Address", "203.0.113.9")],
];

/// An Envoy whose filter trusts one peer, and who answers behind it.
fn trusting_one() -> (Envoy, [Backend; 3]) {
    let backends = Backend::three();
    let bootstrap = Bootstrap::of(&[web(&backends)]).plugin(json!({"trustedProxies": ["127.0.0.2/32"]}));
    (Envoy::start(&bootstrap), backends)
}

fn told(received: &Head) -> [&str; 5] {
    ["x-forwarded-for", "forwarded", "x-real-ip", "x-forwarded-proto", "x-forwarded-host"]
        .map(|name| received.field(name).unwrap_or_default())
}
