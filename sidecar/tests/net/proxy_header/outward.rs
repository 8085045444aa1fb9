//! Endpoints that expect a header: HAProxy, nginx, and servers behind HAProxy that have never heard of it.

use crate::support::*;
use crate::web::{VIP, WEB};

/// `web` at the node's first address, which expects headers. What is required of others is not of the pod's own application.
fn web(app_protocol: &str, annotations: &str) -> Sidecar {
    let web = service("web", &["10.96.0.10"], 80, app_protocol);
    let web = web.replacen("name: web", &format!("name: web, annotations: {{ {annotations} }}"), 1);
    let required = ["--proxy-protocol-in", "require", "--trusted-proxies", "192.0.2.0/24"];
    Sidecar::start(
        Manifests::of(&[web, slice("web", &[&Pod::backend_v4(1)], 80)]),
        &[VIP, &required].concat(),
    )
}

fn asking(version: &str) -> String {
    format!("svcmesh.dev/proxy-protocol: {version}")
}

/// HAProxy on the node that takes headers, and does that with what follows.
fn haproxy(pod: &Pod, does: &str) -> Haproxy {
    let configuration = format!("frontend in\n  bind 10.1.1.1:80 accept-proxy\n  {does}\n");
    pod.node.enter(|| Haproxy::start(&configuration, "10.1.1.1:80"))
}

/// What the node's peers take the pod's client and its way for.
const TOLD: &str = "10.1.0.2 10.96.0.10:80\n";

#[test]
fn haproxy_learns_of_the_pod_and_of_the_service_that_it_meant() {
    isolated(|| {
        let pod = Pod::here();
        let _haproxy = haproxy(
            &pod,
            "mode http\n  http-request return status 200 content-type text/plain lf-string \"%[src] %[dst]:%[dst_port]\\n\"",
        );
        for version in ["v1", "v2"] {
            let check = "svcmesh.dev/health-check: \"http:/,interval=1s\"";
            let _sidecar = web("http", &format!("{}, {check}", asking(version)));
            let answer = curl(&[&format!("http://{WEB}/"), &format!("http://{WEB}/again")]);
            assert_eq!((answer.status, &*answer.body), (200, &*TOLD.repeat(2)), "{version}");
        }
    });
}

#[test]
fn haproxy_answers_checks_that_nobody_is_behind_and_logs_no_error() {
    isolated(|| {
        let pod = Pod::here();
        let haproxy = haproxy(&pod, "mode http\n  option httplog\n  http-request return status 200");
        for version in ["v1", "v2"] {
            let before = haproxy.log().lines().count();
            let check = "svcmesh.dev/health-check: \"http:/live,interval=1s\"";
            let sidecar = web("http", &format!("{}, {check}", asking(version)));
            until("checks came", || {
                let checks =
                    haproxy.log().lines().skip(before).filter(|line| line.contains("GET /live")).count();
                (checks >= 2).then_some(())
            });
            assert!(!sidecar.admin("/services").contains("\"ejected\":true"), "{version}");
        }
        let complaints = haproxy.log().matches("PROXY protocol header").count();
        assert_eq!(complaints, 1, "our own, that asked whether it is up, had none: {}", haproxy.log());
    });
}

#[test]
fn nginx_learns_of_it_over_http_and_over_tcp_where_it_speaks_first() {
    isolated(|| {
        let pod = Pod::here();
        let told = "$proxy_protocol_addr $proxy_protocol_server_addr:$proxy_protocol_server_port";
        for version in ["v1", "v2"] {
            let http = format!("location / {{ return 200 '{told}\\n'; }}");
            let nginx = pod.node.enter(|| Nginx::serving("http", "10.1.1.1:80 proxy_protocol", &http));
            let sidecar = web("http", &asking(version));
            let answer = curl(&[&format!("http://{WEB}/")]);
            assert_eq!((answer.status, &*answer.body), (200, TOLD), "{version}");
            drop((nginx, sidecar));
            let stream = format!("return '{told}\\n';");
            let _nginx = pod.node.enter(|| Nginx::streaming("stream", "10.1.1.1:80 proxy_protocol", &stream));
            let _sidecar = web("tcp", &asking(version));
            assert_eq!(Conversation::with(WEB).hear("\n"), TOLD, "{version}");
        }
    });
}

#[test]
fn redis_and_postgres_are_reached_through_a_haproxy_that_wants_headers() {
    isolated(|| {
        let pod = Pod::here();
        let _redis = pod.node.enter(|| Redis::start("10.1.1.2", 6379));
        let _postgres = pod.node.enter(|| Postgres::start("10.1.1.3", 5432));
        for (version, server) in [("v1", "10.1.1.2:6379"), ("v2", "10.1.1.3:5432")] {
            let tcp =
                format!("mode tcp\n  default_backend out\nbackend out\n  mode tcp\n  server one {server}");
            let _haproxy = haproxy(&pod, &tcp);
            let _sidecar = web("tcp", &asking(version));
            match version {
                "v1" => assert_eq!(Redis::ask("127.66.0.1", 80, &["PING"]), "PONG"),
                _ => assert_eq!(Postgres::ask("127.66.0.1", 80, "select 6 * 7"), "42"),
            }
        }
    });
}

#[test]
fn a_sidecar_at_either_end_says_it_and_believes_it() {
    isolated(|| {
        let pod = Pod::here();
        let tell = "location / { return 200 '$http_x_forwarded_for\\n'; }";
        let _application = pod.node.enter(|| Nginx::serving("application", "127.0.0.1:9080", tell));
        let map = ["--inbound", "off", "--inbound-map", "80=127.0.0.1:9080"];
        let off = ["--outbound", "off", "--forward-proxy", "off", "--admin", "127.0.0.1:15020"];
        let required = ["--proxy-protocol-in", "require", "--trusted-proxies", "10.1.0.2/32"];
        let flags = [&map[..], &off, &required].concat();
        let nothing = Manifests::of(&[]);
        let _far = pod.node.enter(|| Sidecar::start_second(nothing.path(), &flags));
        for version in ["v1", "v2"] {
            let _near = web("http", &asking(version));
            // The second hop's client is the pod that the header tells of, and that is trusted with the first's.
            let answer = curl(&[&format!("http://{WEB}/")]);
            assert_eq!((answer.status, &*answer.body), (200, "127.0.0.1, 10.1.0.2\n"), "{version}");
        }
        let _plain = web("http", "svcmesh.dev/retry: attempts=1");
        assert_eq!(curl(&[&format!("http://{WEB}/")]).status, 502, "without a header it is refused");
    });
}
