//! HAProxy in front of a pod, and what the pod's application learns of the client.

use std::fs;

use tempfile::TempDir;

use crate::support::*;

/// A client beyond the load balancer, which is at 10.1.0.1.
const CLIENT: &str = "10.1.1.3";
const BALANCER: &str = "10.1.0.1:80";

/// What the pod is told of its balancer.
const TRUST: [&str; 4] = ["--proxy-protocol-in", "require", "--trusted-proxies", "10.1.0.1/32"];

/// HAProxy on the node, which sends what comes to its port 80 to the pod's `port` in that way.
fn balancer(pod: &Pod, mode: &str, port: u16, way: &str) -> Haproxy {
    let server = format!("server pod {}:{port} {way}", Pod::OWN[0]);
    pod.node.enter(|| {
        Haproxy::start(&format!("listen balancer\n  mode {mode}\n  bind {BALANCER}\n  {server}\n"), BALANCER)
    })
}

/// A client's request through the balancer.
fn ask(pod: &Pod, arguments: &[&str]) -> Answer {
    pod.node.enter(|| curl(&[&["--interface", CLIENT], arguments].concat()))
}

/// The pod's application as Service `web`, with these annotations.
fn web(annotations: &str) -> Manifests {
    let web = service("web", &["10.96.0.10"], 80, "http");
    let web = web.replacen("name: web", &format!("name: web, annotations: {{ {annotations} }}"), 1);
    Manifests::of(&[web, slice("web", &[Pod::OWN[0]], 8080)])
}

fn sidecar(annotations: &str, more: &[&str]) -> Sidecar {
    let map = ["--inbound", "off", "--inbound-map", "8080=127.0.0.1:9080"];
    Sidecar::start(web(annotations), &[&map[..], &TRUST, more].concat())
}

#[test]
fn every_header_of_haproxy_tells_the_application_of_its_client() {
    isolated(|| {
        let pod = Pod::here();
        let tell = "location / { return 200 '$http_x_forwarded_for|$http_forwarded\\n'; }";
        let _application = Nginx::serving("application", "127.0.0.1:9080", tell);
        let sidecar = sidecar("", &[]);
        let tlvs = "send-proxy-v2-ssl-cn proxy-v2-options crc32c,unique-id,cert-cn";
        for (mode, way) in
            [("tcp", "send-proxy"), ("tcp", "send-proxy-v2"), ("tcp", tlvs), ("http", "send-proxy-v2")]
        {
            let _balancer = balancer(&pod, mode, 8080, way);
            let forged = ["-H", "X-Forwarded-For: 6.6.6.6"];
            let answer = ask(&pod, &[&forged[..], &["http://10.1.0.1/"]].concat());
            let told = "10.1.1.3|for=10.1.1.3;host=10.1.0.1;proto=http\n";
            assert_eq!((answer.status, &*answer.body), (200, told), "{way}");
        }
        let requests = until("all requests are recorded", || {
            let log = sidecar.access_log().into_iter();
            Some(log.filter(|line| line["kind"] == "request").collect()).filter(|all: &Vec<_>| all.len() == 4)
        });
        for line in requests {
            let [client, peer] = ["client.address", "peer.address"].map(|field| line[field].to_string());
            assert!(client.starts_with("\"10.1.1.3:") && peer.starts_with("\"10.1.0.1:"), "{line}");
        }
        // Each balancer's start was noticed by a connection too.
        assert!(sidecar.measured("svcmesh_proxy_header_total{result=\"accepted\"}")[0] >= 4);
    });
}

#[test]
fn nginx_logs_the_client_that_haproxy_told_the_sidecar_of() {
    isolated(|| {
        let pod = Pod::here();
        let logs = TempDir::new().expect("the temporary folder is writable");
        let log = logs.path().join("access.log");
        let listen = "127.0.0.1:9080 proxy_protocol";
        for (version, way) in [("v1", "send-proxy-v2"), ("v2", "send-proxy"), ("v2", "send-proxy-v2")] {
            let _before = fs::remove_file(&log);
            let tell = format!(
                "set_real_ip_from 127.0.0.1; real_ip_header proxy_protocol; access_log {} combined; \
                 location / {{ return 200 '$proxy_protocol_addr|$proxy_protocol_server_addr:$proxy_protocol_server_port\\n'; }}",
                log.display()
            );
            let _application = Nginx::serving("application", listen, &tell);
            let _sidecar = sidecar(&format!("svcmesh.dev/proxy-protocol: {version}"), &[]);
            let _balancer = balancer(&pod, "tcp", 8080, way);
            let answer = ask(&pod, &["http://10.1.0.1/first", "http://10.1.0.1/second"]);
            assert_eq!(answer.body, "10.1.1.3|10.1.0.1:80\n".repeat(2), "{version} of {way}");
            // nginx writes a line after the answer has gone out.
            let logged = until("both requests are logged", || {
                fs::read_to_string(&log).ok().filter(|logged| logged.lines().count() >= 2)
            });
            let clients: Vec<_> = logged.lines().filter_map(|line| line.split(' ').next()).collect();
            assert_eq!(clients, [CLIENT; 2], "{logged}");
        }
    });
}

#[test]
fn checks_of_haproxy_are_answered_and_are_no_failures() {
    isolated(|| {
        let pod = Pod::here();
        let _application = Nginx::named("application", "127.0.0.1:9080");
        let sidecar = sidecar("", &[]);
        let checks = "http\n  option httpchk\n  http-check send meth GET uri / ver HTTP/1.1 hdr Host web";
        let _balancer = balancer(&pod, checks, 8080, "send-proxy-v2 check inter 100ms");
        until("checks came", || {
            let counts = sidecar.measured("svcmesh_proxy_header_total{result=\"local\"}");
            (counts[0] >= 3).then_some(())
        });
        assert_eq!(ask(&pod, &["http://10.1.0.1/"]).body, "application\n");
        // Connections that end before their first byte, as plain checks by TCP.
        for _ in 0..3 {
            pod.node.enter(|| drop(Conversation::with("10.1.0.2:8080")));
        }
        assert_eq!(ask(&pod, &["http://10.1.0.1/"]).body, "application\n");
        let failed: Vec<_> =
            sidecar.access_log().into_iter().filter(|line| line.get("failure.code").is_some()).collect();
        assert!(failed.is_empty(), "{failed:?}");
    });
}

#[test]
fn tls_comes_after_the_header() {
    isolated(|| {
        let pod = Pod::here();
        let authority = Authority::new();
        let tell = "location / { return 200 '$http_x_forwarded_for $http_x_forwarded_proto\\n'; }";
        let _application = Nginx::serving("application", "127.0.0.1:9080", tell);
        let [certificate, key] = authority.files("web", &["web.example"]);
        let map = ["--inbound", "off", "--inbound-map", "8443=127.0.0.1:9080,tls"];
        let pair = ["--tls-cert", &certificate, "--tls-key", &key];
        let _sidecar = Sidecar::start(Manifests::of(&[]), &[&map[..], &pair, &TRUST].concat());
        let _balancer = balancer(&pod, "tcp", 8443, "send-proxy-v2");
        let secured = ["--cacert", &authority.file(), "--connect-to", "web.example:443:10.1.0.1:80"];
        let answer = ask(&pod, &[&secured[..], &["https://web.example/"]].concat());
        assert_eq!((answer.status, &*answer.body), (200, "10.1.1.3 https\n"));
    });
}

#[test]
fn who_comes_round_the_balancer_is_refused_whatever_it_says() {
    isolated(|| {
        let pod = Pod::here();
        let _application = Nginx::named("application", "127.0.0.1:9080");
        let sidecar = sidecar("", &[]);
        let spoofed = ["--haproxy-protocol", "http://10.1.0.2:8080/"];
        assert_eq!(ask(&pod, &spoofed).status, 0);
        assert_eq!(pod.node.enter(|| curl(&spoofed)).status, 200); // from the balancer's own address
        let counts = ["refused_untrusted", "accepted"]
            .map(|result| sidecar.measured(&format!("svcmesh_proxy_header_total{{result=\"{result}\"}}")));
        assert_eq!(counts, [[1], [1]]);
    });
}
