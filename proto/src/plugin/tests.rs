use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::*;

fn parse(json: &str) -> Plugin {
    Plugin::parse(json.as_bytes()).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

/// One line for each mistake of each configuration, behind the configuration.
fn told(configurations: &[&str]) -> String {
    let mut told = String::new();
    for json in configurations {
        let Mistakes(mistakes) = Plugin::parse(json.as_bytes()).expect_err(json);
        told += &format!("{json}\n");
        mistakes.iter().for_each(|mistake| told += &format!("  {mistake}\n"));
    }
    told
}

#[test]
fn an_empty_configuration_is_one_and_says_what_an_object_without_fields_says() {
    let defaults = parse("{}");
    for json in
        ["", " \n", "null", r#"{"namespace": null, "service": null, "update": null, "services": null}"#]
    {
        assert_eq!(parse(json), defaults, "{json:?}");
    }
    insta::assert_debug_snapshot!(defaults);
}

const EVERY_FIELD: &str = r#"{
    "filter": "tcp", "namespace": "shop", "clusterDomain": "Cluster.Example.", "node": "node-1.example", "zone": "europe-west1-b",
    "allowLoopbackEndpoints": true, "serviceCIDR": ["10.96.0.0/12", "fd00::/108"],
    "service": {"from": "fixed", "service": "shop/web", "port": 80},
    "unknown": "refuse",
    "handOff": {"by": "cluster-header", "header": "X-To", "cluster": "outbound|{port}||{name}.{namespace}"},
    "forwardingHeaders": false, "trustedProxies": ["10.1.2.3/8", "::1"], "viaHeader": false,
    "learn": false, "debugHeader": true,
    "proxyProtocol": "require", "proxyProtocolTimeout": "1m30s",
    "environment": false,
    "services": [{"namespace": "shop", "name": "web", "ports": [{"port": 80}]}],
    "update": {"cluster": "sidecar", "authority": "localhost:15020", "path": "/services?namespace=shop", "interval": "1s",
               "timeout": "500ms", "token": "s3cret"},
    "log": "debug"
}"#;

#[test]
fn every_field_can_be_set() {
    let plugin = parse(EVERY_FIELD);
    insta::assert_debug_snapshot!(plugin);
}

#[test]
fn defaults_follow_what_is_chosen() {
    let header = |by: &str| {
        let hand_off = parse(&format!(r#"{{"handOff": {{"by": "{by}"}}}}"#)).hand_off;
        hand_off.header().map(ToString::to_string)
    };
    assert_eq!(header("original-destination").as_deref(), Some("x-envoy-original-dst-host"));
    assert_eq!(header("override-host").as_deref(), Some("x-svcmesh-endpoint"));
    assert_eq!(header("cluster-header").as_deref(), Some("x-svcmesh-cluster"));
    assert_eq!(header("none"), None);
    let renamed = parse(r#"{"handOff": {"header": "X-Endpoint"}}"#).hand_off;
    assert_eq!(renamed, HandOff::OriginalDestination { header: "x-endpoint".into() });

    assert_eq!(
        parse(r#"{"service": {"from": "metadata"}}"#).service,
        ServiceFrom::Metadata("svcmesh.service".into())
    );
    let timeout = |mode: &str| {
        let json = format!(r#"{{"proxyProtocol": "{mode}", "trustedProxies": ["::/0"]}}"#);
        parse(&json).proxy_protocol_timeout.as_secs()
    };
    assert_eq!((timeout("require"), timeout("observe")), (10, 2));
}

#[test]
fn what_is_not_an_object_of_json_is_told_without_its_text() {
    let configurations = [
        "[]",
        "7",
        r#""text""#,
        "{",
        r#"{"update": {"token": "s3cret"}"#,
        "namespace: shop",
        "{} {}",
        "\u{feff}{}",
    ];
    let told = told(&configurations);
    insta::assert_snapshot!(told);
    assert!(Plugin::parse(b"{\"node\": \"\xff\"}").is_err());
}

#[test]
fn of_a_field_that_is_written_twice_the_last_counts() {
    assert_eq!(&*parse(r#"{"namespace": "Shop", "namespace": "shop"}"#).namespace, "shop");
}

#[test]
fn nobody_digs_deeper_than_the_stack() {
    for open in ["[", r#"{"node":"#] {
        assert!(Plugin::parse(open.repeat(1_000_000).as_bytes()).is_err());
    }
}

#[test]
fn each_field_says_what_it_expects() {
    let told = told(&[
        r#"{"namespace": "Shop"}"#,
        r#"{"namespace": ""}"#,
        r#"{"clusterDomain": "a..b"}"#,
        r#"{"node": "node 1"}"#,
        r#"{"node": 1}"#,
        r#"{"zone": "a b"}"#,
        r#"{"zone": {"name": "a"}}"#,
        r#"{"allowLoopbackEndpoints": "yes"}"#,
        r#"{"serviceCIDR": "10.96.0.0/12"}"#,
        r#"{"serviceCIDR": ["10.96.0.0/33", "10.0.0.0/8"]}"#,
        r#"{"serviceCIDR": ["10.96.0.0/12", "10.0.0.0/8"]}"#,
        r#"{"service": "shop/web"}"#,
        r#"{"service": {}}"#,
        r#"{"service": {"from": "header"}}"#,
        r#"{"service": {"from": "authority", "key": "x", "service": "shop/web", "port": 80}}"#,
        r#"{"service": {"from": "metadata", "key": ""}}"#,
        r#"{"service": {"from": "fixed"}}"#,
        r#"{"service": {"from": "fixed", "service": "web", "port": 0}}"#,
        r#"{"service": {"from": "fixed", "service": "shop/web/x", "port": "80"}}"#,
        r#"{"unknown": "drop"}"#,
        r#"{"handOff": []}"#,
        r#"{"handOff": {"by": "header"}}"#,
        r#"{"handOff": {"by": "none", "header": "x-to"}}"#,
        r#"{"handOff": {"header": ":authority"}}"#,
        r#"{"handOff": {"by": "override-host", "cluster": "web"}}"#,
        r#"{"handOff": {"by": "cluster-header", "cluster": "{service}"}}"#,
        r#"{"forwardingHeaders": 1}"#,
        r#"{"trustedProxies": ["10.0.0.0/8", "everybody", null, "10.0.0"]}"#,
        r#"{"viaHeader": null, "learn": "", "debugHeader": []}"#,
        r#"{"proxyProtocol": "v2"}"#,
        r#"{"proxyProtocol": "require"}"#,
        r#"{"proxyProtocolTimeout": "0"}"#,
        r#"{"proxyProtocolTimeout": 5}"#,
        r#"{"environment": "off"}"#,
        r#"{"update": "sidecar"}"#,
        r#"{"update": {}}"#,
        r#"{"update": {"cluster": "a b", "authority": "http://svcmesh", "path": "services", "interval": "5", "timeout": "-1s"}}"#,
        r#"{"update": {"cluster": "a", "token": "two words"}}"#,
        r#"{"log": "verbose"}"#,
    ]);
    insta::assert_snapshot!(told);
}

#[test]
fn services_are_held_to_the_language_of_the_document() {
    let told = told(&[
        r#"{"services": {"version": 1, "services": []}}"#,
        r#"{"services": [7]}"#,
        r#"{"services": [{"name": "web"}]}"#,
        r#"{"services": [{"namespace": "shop", "name": "web", "port": 80, "clusterIp": "10.0.0.1"}]}"#,
        r#"{"services": [{"namespace": "shop", "name": "web", "clusterIPs": ["None"]}]}"#,
        r#"{"services": [{"namespace": "shop", "name": "web", "ports": [{"port": 80}, {"port": 65536}, 80]}]}"#,
        r#"{"services": [
            {"namespace": "shop", "name": "web", "endpoints": [{"address": "web-1", "port": 80}, {"adress": "10.0.0.1", "port": 80}]},
            {"namespace": "shop", "name": "db", "ports": {"port": 80}}
        ]}"#,
    ]);
    insta::assert_snapshot!(told);
}

#[test]
fn a_field_that_nobody_knows_is_told_with_the_name_that_was_meant_and_without_its_value() {
    let told = told(&[
        r#"{"nameSpace": "shop", "clusterDomian": "a", "tokens": "s3cret", "": 1, "a\u0007b": 1}"#,
        r#"{"handoff": {"by": "none"}}"#,
        r#"{"handOff": {"By": "none"}, "service": {"From": "fixed", "from": "authority", "fixed": true}}"#,
        r#"{"update": {"cluster": "a", "tokne": "s3cret"}}"#,
    ]);
    insta::assert_snapshot!(told);
}

#[test]
fn every_mistake_is_told_at_once() {
    let json = r#"{
        "namespace": "Shop", "trustedProxies": ["10.0.0.0/8", "x"], "service": {"from": "fixed", "port": 80},
        "handOf": {"by": "none"}, "update": {"interval": "5"}, "services": [{"namespace": "shop"}],
        "unknown": "a text of which so many characters are shown that it is known again, and no more"
    }"#;
    let mistakes = Plugin::parse(json.as_bytes()).unwrap_err();
    insta::assert_snapshot!(mistakes);
}

#[test]
fn one_mistake_is_one() {
    let mistakes = Plugin::parse(br#"{"log": "all"}"#).unwrap_err();
    assert!(mistakes.to_string().starts_with("the configuration has 1 mistake:\n  log `all`: expected "));
}

/// The manual has each field, and its examples are configurations.
#[test]
fn the_manual_tells_of_every_field_and_its_examples_are_right() {
    let manual = include_str!("../../../docs/wasm-filter.md");
    let fields: serde_json::Map<String, Value> = serde_json::from_str(EVERY_FIELD).unwrap();
    let nested =
        ["service", "handOff", "update"].into_iter().filter_map(|name| fields.get(name)?.as_object());
    for (name, _) in nested.flatten().chain(&fields) {
        assert!(manual.contains(&format!("`{name}`")), "{name}");
    }
    let examples = manual.split("```json\n").skip(1).filter_map(|rest| rest.split("```").next());
    assert_eq!(examples.map(parse).count(), 2);
}

#[test]
fn services_keep_their_order_and_what_they_say() {
    let json = r#"{"services": [{"namespace": "b", "name": "b"}, {"namespace": "a", "name": "a", "ports": [{"port": 80}]}]}"#;
    let names: Vec<String> = parse(json)
        .services
        .iter()
        .map(|json| {
            let service: crate::services::Service<'_> = serde_json::from_str(json).unwrap();
            format!("{}/{} {}", service.namespace, service.name, service.ports.len())
        })
        .collect();
    assert_eq!(names, ["b/b 0", "a/a 1"]);
}
