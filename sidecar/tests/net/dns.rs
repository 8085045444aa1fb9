//! Names from a real name server (dnsmasq), and from one that the test plays where a real one cannot be made to misbehave.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::*;
use crate::web::{nginx, three_nginx};

#[test]
fn a_headless_service_is_balanced_over_its_records_whatever_form_its_name_has() {
    isolated(|| {
        let pod = Pod::here();
        let _backends = three_nginx(&pod);
        let server = dnsmasq(&pod, 30, &[]);
        let (a, b, c) = (Pod::backend_v4(1), Pod::backend_v4(2), Pod::backend_v4(3));
        server.know(&[
            ("web.default.svc.cluster.local", &[&a, &b, &c]),
            ("web.shop.svc.cluster.local", &[&a]),
            ("elsewhere.example.com", &[&b]),
        ]);
        let sidecar = start(&[], &[]);
        let mut bodies = BTreeSet::new();
        for name in ["web", "web.default", "Web.Default.svc", "web.default.svc.cluster.local."] {
            let answer = proxied(&format!("http://{name}/[1-60]"));
            assert_eq!(answer.status, 200, "{name}");
            bodies.extend(answer.body.lines().map(str::to_owned));
        }
        assert_eq!(bodies, ["a", "b", "c"].map(str::to_owned).into());
        assert_eq!(proxied("http://web.shop/").body, "a\n");
        assert_eq!(proxied("http://elsewhere.example.com/").body, "b\n");
        assert_eq!(server.queries("web.default.svc.cluster.local"), 2, "A and AAAA, once for all forms");

        let services = services(&sidecar);
        let shown = |namespace: &str, name: &str| {
            let found = services.iter().find(|it| it["namespace"] == namespace && it["name"] == name);
            let found = found.unwrap_or_else(|| panic!("no {namespace}/{name}: {services:?}"));
            (found["source"].clone(), found["endpoints"].as_array().map(Vec::len))
        };
        assert_eq!(shown("default", "web"), ("dns".into(), Some(3)));
        assert_eq!(shown("shop", "web"), ("dns".into(), Some(1)));
        assert_eq!(shown("", "elsewhere.example.com"), ("dns".into(), Some(1)));
        let metrics = sidecar.admin("/metrics");
        assert!(!metrics.contains("elsewhere"), "clients choose names, and labels are closed sets");
        assert!(metrics.contains("service=\"default/web\""));
    });
}

#[test]
fn an_srv_name_leads_to_the_ports_of_its_targets() {
    isolated(|| {
        let pod = Pod::here();
        let (a, b) = (Pod::backend_v4(1), Pod::backend_v4(2));
        let _backends = pod.node.enter(|| {
            [
                Nginx::named("a", &format!("{a}:8080")),
                Nginx::named("b", &format!("{b}:9090")),
                Nginx::named("reserve", &format!("{b}:7070")),
            ]
        });
        let server = dnsmasq(
            &pod,
            30,
            &[
                "--srv-host=_http._tcp.web.shop.svc.cluster.local,one.web.shop.svc.cluster.local,8080,0,3",
                "--srv-host=_http._tcp.web.shop.svc.cluster.local,two.web.shop.svc.cluster.local,9090,0,1",
                "--srv-host=_http._tcp.web.shop.svc.cluster.local,two.web.shop.svc.cluster.local,7070,1,1",
            ],
        );
        server.know(&[("one.web.shop.svc.cluster.local", &[&a]), ("two.web.shop.svc.cluster.local", &[&b])]);
        let _sidecar = start(&[], &[]);
        let bodies = proxied("http://_http._tcp.web.shop/[1-200]").body;
        assert!(bodies.contains('a') && bodies.contains('b') && !bodies.contains("reserve"), "{bodies}");
        assert_eq!(bodies.lines().count(), 200);
    });
}

#[test]
fn a_name_is_asked_for_twice_in_its_lifetime_whatever_the_ports_and_requests() {
    isolated(|| {
        let pod = Pod::here();
        let address = Pod::backend_v4(1);
        let listens: String = (8002..=8050).map(|port| format!("listen {address}:{port};")).collect();
        let _backend = pod.node.enter(|| {
            Nginx::serving(
                "a",
                &format!("{address}:8001"),
                &format!("{listens} location / {{ return 200 x; }}"),
            )
        });
        let server = dnsmasq(&pod, 1, &[]);
        server.know(&[("db.example.com", &[&address])]);
        let ports: Vec<u16> = (8001..=8050).collect();
        let documents =
            [external("db", "db.example.com", &ports), external("again", "db.example.com", &ports)];
        let sidecar = start(&documents, &["--dns-min-ttl", "1s"]);
        let begun = now();
        let mut requests = 0;
        while begun.elapsed() < Duration::from_secs(5) || requests < 5000 {
            let answer =
                proxied_by(&["http://db.default:[8001-8050]/[1-5]", "http://again:[8001-8050]/[1-5]"]);
            assert_eq!((answer.status, answer.body.len()), (200, 500));
            requests += 500;
        }
        let seconds = begun.elapsed().as_secs_f64();
        let (queries, counted) = (server.queries("db.example.com"), lookups(&sidecar));
        println!(
            "{requests} requests to 2 Services of 50 ports in {seconds:.1} s: {queries} questions, {counted} counted"
        );
        assert!(queries as f64 <= 2.0 * (seconds * 1.03 + 1.0), "{queries} in {seconds} lifetimes of 1 s");
        assert_eq!(queries as u64, counted);
    });
}

#[test]
fn a_restart_and_changed_answers_cost_no_request() {
    isolated(|| {
        let pod = Pod::here();
        let _backends = three_nginx(&pod);
        let mut server = dnsmasq(&pod, 1, &[]);
        let (a, b) = (Pod::backend_v4(1), Pod::backend_v4(2));
        server.know(&[("web.example.com", &[&a])]);
        let sidecar = start(&[], &["--dns-min-ttl", "1s"]);
        let load = thread::scope(|scope| {
            let load = scope.spawn(|| load("web.example.com", 8));
            until("all goes to the first", || (body("web.example.com") == "a\n").then_some(()));
            server.know(&[("web.example.com", &[&b])]);
            until("all goes to the second", || (body("web.example.com") == "b\n").then_some(()));
            server.stop();
            until("the last answer serves on", || (stale(&sidecar) > 0).then_some(()));
            assert_eq!(body("web.example.com"), "b\n");
            server.know_next(&[("web.example.com", &[&a])]);
            pod.node.enter(|| server.again());
            until("the server is heard again", || (body("web.example.com") == "a\n").then_some(()));
            load.join().expect("wrk runs to its end")
        });
        assert_eq!((load.refused, load.broken), (0, 0));
        assert!(load.responses > 1000, "{load:?}");
    });
}

#[test]
fn servfail_and_silence_cost_no_request_once_there_was_an_answer() {
    isolated(|| {
        let pod = Pod::here();
        let _backends = three_nginx(&pod);
        let address = || vec![Pod::backend_v4(1).parse().expect("an address")];
        let server = pod.node.enter(|| Played::start(SERVER, Answering::With(address())));
        let sidecar = start(&[], &["--dns-min-ttl", "1s"]);
        let load = thread::scope(|scope| {
            let load = scope.spawn(|| load("web.example.com", 5));
            until("it is served", || (body("web.example.com") == "a\n").then_some(()));
            server.turn(Answering::Code(2));
            until("SERVFAIL is counted", || (counted(&sidecar, "servfail") > 1).then_some(()));
            let before = stale(&sidecar);
            server.turn(Answering::Code(5)); // REFUSED
            until("so is what is refused", || (stale(&sidecar) > before).then_some(()));
            server.turn(Answering::Silent);
            load.join().expect("wrk runs to its end")
        });
        assert_eq!((load.refused, load.broken), (0, 0));
        assert!(load.responses > 1000, "{load:?}");
    });
}

#[test]
fn a_first_answer_after_five_seconds_is_waited_for() {
    isolated(|| {
        let pod = Pod::here();
        let _backends = three_nginx(&pod);
        let address = vec![Pod::backend_v4(1).parse().expect("an address")];
        let late = Answering::Late(Duration::from_secs(5), address);
        let _server = pod.node.enter(|| Played::start(SERVER, late));
        let _sidecar = start(&[], &[]);
        let begun = now();
        let answers: Vec<Answer> = thread::scope(|scope| {
            let asking: Vec<_> =
                (0..3).map(|_| scope.spawn(|| proxied("http://web.example.com./"))).collect();
            asking.into_iter().map(|asking| asking.join().expect("curl ends")).collect()
        });
        assert!(answers.iter().all(|answer| answer.body == "a\n"), "{answers:?}");
        assert!((5..8).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    });
}

#[test]
fn an_answer_too_large_for_a_datagram_comes_over_tcp() {
    isolated(|| {
        let pod = Pod::here();
        pod.node.enter(|| output_of("ip", &["route", "add", "local", "10.1.2.0/24", "dev", "lo"]));
        let _backend = pod.node.enter(|| Nginx::named("many", "0.0.0.0:80"));
        let server = dnsmasq(&pod, 30, &[]);
        let addresses: Vec<String> = (1..=200).map(|last| format!("10.1.2.{last}")).collect();
        let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
        server.know(&[("many.example.com", &addresses)]);
        let sidecar = start(&[], &[]);
        let body = proxied("http://many.example.com/[1-200]").body;
        assert_eq!(body, "many\n".repeat(200));
        let many = services(&sidecar).into_iter().find(|it| it["name"] == "many.example.com");
        assert_eq!(many.and_then(|it| it["endpoints"].as_array().map(Vec::len)), Some(200));
    });
}

#[test]
fn an_answer_too_large_for_a_datagram_comes_over_tcp_with_any_number_of_servers() {
    isolated(|| {
        let pod = Pod::here();
        pod.node.enter(|| output_of("ip", &["route", "add", "local", "10.1.2.0/24", "dev", "lo"]));
        let _backend = pod.node.enter(|| Nginx::named("many", "0.0.0.0:80"));
        let addresses: Vec<String> = (1..=200).map(|last| format!("10.1.2.{last}")).collect();
        let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
        let (one, two) = (Pod::backend_v4(1), Pod::backend_v4(2));
        let _servers = [&one, &two].map(|at| {
            let server = pod.node.enter(|| Dnsmasq::start(at, 30, &[]));
            server.know(&[("many.example.com", &addresses)]);
            server
        });
        let dead = Pod::backend_v4(3);
        for servers in [vec![&one, &two], vec![&dead, &one], vec![&one, &dead, &two]] {
            let sidecar = start_with(&servers, &[], &[]);
            assert_eq!(proxied("http://many.example.com/[1-200]").body, "many\n".repeat(200), "{servers:?}");
            let many = services(&sidecar).into_iter().find(|it| it["name"] == "many.example.com");
            assert_eq!(many.and_then(|it| it["endpoints"].as_array().map(Vec::len)), Some(200));
        }
    });
}

#[test]
fn an_external_name_without_ports_serves_every_port_that_is_asked_for() {
    isolated(|| {
        let pod = Pod::here();
        let address = Pod::backend_v4(1);
        let listens: String = (8002..=8020).map(|port| format!("listen {address}:{port};")).collect();
        let _backend = pod.node.enter(|| {
            let page = format!("{listens} location / {{ return 200 \"$host $server_port\\n\"; }}");
            Nginx::serving("a", &format!("{address}:80"), &page)
        });
        let server = dnsmasq(&pod, 30, &["--cname=api.default.svc.cluster.local,api.example.com"]);
        server.know(&[("api.example.com", &[&address])]);
        let portless =
            |name: &str, external_name: &str| external(name, external_name, &[]).replace("  ports: []\n", "");
        let documents = [
            portless("api", "api.example.com"),
            portless("again", "api.default.svc.cluster.local"),
            portless("nowhere", "nowhere.example.com"),
        ];
        let _sidecar = start(&documents, &[]);
        for name in ["api", "again.default", "api.default.svc.cluster.local"] {
            for port in [80, 8002, 8003, 8020] {
                let answer = proxied(&format!("http://{name}:{port}/"));
                assert_eq!(
                    (answer.status, answer.body.as_str()),
                    (200, format!("api.example.com {port}\n").as_str()),
                    "{name}:{port}"
                );
            }
        }
        for host in ["nowhere", "nowhere:8002", "nobody", "nobody.example.com:8002", "api.nowhere"] {
            let begun = now();
            let (status, head) = ask(host);
            assert!(status == 502 && head.contains("error=dns_error"), "{host}: {head}");
            assert!(begun.elapsed() < Duration::from_secs(1), "{host}: {:?}", begun.elapsed());
        }
        let begun = now();
        assert_eq!(ask("api:9999").0, 503, "nobody listens there");
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    });
}

#[test]
fn a_client_that_asks_for_thousands_of_names_keeps_no_other_from_its_own() {
    isolated(|| {
        let pod = Pod::here();
        let _backends = three_nginx(&pod);
        let address = Pod::backend_v4(1);
        let (existing, good) = (
            format!("--address=/flood.example.com/{address}"),
            format!("--address=/good.example.com/{address}"),
        );
        let dead = format!("--server=/dead.example.com/{}", Pod::backend_v4(9)); // nobody is there
        let options = [existing.as_str(), good.as_str(), dead.as_str()];
        let _server = pod.node.enter(|| Dnsmasq::start_quiet(SERVER, 30, &options));
        let sidecar = start(&[], &["--loopback-vips", "on"]);
        let proxy = format!("http://{PROXY}");
        let flood = |urls: &str| {
            let from = ["--interface", "127.0.0.2", "--proxy", &proxy, "--max-time", "3", "-o", "/dev/null"];
            curl(&[&from[..], &["-Z", "--parallel-max", "250", urls]].concat());
        };
        assert_eq!(proxied("http://old.good.example.com./").body, "a\n");
        thread::scope(|scope| {
            let flooding = scope.spawn(|| {
                flood("http://n[1-1500].dead.example.com./");
                flood("http://n[1-1500].flood.example.com./");
            });
            let mut asked = 0;
            while !flooding.is_finished() {
                let begun = now();
                assert_eq!(proxied(&format!("http://n{asked}.good.example.com./")).body, "a\n", "{asked}");
                assert!(begun.elapsed() < Duration::from_secs(2), "{asked}: {:?}", begun.elapsed());
                asked += 1;
            }
            println!("{asked} new names of another client, all found");
            assert!(asked > 20, "{asked}");
        });
        assert!(services(&sidecar).len() <= 1_024, "{}", services(&sidecar).len());
        assert!(services(&sidecar).iter().all(|it| it["loopbackVip"].is_null()));
    });
}

#[test]
fn a_denial_fails_requests_at_once_and_only_while_it_lasts_and_open_connections_stay() {
    isolated(|| {
        let pod = Pod::here();
        let server = dnsmasq(&pod, 1, &[]);
        let address = Pod::backend_v4(1);
        let known: [(&str, &[&str]); 1] = [("db.example.com", &[&address])];
        server.know(&known);
        let backend = pod.node.enter(|| TcpListener::bind((address.as_str(), 5432)));
        let backend = backend.expect("addresses in a namespace are free");
        let _web = nginx(&pod, "a", 1);
        let sidecar = start(&[external("db", "db.example.com", &[80, 5432])], &["--dns-min-ttl", "1s"]);
        let mut tunnel = Conversation::with(PROXY);
        tunnel.say("CONNECT db:5432 HTTP/1.1\r\nHost: db:5432\r\n\r\n");
        let mut served = accepted(&backend);
        tunnel.hear("\r\n\r\n");

        server.know(&[]);
        until("new requests fail", || (ask("db").0 == 502).then_some(()));
        for _ in 0..20 {
            let begun = now();
            let (status, head) = ask("db");
            assert_eq!(status, 502, "{head}");
            assert!(
                head.contains("proxy-status: svcmesh; error=dns_error; details=\"DNS knows no such name\""),
                "{head}"
            );
            assert!(begun.elapsed() < Duration::from_millis(500), "at once: {:?}", begun.elapsed());
        }
        tunnel.say("ping");
        served.hear("ping");
        served.say("pong");
        tunnel.hear("pong");
        let codes = until("the log has them", || {
            let log = sidecar.access_log();
            let failed = log.iter().filter(|it| it["response.status"] != 200);
            let codes: Vec<_> = failed.map(|it| it["failure.code"].clone()).collect();
            (codes.len() > 20).then_some(codes)
        });
        assert!(codes.iter().all(|code| code == "MX"), "{codes:?}");

        server.know(&known);
        until("it is there again", || (body("db") == "a\n").then_some(()));
        tunnel.say("ping");
        served.hear("ping");
    });
}

#[test]
fn names_that_lead_in_a_circle_or_home_are_refused_with_the_reason() {
    isolated(|| {
        let pod = Pod::here();
        let server = dnsmasq(&pod, 30, &["--cname=alias.example.com,home.example.com"]);
        server.know(&[
            ("home.example.com", &["127.0.0.1"]),
            ("mapped.example.com", &["::ffff:127.0.0.1"]),
            ("translated.example.com", &["64:ff9b::a9fe:a9fe"]),
            ("cloud.example.com", &["169.254.169.254"]),
            ("me.example.com", &["10.1.0.2"]),
        ]);
        let documents = [
            external("a", "b.default.svc.cluster.local", &[80]),
            external("b", "a.default.svc.cluster.local", &[80]),
            external("home", "home.example.com", &[80]),
            external("trusted", "home.example.com", &[80]).replace(
                "name: trusted",
                "name: trusted, annotations: { svcmesh.dev/allow-local-external-name: \"true\" }",
            ),
            external("number", "10.0.0.1", &[80]),
            external("short", "127.1", &[80]),
            external("own", "mapped.example.com", &[15002]).replace(
                "name: own",
                "name: own, annotations: { svcmesh.dev/allow-local-external-name: \"true\" }",
            ),
        ];
        let sidecar = start(&documents, &["--forward-proxy", "0.0.0.0:15002"]);
        let _own = Nginx::named("own", "127.0.0.1:80");
        for (name, reason) in [
            ("a", "error=dns_error; details=\"the name leads back to itself\""),
            ("home", "error=destination_ip_prohibited; details=\"the name leads to an address that"),
            ("cloud.example.com", "error=destination_ip_prohibited"),
            ("alias.example.com", "error=destination_ip_prohibited"),
            ("mapped.example.com", "error=destination_ip_prohibited"),
            ("translated.example.com", "error=destination_ip_prohibited"),
            ("short", "error=destination_ip_prohibited; details=\"the external name is an address"),
            ("own:15002", "error=proxy_loop_detected"),
            ("localhost", "error="),
            ("number", "error=destination_ip_prohibited; details=\"the external name is an address"),
            ("me.example.com:15002", "error=proxy_loop_detected"),
            ("nowhere.example.com", "error=dns_error; details=\"DNS knows no such name\""),
        ] {
            let (status, head) = ask(name);
            assert!(status == 502 && head.contains(reason), "{name}: {head}");
        }
        assert_eq!(body("trusted"), "own\n");
        let rejected = sidecar.admin("/services");
        for told in
            ["leads to 127.0.0.1, a loopback address", "a cloud's metadata service", "leads back to itself"]
        {
            assert!(rejected.contains(told), "{told}: {rejected}");
        }
    });
}

#[test]
fn a_service_that_changes_its_source_and_its_type_costs_no_request() {
    isolated(|| {
        let pod = Pod::here();
        let _backends = three_nginx(&pod);
        let (a, b) = (Pod::backend_v4(1), Pod::backend_v4(2));
        let server = dnsmasq(&pod, 1, &[]);
        server.know(&[("web.default.svc.cluster.local", &[&a, &b]), ("web.example.com", &[&b])]);
        let sidecar = start(&[], &["--dns-min-ttl", "1s"]);
        let mut tunnel = Conversation::with(PROXY);
        tunnel.say("CONNECT web:80 HTTP/1.1\r\nHost: web:80\r\n\r\n");
        tunnel.hear("\r\n\r\n");
        let load = thread::scope(|scope| {
            let load = scope.spawn(|| load("web", 5));
            until("DNS tells", || (source(&sidecar) == "dns").then_some(()));
            let own =
                [service("web", &["10.96.0.10"], 80, "http"), slice("web", &[&a, &b], 80)].join("---\n");
            sidecar.manifests().write("test.yaml", &own);
            until("a manifest tells", || (source(&sidecar) == "manifests").then_some(()));
            sidecar.manifests().write("test.yaml", &external("web", "web.example.com", &[80]));
            until("it is another name", || (kind(&sidecar) == "ExternalName").then_some(()));
            assert_eq!(body("web"), "b\n");
            sidecar.manifests().write("test.yaml", &own);
            until("it is a Service again", || (kind(&sidecar) == "ClusterIP").then_some(()));
            sidecar.manifests().write("test.yaml", "");
            until("DNS tells again", || (source(&sidecar) == "dns").then_some(()));
            load.join().expect("wrk runs to its end")
        });
        tunnel.ask("/");
        assert!(tunnel.hear("\n\r\n").starts_with("HTTP/1.1 200"), "the tunnel has outlived it all");
        assert_eq!((load.refused, load.broken), (0, 0));
        assert!(load.responses > 1000, "{load:?}");
    });
}

#[test]
fn another_resolv_conf_is_read_at_sighup() {
    isolated(|| {
        let pod = Pod::here();
        let _backends = three_nginx(&pod);
        let server = dnsmasq(&pod, 30, &[]);
        server.know(&[("web.elsewhere.example.com", &[&Pod::backend_v4(1)])]);
        let mut sidecar = start(&[], &[]);
        assert_eq!(ask("web").0, 502);
        let path = sidecar.manifests().path().join("resolv.conf");
        std::fs::write(path, format!("nameserver {SERVER}\nsearch elsewhere.example.com\n"))
            .expect("it is ours");
        sidecar.process().signal(rustix::process::Signal::HUP);
        until("the other search path counts", || (body("web") == "a\n").then_some(()));
    });
}

/// The node's address, at which the name servers listen.
const SERVER: &str = "10.1.0.1";

const PROXY: &str = "127.0.0.1:15002";

fn dnsmasq(pod: &Pod, ttl_seconds: u32, options: &[&str]) -> Dnsmasq {
    pod.node.enter(|| Dnsmasq::start(SERVER, ttl_seconds, options))
}

/// A sidecar that asks DNS for what these documents do not have, as a pod of the namespace `default` is told to.
fn start(documents: &[String], arguments: &[&str]) -> Sidecar {
    start_with(&[SERVER], documents, arguments)
}

/// The same with other name servers.
fn start_with(servers: &[impl AsRef<str>], documents: &[String], arguments: &[&str]) -> Sidecar {
    let manifests = Manifests::of(documents);
    let resolv_conf = manifests.path().join("resolv.conf");
    let search = "default.svc.cluster.local svc.cluster.local cluster.local";
    let servers: String = servers.iter().map(|server| format!("nameserver {}\n", server.as_ref())).collect();
    std::fs::write(&resolv_conf, format!("{servers}search {search}\noptions ndots:5\n"))
        .expect("the folder is ours");
    let path = resolv_conf.to_str().expect("its name is plain").to_owned();
    let dns = ["--discovery", "manifests,dns", "--resolv-conf", &path];
    Sidecar::start(manifests, &[&dns, arguments].concat())
}

/// An ExternalName Service of the namespace `default`.
fn external(name: &str, external_name: &str, ports: &[u16]) -> String {
    let ports: Vec<String> = ports.iter().map(|port| format!("{{ name: p{port}, port: {port} }}")).collect();
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{ name: {name} }}\nspec:\n  type: ExternalName\n  externalName: \"{external_name}\"\n  \
         ports: [{}]\n",
        ports.join(", ")
    )
}

fn proxied(url: &str) -> Answer {
    proxied_by(&[url])
}

fn proxied_by(urls: &[&str]) -> Answer {
    let proxy = format!("http://{PROXY}");
    curl(&[&["--proxy", &proxy], urls].concat())
}

fn body(host: &str) -> String {
    proxied(&format!("http://{host}/")).body
}

/// The status and the head of one answer.
fn ask(host: &str) -> (u16, String) {
    let answer = curl(&[
        "--proxy",
        &format!("http://{PROXY}"),
        "-D",
        "-",
        "-o",
        "/dev/null",
        &format!("http://{host}/"),
    ]);
    (answer.status, answer.body.to_ascii_lowercase().replace("dns knows", "DNS knows"))
}

/// wrk on 8 connections to the forward proxy, which the `Host` header tells whither.
fn load(host: &str, seconds: u64) -> Load {
    wrk_with(&["-H", &format!("Host: {host}")], &format!("http://{PROXY}/"), 8, Duration::from_secs(seconds))
}

fn services(sidecar: &Sidecar) -> Vec<serde_json::Value> {
    let document: serde_json::Value =
        serde_json::from_str(&sidecar.admin("/services")).expect("/services is JSON");
    document["services"].as_array().cloned().unwrap_or_default()
}

fn web_is(sidecar: &Sidecar, field: &str) -> String {
    let web = services(sidecar).into_iter().find(|it| it["name"] == "web");
    web.and_then(|web| web[field].as_str().map(str::to_owned)).unwrap_or_default()
}

fn source(sidecar: &Sidecar) -> String {
    web_is(sidecar, "source")
}

fn kind(sidecar: &Sidecar) -> String {
    web_is(sidecar, "type")
}

fn lookups(sidecar: &Sidecar) -> u64 {
    sidecar.measured("svcmesh_dns_lookups_total").iter().sum()
}

fn counted(sidecar: &Sidecar, result: &str) -> u64 {
    sidecar.measured(&format!("svcmesh_dns_lookups_total{{result={result:?}}}")).iter().sum()
}

fn stale(sidecar: &Sidecar) -> u64 {
    sidecar.measured("svcmesh_dns_stale_answers_total").iter().sum()
}

#[expect(clippy::disallowed_methods, reason = "tests run in real time")]
fn now() -> Instant {
    Instant::now()
}
