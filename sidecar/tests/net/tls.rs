//! TLS that clients begin and the sidecar ends, with curl and openssl for clients and nginx for the application.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::*;

/// Shows what the application was told of its client.
const TELL: &str =
    "location / { return 200 '$http_x_forwarded_proto|$http_forwarded|$http_x_forwarded_client_cert\\n'; }";

/// A sidecar that ends TLS at port 8443 for the application at port 9080.
fn ending_tls(authority: &Authority, more: &[&str]) -> Sidecar {
    let [certificate, key] = authority.files("first", &["first.example"]);
    let [other, other_key] = authority.files("other", &["other.example", "*.wild.example"]);
    let (certificates, keys) = (format!("{certificate},{other}"), format!("{key},{other_key}"));
    let map = ["--inbound", "off", "--inbound-map", "8443=127.0.0.1:9080,tls"];
    let pairs = ["--tls-cert", &certificates, "--tls-key", &keys];
    Sidecar::start(nothing(), &[&map[..], &pairs, more].concat())
}

pub(crate) fn nothing() -> Manifests {
    Manifests::of(&[])
}

/// Asks `host` over TLS for `/`.
pub(crate) fn ask(host: &str, authority: &str, more: &[&str]) -> Answer {
    let (resolve, url) = (format!("{host}:8443:127.0.0.1"), format!("https://{host}:8443/"));
    curl(&[&["--cacert", authority, "--resolve", &resolve], more, &[&url]].concat())
}

/// What `openssl s_client` says of a handshake.
pub(crate) fn s_client(arguments: &[&str]) -> String {
    let connect = ["s_client", "-connect", "127.0.0.1:8443", "-ign_eof"];
    let mut client = Command::new("openssl");
    client.args(connect).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut client = client.spawn().expect("openssl is installed");
    let request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let _refused = client.stdin.take().expect("it is piped").write_all(request);
    let output = client.wait_with_output().expect("it ends with the connection");
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn codes(sidecar: &Sidecar) -> Vec<String> {
    let lines = sidecar.access_log();
    lines.iter().map(|line| line["failure.code"].as_str().unwrap_or("-").to_owned()).collect()
}

/// Waits until these are the codes of the records.
pub(crate) fn records(sidecar: &Sidecar, expected: &[&str]) {
    until(&format!("the records are {expected:?}"), || {
        let codes = codes(sidecar);
        (codes.len() >= expected.len()).then(|| assert_eq!(codes, expected))
    });
}

#[test]
fn requests_come_through_tls_and_the_application_hears_of_it() {
    isolated(|| {
        let authority = Authority::new();
        let _application = Nginx::serving("application", "127.0.0.1:9080", TELL);
        let sidecar = ending_tls(&authority, &[]);
        let forged = ["-H", "X-Forwarded-Proto: http", "-H", "X-Forwarded-Client-Cert: By=me"];
        for version in ["--http2", "--http1.1"] {
            let answer = ask("first.example", &authority.file(), &[&[version][..], &forged].concat());
            let told = "https|for=127.0.0.1;host=\"first.example:8443\";proto=https|\n";
            assert_eq!((answer.status, &*answer.body), (200, told));
        }
        let protocols: Vec<_> = sidecar.access_log().iter().map(|line| line["protocol"].clone()).collect();
        assert_eq!(
            protocols,
            ["h2", "http/1.1"],
            "the client's; the application was asked in HTTP/1.1 both times"
        );
        let handshakes = "svcmesh_tls_handshakes_total{direction=\"inbound\",kind=\"full\"}";
        assert_eq!(sidecar.measured(handshakes), [2]);
    });
}

#[test]
fn each_name_is_shown_its_certificate_and_strangers_the_first() {
    isolated(|| {
        let authority = Authority::new();
        let _application = Nginx::named("application", "127.0.0.1:9080");
        let _sidecar = ending_tls(&authority, &[]);
        for (name, subject) in [
            ("first.example", "first.example"),
            ("other.example", "other.example"),
            ("a.wild.example", "other.example"),
            ("a.b.wild.example", "first.example"),
            ("stranger.example", "first.example"),
        ] {
            let said = s_client(&["-servername", name]);
            assert!(said.contains(&format!("subject=CN = {subject}\n")), "{name}: {said}");
        }
        assert!(s_client(&["-noservername"]).contains("subject=CN = first.example\n"));
        assert_eq!(ask("a.wild.example", &authority.file(), &[]).status, 200);
        assert_eq!(ask("stranger.example", &authority.file(), &[]).status, 0, "curl believes no other name");
    });
}

#[test]
fn a_policy_says_which_versions_and_suites_there_are() {
    isolated(|| {
        let authority = Authority::new();
        let _application = Nginx::named("application", "127.0.0.1:9080");
        let suite = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384";
        for (policy, works, fails) in [
            ("intermediate", &[&["-tls1_2"][..], &["-tls1_3"]][..], &[&["-tls1_1"][..]][..]),
            ("modern", &[&["-tls1_3"]], &[&["-tls1_2"]]),
            ("1.2", &[&["-tls1_2"]], &[&["-tls1_3"]]),
            (
                suite,
                &[&["-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384"]],
                &[&["-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256", "-tls1_2"], &["-tls1_3"]],
            ),
        ] {
            let sidecar = ending_tls(&authority, &["--tls-policy", policy]);
            for arguments in works {
                let said = s_client(&[arguments, &["-cipher", "DEFAULT@SECLEVEL=0"][..]].concat());
                assert!(said.contains("HTTP/1.1 200 OK"), "{policy} {arguments:?}: {said}");
            }
            for arguments in fails {
                let said = s_client(arguments);
                assert!(
                    said.contains("alert") && !said.contains("HTTP/1.1"),
                    "{policy} {arguments:?}: {said}"
                );
            }
            until("each refusal has its record", || {
                let failed: Vec<_> = codes(&sidecar).into_iter().filter(|code| code != "-").collect();
                (failed.len() >= fails.len()).then(|| assert_eq!(failed, vec!["CS"; fails.len()], "{policy}"))
            });
        }
    });
}

#[test]
fn clients_show_a_certificate_where_one_is_asked_for() {
    isolated(|| {
        let (authority, clients) = (Authority::new(), Authority::new());
        let _application = Nginx::named("application", "127.0.0.1:9080");
        let sidecar = ending_tls(&authority, &["--tls-client-ca", &clients.file()]);
        let by = |whose: &Authority, name: &str| {
            let [certificate, key] = whose.files(name, &["client"]);
            ask("first.example", &authority.file(), &["--cert", &certificate, "--key", &key]).status
        };
        assert_eq!(by(&clients, "client"), 200);
        assert_eq!(by(&Authority::new(), "client"), 0, "of an unknown authority");
        for version in ["-tls1_2", "-tls1_3"] {
            let said = s_client(&[version]);
            assert!(said.contains("alert") && !said.contains("200 OK"), "{version}: {said}");
        }
        records(&sidecar, &["-", "CC", "CC", "CC"]);
    });
}

#[test]
fn a_second_connection_resumes_what_the_first_agreed() {
    isolated(|| {
        let authority = Authority::new();
        let _application = Nginx::named("application", "127.0.0.1:9080");
        let sidecar = ending_tls(&authority, &["--workers", "2"]);
        for version in ["-tls1_2", "-tls1_3"] {
            let session = authority.write("session", "");
            assert!(s_client(&[version, "-sess_out", &session]).contains("New, "));
            for _ in 0..5 {
                let said = s_client(&[version, "-sess_in", &session]);
                assert!(said.contains("Reused, "), "whichever worker it is: {said}");
            }
        }
        let count = |kind| {
            sidecar
                .measured(&format!("svcmesh_tls_handshakes_total{{direction=\"inbound\",kind=\"{kind}\"}}"))
        };
        assert_eq!((count("full"), count("resumed")), (vec![2], vec![10]));
    });
}

#[test]
fn a_handshake_that_takes_too_long_is_cut() {
    isolated(|| {
        let sidecar = ending_tls(&Authority::new(), &["--header-timeout", "1s"]);
        let mut slow = TcpStream::connect("127.0.0.1:8443").expect("the sidecar listens");
        let _silent = TcpStream::connect("127.0.0.1:8443").expect("the sidecar listens");
        let hello = [0x16, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3];
        let begun = now();
        slow.set_read_timeout(Some(Duration::from_millis(200))).expect("a timeout above zero is legal");
        let ended = hello.iter().cycle().find(|byte| {
            let written = slow.write_all(&[**byte]);
            written.is_err() || matches!(slow.read(&mut [0]), Ok(0))
        });
        assert!(ended.is_some());
        let took = begun.elapsed();
        assert!((Duration::from_millis(900)..Duration::from_secs(3)).contains(&took), "{took:?}");
        records(&sidecar, &["CE", "CE"]);
    });
}

#[test]
fn what_is_no_tls_is_told_so_or_cut() {
    isolated(|| {
        let sidecar = ending_tls(&Authority::new(), &[]);
        let plain = get("127.0.0.1:8443", "/").expect("plain HTTP is answered");
        assert_eq!(plain, (400, "svcmesh: plain text was sent to a port where TLS is spoken\n".to_owned()));
        let post =
            format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 30000\r\n\r\n{}", "x".repeat(30_000));
        let mut client = Conversation::with("127.0.0.1:8443");
        client.say(post);
        assert!(client.hear("spoken\n").starts_with("HTTP/1.1 400 "), "the answer outlives the body");
        let mut garbage = Conversation::with("127.0.0.1:8443");
        garbage.say([0, 1, 2, 3]);
        garbage.ends();
        let mut record = Conversation::with("127.0.0.1:8443");
        record.say(b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00");
        assert_eq!(record.hear_bytes(1), [0x15], "an alert");
        let mut broken = Conversation::with("127.0.0.1:8443");
        broken.say(b"\x16\x03\x01");
        drop((client, garbage, record, broken)); // who stays is heard out, for as long as a head may take
        until("all have a record", || {
            let mut codes = codes(&sidecar);
            codes.sort_unstable();
            (codes.len() >= 5).then(|| assert_eq!(codes, ["CA", "CP", "CP", "CP", "CS"]))
        });
        let _probe = TcpStream::connect("127.0.0.1:8443").expect("the sidecar listens");
        drop(_probe);
        // The next one is accepted after it; once that has its record and nobody is there any more, the probe has ended, too.
        let mut garbage = Conversation::with("127.0.0.1:8443");
        garbage.say([0, 1, 2, 3]);
        garbage.ends();
        drop(garbage);
        until("the next has a record", || (codes(&sidecar).len() > 5).then_some(()));
        until("all are gone", || (sidecar.measured("svcmesh_client_connections_open") == [0]).then_some(()));
        assert_eq!(codes(&sidecar).len(), 6, "a probe that connects is no failure");
        assert_eq!(sidecar.failures("CS"), 1);
    });
}

#[test]
fn only_the_captured_ports_that_are_named_speak_tls() {
    isolated(|| {
        let pod = Pod::here();
        let authority = Authority::new();
        let [certificate, key] = authority.files("first", &["first.example"]);
        let flags = ["--tls-cert", &certificate, "--tls-key", &key, "--tls-ports", "8443"];
        let _sidecar = Sidecar::start_as(Some(SIDECAR_USER), nothing(), &flags);
        capture_input();
        let _tls = Nginx::serving("behind tls", &format!("{}:8443", Pod::OWN[0]), TELL);
        let _plain = Nginx::serving("plain", &format!("{}:8080", Pod::OWN[0]), TELL);
        pod.node.enter(|| {
            let resolve = format!("first.example:8443:{}", Pod::OWN[0]);
            let arguments =
                ["--cacert", &authority.file(), "--resolve", &resolve, "https://first.example:8443/"];
            let answer = curl(&arguments);
            assert!(answer.status == 200 && answer.body.starts_with("https|for=10.1.0.1;"), "{answer:?}");
            let answer = curl(&[&format!("http://{}:8080/", Pod::OWN[0])]);
            assert!(answer.status == 200 && answer.body.starts_with("http|"), "{answer:?}");
        });
    });
}

#[expect(clippy::disallowed_methods, reason = "tests run in real time")]
fn now() -> Instant {
    Instant::now()
}
