//! Connections from elsewhere to the application in the pod: captured, or by a mapped port.

use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;

use crate::support::*;

/// Shows what the application was told of its client.
const TELL: &str = "location / { return 200 '$host|$http_x_forwarded_for|$http_forwarded|$remote_addr\\n'; }";

/// `web` is served by the pod itself.
fn manifests(app_protocol: &str) -> Manifests {
    Manifests::of(&[service("web", &["10.96.0.10"], 80, app_protocol), slice("web", &[Pod::OWN[0]], 8080)])
}

#[test]
fn a_captured_request_reaches_the_application_and_says_where_it_came_from() {
    isolated(|| {
        let pod = Pod::here();
        let sidecar = Sidecar::start_as(Some(SIDECAR_USER), manifests("http"), &[]);
        capture_input();
        let (v4, v6) = (format!("{}:8080", Pod::OWN[0]), format!("[{}]:8080", Pod::OWN[1]));
        let _four = Nginx::serving("four", &v4, TELL);
        let _six = Nginx::serving("six", &v6, TELL);
        let spoofed = ["-H", "X-Forwarded-For: 6.6.6.6"];
        let four = pod.node.enter(|| curl(&[&spoofed[..], &[&format!("http://{v4}/")]].concat()));
        assert_eq!(
            (four.status, &*four.body),
            (200, "10.1.0.2|10.1.0.1|for=10.1.0.1;host=\"10.1.0.2:8080\";proto=http|10.1.0.2\n")
        );
        let six = pod.node.enter(|| curl(&[&format!("http://{v6}/")]));
        assert_eq!(six.status, 200);
        assert!(six.body.contains("|fd00:10:1::1|for=\"[fd00:10:1::1]\""), "{}", six.body);
        let series =
            "svcmesh_requests_total{direction=\"inbound\",service=\"default/web\",endpoint=\"10.1.0.2:8080\"";
        assert_eq!(sidecar.measured(series), [1]);
        // Of the other nobody has said that it is an endpoint.
        assert_eq!(
            sidecar.measured("svcmesh_requests_total{direction=\"inbound\",service=\"\",endpoint=\"\""),
            [1]
        );
    });
}

#[test]
fn an_application_that_listens_for_its_own_pod_only_is_reached() {
    isolated(|| {
        let pod = Pod::here();
        let _sidecar = Sidecar::start_as(Some(SIDECAR_USER), manifests("tcp"), &[]);
        capture_input();
        let _redis = [Redis::start("127.0.0.1", 8080), Redis::start("::1", 8081)];
        pod.node.enter(|| {
            assert_eq!(Redis::ask(Pod::OWN[0], 8080, &["PING"]), "PONG");
            assert_eq!(Redis::ask(Pod::OWN[1], 8081, &["PING"]), "PONG");
        });
    });
}

#[test]
fn a_probe_of_an_application_that_is_down_fails() {
    isolated(|| {
        let pod = Pod::here();
        let _sidecar = Sidecar::start_as(Some(SIDECAR_USER), manifests("http"), &[]);
        capture_input();
        let probe = format!("http://{}:8080/healthz", Pod::OWN[0]);
        assert_eq!(pod.node.enter(|| curl(&[&probe])).status, 503);
        let _application = Nginx::named("up", &format!("{}:8080", Pod::OWN[0]));
        assert_eq!(pod.node.enter(|| curl(&[&probe])).status, 200);
    });
}

#[test]
fn a_connection_to_the_inbound_port_itself_leads_nowhere() {
    isolated(|| {
        let pod = Pod::here();
        let sidecar = Sidecar::start_as(Some(SIDECAR_USER), manifests("http"), &[]);
        capture_input();
        let url = format!("http://{}:15006/livez", Pod::OWN[0]);
        let output = pod.node.enter(|| Command::new("curl").args(["-s", "-m", "5", &url]).output());
        assert!(!output.expect("curl is installed").status.success());
        let codes = until("it is recorded", || {
            let log = sidecar.access_log();
            let codes: Vec<_> = log.iter().map(|line| line["failure.code"].clone()).collect();
            (!codes.is_empty()).then_some(codes)
        });
        assert_eq!(codes, ["MO"]);
    });
}

#[test]
fn mapped_ports_need_no_capture() {
    isolated(|| {
        let pod = Pod::here();
        let _web = Nginx::serving("web", "127.0.0.1:9080", TELL);
        let _redis = Redis::start("127.0.0.1", 9379);
        let map = "8080=127.0.0.1:9080,6379=127.0.0.1:9379";
        let sidecar = Sidecar::start(manifests("http"), &["--inbound", "off", "--inbound-map", map]);
        for (client, url) in
            [("10.1.0.1", "http://10.1.0.2:8080/"), ("fd00:10:1::1", "http://[fd00:10:1::2]:8080/")]
        {
            let answer = pod.node.enter(|| curl(&[url]));
            assert_eq!(answer.status, 200);
            assert!(answer.body.contains(&format!("|{client}|")), "{}", answer.body);
        }
        assert_eq!(pod.node.enter(|| Redis::ask("10.1.0.2", 6379, &["PING"])), "PONG");
        let series = "svcmesh_requests_total{direction=\"inbound\",service=\"default/web\",endpoint=\"127.0.0.1:9080\"";
        assert_eq!(sidecar.measured(series), [1], "10.1.0.2:8080 is an endpoint of web");
    });
}

#[test]
fn a_drain_takes_in_nobody_new_from_elsewhere_after_its_delay() {
    isolated(|| {
        let pod = Pod::here();
        let backend = TcpListener::bind("127.0.0.1:9000").expect("addresses in a namespace are free");
        let flags = ["--inbound", "off", "--inbound-map", "8080=127.0.0.1:9000", "--drain-delay", "1s"];
        let mut sidecar = Sidecar::start(manifests("tcp"), &flags);
        let mut client = pod.node.enter(|| Conversation::with("10.1.0.2:8080"));
        client.say("first ");
        let mut served = accepted(&backend);
        served.hear("first ");
        drop(backend); // whoever comes now is refused
        sidecar.process().signal(Signal::TERM);
        until("nobody new is taken in", || {
            let opened = pod.node.enter(|| std::net::TcpStream::connect("10.1.0.2:8080"));
            opened.is_err().then_some(())
        });
        client.say("ping");
        served.hear("ping");
        served.say("pong");
        client.hear("pong");
        drop((client, served));
        assert!(sidecar.process().wait(Duration::from_secs(10)).success());
    });
}
