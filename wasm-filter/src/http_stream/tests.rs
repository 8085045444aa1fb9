use std::time::Duration;

use super::*;
use crate::fake::{Fake, Reply};
use crate::host::Host as _;
use crate::root::Root;

/// Three endpoints of `shop/web`, an ExternalName with one, and a Service without any.
const SERVICES: &str = r#"[
  {"namespace": "shop", "name": "web", "type": "ClusterIP", "clusterIPs": ["10.96.0.10"], "annotations": {"svcmesh.dev/load-balancer": "rr"},
   "ports": [{"name": "", "port": 80, "protocol": "TCP"}],
   "endpoints": [{"address": "10.1.0.1", "port": 8080, "portName": "", "ready": true, "serving": true, "terminating": false},
                 {"address": "10.1.0.2", "port": 8080, "portName": "", "ready": true, "serving": true, "terminating": false},
                 {"address": "10.1.0.3", "port": 8080, "portName": "", "ready": true, "serving": true, "terminating": false}]},
  {"namespace": "shop", "name": "sticky", "type": "ClusterIP", "clusterIPs": ["10.96.0.11"], "sessionAffinity": {"type": "ClientIP", "timeoutSeconds": 60},
   "ports": [{"name": "", "port": 80, "protocol": "TCP"}],
   "endpoints": [{"address": "10.1.0.1", "port": 8080, "portName": "", "ready": true, "serving": true, "terminating": false},
                 {"address": "10.1.0.2", "port": 8080, "portName": "", "ready": true, "serving": true, "terminating": false}]},
  {"namespace": "shop", "name": "api", "type": "ExternalName", "externalName": "api.example.com",
   "ports": [{"name": "", "port": 80, "protocol": "TCP"}],
   "endpoints": [{"address": "192.0.2.80", "port": 80, "portName": "", "ready": true, "serving": true, "terminating": false}]},
  {"namespace": "shop", "name": "empty", "type": "ClusterIP", "clusterIPs": ["10.96.0.12"],
   "ports": [{"name": "", "port": 80, "protocol": "TCP"}], "endpoints": []}]"#;

struct Scene {
    host: Fake,
    root: Root<Fake>,
}

impl Scene {
    /// A plugin with these fields beside [`SERVICES`], in the namespace `shop`.
    fn new(fields: &str) -> Scene {
        let json = format!(r#"{{"namespace": "shop", "services": {SERVICES} {fields}}}"#);
        let host = Fake::configured(&json).with_property("source.address", "192.0.2.1:4711");
        let mut root = Root::new(host.clone(), 1);
        assert!(root.configure(), "{:?}", host.log());
        assert!(host.log().is_empty(), "{:?}", host.log());
        Scene { host, root }
    }

    fn send(&self, authority: &str, fields: &[(&str, &str)]) -> (HttpStream<Fake>, Flow) {
        let head = [(":method", "GET"), (":path", "/"), (":scheme", "http"), (":authority", authority)];
        self.host.set_request(&[&head[..], fields].concat());
        let mut stream = HttpStream::new(self.host.clone(), self.root.vm().unwrap());
        let flow = stream.begin();
        (stream, flow)
    }

    /// What the endpoint gets of a request, without its pseudo-headers but the authority.
    fn get(&self, authority: &str, fields: &[(&str, &str)]) -> Vec<String> {
        let (stream, flow) = self.send(authority, fields);
        assert_eq!(flow, Flow::Continue, "{:?}", self.host.replied());
        drop(stream);
        let mut lines = self.host.request();
        lines.retain(|line| !line.starts_with(':') || line.starts_with(":authority"));
        lines.sort();
        lines
    }

    /// Which endpoint a request is handed to.
    fn endpoint(&self, authority: &str) -> String {
        let lines = self.get(authority, &[]);
        let found = lines.iter().find_map(|line| line.strip_prefix("x-envoy-original-dst-host: "));
        found.unwrap_or_else(|| panic!("{lines:?}")).into()
    }

    fn answer(&self, stream: &mut HttpStream<Fake>, fields: &[(&str, &str)]) {
        self.host.set_response(fields);
        stream.answered();
    }

    fn counted(&mut self, name: &str) -> u64 {
        self.root.tick();
        self.host.counted().get(name).copied().unwrap_or(0)
    }
}

/// Nothing but the hand-over.
const PICK_ONLY: &str = r#", "forwardingHeaders": false, "viaHeader": false, "learn": false"#;

#[test]
fn requests_take_turns_among_endpoints() {
    let scene = Scene::new(PICK_ONLY);
    let mut picked: Vec<String> = (0..6).map(|_| scene.endpoint("web")).collect();
    picked.sort();
    assert_eq!(
        picked.chunks(2).map(|two| two[0].as_str()).collect::<Vec<_>>(),
        ["10.1.0.1:8080", "10.1.0.2:8080", "10.1.0.3:8080"]
    );
}

#[test]
fn a_pick_and_one_header_are_two_calls_of_the_host() {
    let scene = Scene::new(PICK_ONLY);
    scene.endpoint("web");
    assert_eq!(scene.host.calls(), 2);
}

#[test]
fn the_full_set_is_a_call_of_the_host_for_each_header() {
    let scene = Scene::new(r#", "learn": false"#);
    assert_eq!(
        scene.get("api", &[("accept", "*/*")]),
        [
            ":authority: api.example.com",
            "accept: */*",
            "forwarded: for=192.0.2.1;host=api;proto=http",
            "via: 1.1 svcmesh",
            "x-envoy-original-dst-host: 192.0.2.80:80",
            "x-forwarded-for: 192.0.2.1",
            "x-forwarded-host: api",
            "x-forwarded-proto: http",
            "x-real-ip: 192.0.2.1",
        ]
    );
    assert_eq!(scene.host.calls(), 3 + 8); // headers, peer, version of HTTP; each that is set
}

#[test]
fn what_a_request_says_already_is_not_said_again() {
    let (proto, twice) = (("x-forwarded-proto", "http"), ("x-forwarded-proto", "https"));
    for (fields, set) in [(&[proto][..], 7), (&[twice], 8), (&[proto, proto], 8), (&[proto, twice], 8)] {
        let scene = Scene::new(r#", "learn": false"#);
        let lines = scene.get("api", fields);
        let said = lines.iter().filter(|line| line.starts_with("x-forwarded-proto: "));
        assert_eq!(said.collect::<Vec<_>>(), ["x-forwarded-proto: http"], "{fields:?}");
        assert_eq!(scene.host.calls(), 3 + set, "{fields:?}");
    }
}

#[test]
fn a_header_that_hands_over_says_so_whatever_else_it_is_for() {
    for header in ["x-forwarded-host", "x-forwarded-proto", "via"] {
        let scene =
            Scene::new(&format!(r#", "handOff": {{"by": "original-destination", "header": "{header}"}}"#));
        for said in ["192.0.2.80:80", "api", "http"] {
            let lines = scene.get("api", &[(header, said)]);
            let expected = format!("{header}: 192.0.2.80:80");
            assert!(lines.contains(&expected), "{header}: {said}: {lines:?}");
        }
    }
}

#[test]
fn what_a_client_says_of_endpoints_and_origins_changes_nothing() {
    let scene = Scene::new("");
    let spoofed = [
        ("x-envoy-original-dst-host", "127.0.0.1:9"),
        ("x-svcmesh-endpoint", "127.0.0.1:9"),
        ("x-svcmesh-cluster", "admin"),
        ("x-forwarded-for", "10.0.0.1"),
        ("forwarded", "for=10.0.0.1"),
        ("x-real-ip", "10.0.0.1"),
        ("x_forwarded_for", "10.0.0.1"),
    ];
    let plain = scene.get("api", &[]);
    assert_eq!(scene.get("api", &spoofed), plain);
    let unknown = scene.get("elsewhere.test", &spoofed[..3]);
    assert_eq!(unknown, [":authority: elsewhere.test"]);
}

#[test]
fn a_trusted_peer_is_continued() {
    let scene = Scene::new(r#", "trustedProxies": ["192.0.2.0/24"]"#);
    let lines = scene.get("web", &[("x-forwarded-for", "198.51.100.7"), ("via", "1.1 edge")]);
    for expected in
        ["x-forwarded-for: 198.51.100.7, 192.0.2.1", "x-real-ip: 198.51.100.7", "via: 1.1 edge, 1.1 svcmesh"]
    {
        assert!(lines.iter().any(|line| line == expected), "{expected}: {lines:?}");
    }
}

#[test]
fn each_way_of_handing_over_has_its_header() {
    for (fields, expected) in [
        (r#", "handOff": {"by": "override-host"}"#, "x-svcmesh-endpoint: 192.0.2.80:80"),
        (r#", "handOff": {"by": "override-host", "header": "x-pick"}"#, "x-pick: 192.0.2.80:80"),
        (r#", "handOff": {"by": "cluster-header"}"#, "x-svcmesh-cluster: api.shop:80"),
        (
            r#", "handOff": {"by": "cluster-header", "cluster": "out|{port}|{name}"}"#,
            "x-svcmesh-cluster: out|80|api",
        ),
    ] {
        let lines = Scene::new(fields)
            .get("api", &[("x-pick", "127.0.0.1:9"), ("x-envoy-original-dst-host", "127.0.0.1:9")]);
        assert!(lines.iter().any(|line| line == expected), "{lines:?}");
        assert!(
            !lines.iter().any(|line| line.contains("127.0.0.1") && !expected.starts_with("x-svcmesh")),
            "{lines:?}"
        );
    }
}

#[test]
fn where_the_cluster_chooses_no_endpoint_need_be_known() {
    let lines = Scene::new(r#", "handOff": {"by": "cluster-header"}"#).get("empty", &[]);
    assert!(lines.contains(&"x-svcmesh-cluster: empty.shop:80".to_owned()), "{lines:?}");
}

#[test]
fn who_asks_is_told_where_a_request_went() {
    for (fields, route) in
        [(r#", "debugHeader": true"#, Some("shop/api; endpoint=192.0.2.80:80")), ("", None)]
    {
        let scene = Scene::new(fields);
        let (mut stream, _) = scene.send("api", &[]);
        scene.answer(&mut stream, &[(":status", "200")]);
        assert_eq!(scene.host.response().get("x-svcmesh-route").map(String::as_str), route);
    }
}

#[test]
fn a_client_keeps_its_endpoint_where_its_service_says_so() {
    let scene = Scene::new("");
    let first = scene.endpoint("sticky");
    assert!((0..9).all(|_| scene.endpoint("sticky") == first));
}

#[test]
fn who_goes_nowhere_is_told_why() {
    let scene = Scene::new(r#", "unknown": "refuse""#);
    for (authority, fields, status, error) in [
        ("empty", &[][..], 503, "destination_unavailable"),
        ("elsewhere.test", &[], 502, "destination_not_found"),
        ("web:81", &[], 502, "destination_not_found"),
        ("a b", &[], 400, "http_request_error"),
        (
            "web",
            &[(
                "via",
                "1.1 svcmesh, 1.1 svcmesh, 1.1 svcmesh, 1.1 svcmesh, 1.1 svcmesh, 1.1 svcmesh, 1.1 svcmesh, 1.1 svcmesh, 1.1 svcmesh, 1.1 svcmesh",
            )],
            502,
            "proxy_loop_detected",
        ),
    ] {
        let (_stream, flow) = scene.send(authority, fields);
        assert_eq!(flow, Flow::Pause, "{authority}");
        let Reply { status: replied, proxy_status, body } = scene.host.replied().unwrap();
        assert!(
            proxy_status.starts_with(&format!("svcmesh; error={error}; ")),
            "{authority}: {proxy_status}"
        );
        assert_eq!(replied, status, "{authority}");
        assert!(body.starts_with("svcmesh: ") && body.ends_with('\n'), "{body}");
    }
}

#[test]
fn an_endpoint_that_fails_is_left_out_and_tried_again() {
    let mut scene = Scene::new("");
    for _ in 0..15 {
        let (mut stream, _) = scene.send("web", &[]);
        let fails = scene.host.request().iter().any(|line| line.ends_with(" 10.1.0.2:8080"));
        scene.answer(&mut stream, &[(":status", if fails { "500" } else { "200" })]);
    }
    assert!((0..9).all(|_| scene.endpoint("web") != "10.1.0.2:8080"));
    assert_eq!(scene.counted("svcmesh_ejections_total;service=shop/web;reason=consecutive"), 1);
    scene.host.wait(Duration::from_secs(3));
    assert!((0..9).any(|_| scene.endpoint("web") == "10.1.0.2:8080"));
}

#[test]
fn envoys_own_answers_are_held_against_an_endpoint_only_where_it_failed() {
    for (details, count) in [
        ("upstream_reset_before_response_started{remote_connection_failure|x}", 15),
        ("rbac_access_denied_matched_policy[none]", 0),
    ] {
        let mut scene = Scene::new("");
        scene.host = scene.host.with_property("response.code_details", details);
        for _ in 0..15 {
            let (mut stream, _) = scene.send("web", &[]);
            scene.answer(&mut stream, &[(":status", "503")]);
        }
        assert_eq!(scene.counted("svcmesh_failures_total;code=UR"), count, "{details}");
        assert_eq!(scene.counted("svcmesh_requests_total;service=shop/web;protocol=http/1.1;code=503"), 15);
    }
}

#[test]
fn what_envoy_answers_for_reasons_of_its_own_says_nothing_of_an_endpoint() {
    let mut scene = Scene::new("");
    let fails = ("500", "via_upstream");
    // Between its failures, a request that it never saw: it has not succeeded.
    for (status, details) in [fails, fails, fails, fails, ("403", "rbac_access_denied"), fails] {
        scene.host.set_property(&["response", "code_details"], details.as_bytes());
        let mut stream = loop {
            let (stream, _) = scene.send("web", &[]);
            if scene.host.request().iter().any(|line| line.ends_with(" 10.1.0.2:8080")) {
                break stream;
            }
        };
        scene.answer(&mut stream, &[(":status", status)]);
    }
    assert_eq!(scene.counted("svcmesh_ejections_total;service=shop/web;reason=consecutive"), 1);
}

#[test]
fn the_environment_is_read() {
    let json = r#"{"service": {"from": "authority"}}"#;
    let host = Fake::configured(json)
        .with_variable("DB_SERVICE_HOST", "10.96.0.77")
        .with_variable("DB_SERVICE_PORT", "80")
        .with_property("source.address", "192.0.2.1:4711");
    let mut root = Root::new(host.clone(), 1);
    assert!(root.configure(), "{:?}", host.log());
    let scene = Scene { host, root };
    assert_eq!(scene.endpoint("db"), "10.96.0.77:80");
}

#[test]
fn every_mistake_of_a_configuration_is_logged_and_nothing_starts() {
    let host =
        Fake::configured(r#"{"namespaces": "x", "unknown": "drop", "trustedProxies": ["10.0.0.0/33"]}"#);
    assert!(!Root::new(host.clone(), 1).configure());
    let log = host.log();
    assert_eq!(log.len(), 3, "{log:?}");
    assert!(log.iter().all(|(level, _)| *level == Level::Error));
}
