//! How Envoy is told of the endpoint, and that nobody else tells it.

use super::fields::{Fields, text};
use super::host::{Outcome, Request, Vm};
use super::proxy::Proxy;

/// `default/web` with one endpoint, and `default/empty` with none, beside these fields.
pub(super) fn configuration(fields: &str) -> String {
    format!(
        r#"{{"environment": false, "services": [
          {{"namespace": "default", "name": "web", "type": "ClusterIP", "clusterIPs": ["10.96.0.10"],
            "ports": [{{"port": 80, "protocol": "TCP"}}], "endpoints": [{{"address": "10.1.0.1", "port": 8080}}]}},
          {{"namespace": "default", "name": "empty", "type": "ClusterIP", "clusterIPs": ["10.96.0.11"],
            "ports": [{{"port": 80, "protocol": "TCP"}}]}}] {fields}}}"#
    )
}

pub(super) fn running(fields: &str) -> Vm {
    Vm::running(&configuration(fields), Proxy::default())
}

fn continued(vm: &mut Vm, request: Request<'_>) -> Fields {
    match vm.exchange(request) {
        Outcome::Continued(headers) => headers,
        Outcome::Replied(reply) => panic!("{reply:?}"),
    }
}

/// All three headers by which Envoy may be told, as a client sends them.
const SPOOFED: [(&str, &str); 5] = [
    ("x-envoy-original-dst-host", "203.0.113.66:666"),
    ("X-Envoy-Original-Dst-Host", "203.0.113.67:667"),
    ("x-svcmesh-endpoint", "203.0.113.66:666"),
    ("x-svcmesh-cluster", "admin"),
    ("x-elsewhere", "203.0.113.66:666"),
];

#[test]
fn each_way_of_handing_over_says_it_in_its_header_and_in_no_other() {
    for (hand_off, header, said) in [
        (r#"{"by": "original-destination"}"#, "x-envoy-original-dst-host", "10.1.0.1:8080"),
        (r#"{"by": "original-destination", "header": "x-elsewhere"}"#, "x-elsewhere", "10.1.0.1:8080"),
        (r#"{"by": "override-host"}"#, "x-svcmesh-endpoint", "10.1.0.1:8080"),
        (
            r#"{"by": "cluster-header", "cluster": "{name}.{namespace}:{port}"}"#,
            "x-svcmesh-cluster",
            "web.default:80",
        ),
        (r#"{"by": "none"}"#, "x-nothing", ""),
    ] {
        let mut vm = running(&format!(r#", "handOff": {hand_off}"#));
        for spoofed in [&[][..], &SPOOFED] {
            let headers = continued(&mut vm, Request::get("web").with(spoofed));
            for (name, _) in SPOOFED.iter().filter(|(name, _)| *name != "x-elsewhere" || header == *name) {
                let expected = (*name).eq_ignore_ascii_case(header).then(|| said.to_owned());
                assert_eq!(text(&headers, &name.to_lowercase()), expected, "{hand_off} {name}");
            }
        }
    }
}

#[test]
fn what_passes_unknown_is_not_handed_over_either() {
    let mut vm = running(r#", "unknown": "pass""#);
    let headers = continued(&mut vm, Request::get("nobody").with(&SPOOFED));
    for name in ["x-envoy-original-dst-host", "x-svcmesh-endpoint", "x-svcmesh-cluster"] {
        assert_eq!(text(&headers, name), None, "{name}");
    }
    assert_eq!(text(&headers, ":authority").as_deref(), Some("nobody"));
}

#[test]
fn what_leads_nowhere_is_answered_with_its_reason() {
    let mut vm = running(r#", "unknown": "refuse""#);
    for (authority, status, proxy_status) in [
        (
            "nobody",
            502,
            r#"svcmesh; error=destination_not_found; details="no Service has that name or address""#,
        ),
        (
            "web:81",
            502,
            r#"svcmesh; error=destination_not_found; details="the Service has no such TCP port""#,
        ),
        (
            "empty",
            503,
            r#"svcmesh; error=destination_unavailable; details="the Service has no usable endpoint""#,
        ),
        ("a b", 400, r#"svcmesh; error=http_request_error; details="the request is malformed or ambiguous""#),
    ] {
        let Outcome::Replied(reply) = vm.exchange(Request::get(authority)) else {
            panic!("{authority} goes on")
        };
        assert_eq!(
            (reply.status, text(&reply.headers, "proxy-status").as_deref()),
            (status, Some(proxy_status))
        );
        assert!(reply.body.starts_with("svcmesh: ") && reply.body.ends_with('\n'), "{}", reply.body);
    }
}

#[test]
fn a_route_may_say_which_service_it_is_for() {
    let mut vm =
        running(r#", "service": {"from": "metadata", "key": "svcmesh.service"}, "unknown": "refuse""#);
    for (said, endpoint) in [
        ("default/web:80", Some("10.1.0.1:8080")),
        ("default/empty:80", None),
        ("web.default", Some("10.1.0.1:8080")),
    ] {
        let request =
            Request { metadata: Some((["svcmesh", "service"], said)), ..Request::get("elsewhere.example") };
        match vm.exchange(request) {
            Outcome::Continued(headers) => {
                assert_eq!(text(&headers, "x-envoy-original-dst-host").as_deref(), endpoint, "{said}");
            }
            Outcome::Replied(reply) => assert_eq!((endpoint, reply.status), (None, 503), "{said}"),
        }
    }
}

#[test]
fn services_come_from_the_environment_of_the_vm_too() {
    let environment = [("DB_SERVICE_HOST", "10.96.7.7"), ("DB_SERVICE_PORT", "80"), ("PATH", "/bin")];
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let mut vm = Vm::running("{}", Proxy { environment, ..Proxy::default() });
    let headers = continued(&mut vm, Request::get("db"));
    assert_eq!(text(&headers, "x-envoy-original-dst-host").as_deref(), Some("10.96.7.7:80"));
}

#[test]
fn a_configuration_with_mistakes_is_refused_with_each_of_them() {
    let mut vm = Vm::start(Proxy::default());
    let log = vm.configure(
        r#"{"namespace": "Not A Label", "handOff": {"by": "magic"}, "unknow": "pass", "learn": 1}"#,
    );
    let log = log.expect_err("it has four mistakes");
    assert_eq!(log.len(), 4, "{log:#?}");
    for name in ["namespace", "handOff.by", "unknow", "learn"] {
        assert!(
            log.iter().any(|line| line.starts_with("error: ") && line.contains(name)),
            "{name}: {log:#?}"
        );
    }
    for json in ["[]", "{", "\u{0}", "{\"namespace\": \"\u{fffd}\"}"] {
        assert!(Vm::start(Proxy::default()).configure(json).is_err(), "{json}");
    }
    vm.configure("").expect("to say nothing is legal, after mistakes too");
}

#[test]
fn what_is_counted_is_called_what_the_sidecar_calls_it() {
    let mut vm = running(r#", "unknown": "refuse""#);
    for authority in ["web", "web", "empty", "nobody"] {
        vm.exchange(Request::get(authority));
    }
    vm.exchange(Request { protocol: "HTTP/2", ..Request::get("web") });
    vm.tick();
    let counted: Vec<String> = vm.counters().iter().map(|(name, count)| format!("{name} {count}")).collect();
    assert_eq!(
        counted,
        [
            "svcmesh_failures_total;code=MD 1",
            "svcmesh_failures_total;code=MN 1",
            "svcmesh_requests_total;service=default/empty;protocol=http/1.1;code=503 1",
            "svcmesh_requests_total;service=default/web;protocol=http/1.1;code=200 2",
            "svcmesh_requests_total;service=default/web;protocol=http/2;code=200 1",
        ]
    );
}
