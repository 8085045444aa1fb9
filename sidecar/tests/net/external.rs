//! ExternalName Services before real web servers, whose certificates an authority of the test has signed.

use std::fmt::Write as _;
use std::fs;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use tempfile::TempDir;

use crate::support::*;

#[test]
fn an_https_virtual_host_is_reached_by_a_services_name_and_without_a_sidecar_it_is_not() {
    isolated(|| {
        let world = World::new("");
        let (one, two) = (external("one", &[443], ""), external("two", &[443], ""));
        let sidecar = world.sidecar(&[one, two]);
        for (url, page) in [
            ("http://two:443/", "two two.example.com HTTP/2.0 https two:443 http\n"),
            ("http://one.default:443/", "one one.example.com HTTP/2.0 https one.default:443 http\n"),
        ] {
            let answer = proxied(&[url]);
            assert_eq!((answer.status, answer.body.as_str()), (200, page), "{}", sidecar_log(sidecar));
        }

        // The same requests, as the cluster's DNS would lead them: to the right address, and no further.
        let resolve = format!("two:443:{}", world.address);
        let plain = curl(&["--resolve", &resolve, "http://two:443/"]);
        assert_eq!(plain.status, 400, "clear text to a port for TLS");
        let encrypted = curl(&["--resolve", &resolve, "--cacert", &world.ca.file(), "https://two/"]);
        assert_eq!(encrypted.status, 0, "the certificate is not for `two`: {}", encrypted.body);
        let unchecked = curl(&["--resolve", &resolve, "--insecure", "https://two/"]);
        assert!(unchecked.body.starts_with("one two "), "the first host answers for all: {}", unchecked.body);
    });
}

#[test]
fn a_certificate_that_proves_nothing_is_refused_and_the_reason_is_told() {
    isolated(|| {
        let world = World::new("");
        let names = ["one", "other", "expired", "stranger", "plain"];
        let mut documents: Vec<String> = names.iter().map(|name| external(name, &[443], "")).collect();
        let nobody = external("one", &[443], "svcmesh.dev/tls-ca: secret/nobody")
            .replace("name: one,", "name: nobody,");
        documents.push(nobody);
        let mut sidecar = world.sidecar(&documents);
        for (name, status, code, error, reason) in [
            ("other", 502, "UN", "tls_certificate_error", "certificate is not valid for other.example.com"),
            (
                "expired",
                502,
                "UX",
                "tls_certificate_error",
                "certificate has expired, or is not valid yet (for expired.example.com)",
            ),
            (
                "stranger",
                502,
                "UA",
                "tls_certificate_error",
                "certificate is signed by nobody who is believed (for stranger.example.com)",
            ),
            ("plain", 502, "UF", "tls_protocol_error", "the endpoint does not speak TLS as it should"),
            (
                "nobody",
                503,
                "MK",
                "proxy_configuration_error",
                "it is not known whose certificates to believe",
            ),
        ] {
            for _ in 0..3 {
                let answer = proxied(&["-D", "-", &format!("http://{name}:443/")]);
                let head = answer.body.to_lowercase();
                assert_eq!(answer.status, status, "{name}: {head}");
                assert!(head.contains(&format!("error={error}; details=\"")), "{name}: {head}");
                assert!(
                    answer.body.contains(reason) && answer.body.contains("svcmesh: "),
                    "{name}: {}",
                    answer.body
                );
            }
            let last = sidecar.access_log().pop().expect("it is logged");
            assert_eq!(last["failure.code"], code, "{name}");
        }
        assert_eq!(proxied(&["http://one:443/"]).status, 200, "the others serve on");
        let log = sidecar.process().log();
        let warned = |name: &str| {
            log.lines()
                .filter(|it| it.contains(" WARN ") && it.contains(&format!("{name}.example.com")))
                .count()
        };
        assert_eq!(
            names[1..].iter().map(|name| warned(name)).collect::<Vec<_>>(),
            [1; 4],
            "once each: {log}"
        );
        assert!(log.contains("only valid for"), "what the certificate is for is told: {log}");
    });
}

#[test]
fn authorities_of_a_service_are_believed_for_it_alone_and_followed() {
    isolated(|| {
        let world = World::new("");
        let mut documents = vec![
            external("stranger", &[443], "svcmesh.dev/tls-ca: secret/internal"),
            external("one", &[443], "svcmesh.dev/tls-ca: secret/internal"),
            secret("internal", &world.stranger.pem()),
        ];
        let sidecar = world.sidecar(&documents);
        assert_eq!(proxied(&["http://stranger:443/"]).status, 200);
        assert_eq!(proxied(&["http://one:443/"]).status, 502, "the system's are not believed beside them");
        documents[2] = secret("internal", &world.ca.pem());
        sidecar.manifests().write("test.yaml", &documents.join("---\n"));
        until("the other authority counts", || (proxied(&["http://one:443/"]).status == 200).then_some(()));
    });
}

#[test]
fn the_version_is_the_one_that_the_server_prefers_and_sessions_are_resumed() {
    isolated(|| {
        let world = World::new("keepalive_requests 1;");
        let _sidecar = world.sidecar(&[external("one", &[443, 8443], "")]);
        for (url, version) in [("http://one:443/reused", "HTTP/2.0"), ("http://one:8443/reused", "HTTP/1.1")]
        {
            let pages: Vec<String> = (0..4).map(|_| proxied(&[url]).body).collect();
            let resumed = |reused: &str| format!("{version} {reused}\n");
            assert_eq!(pages, [resumed("."), resumed("r"), resumed("r"), resumed("r")], "{url}");
        }
    });
}

#[test]
fn what_is_spoken_to_a_server_is_kept_for_the_next_request() {
    isolated(|| {
        let world = World::new("");
        let sidecar = world.sidecar(&[external("one", &[443, 8443], "")]);
        for url in ["http://one:443/[1-50]", "http://one:8443/[1-50]"] {
            assert_eq!(proxied(&["-Z", "--parallel-max", "4", url]).body.lines().count(), 50, "{url}");
        }
        let opened: u64 = sidecar.measured("svcmesh_connections_opened_total").iter().sum();
        assert!((2..=5).contains(&opened), "one of HTTP/2, as many of HTTP/1 as were of use: {opened}");
    });
}

#[test]
fn redirects_and_cookies_lead_back_to_the_services_name() {
    isolated(|| {
        let world = World::new("");
        let rewriting = external("two", &[443], "svcmesh.dev/rewrite-location: \"true\"");
        let _sidecar = world.sidecar(&[rewriting, external("one", &[443], "")]);
        let jar = world.ca.folder.path().join("cookies").display().to_string();
        let followed = proxied(&["--location", "--cookie", "", "--cookie-jar", &jar, "http://two:443/old"]);
        assert_eq!(
            (followed.status, followed.body.as_str()),
            (200, "two new a=1\n"),
            "a cookie that came back"
        );
        assert!(fs::read_to_string(jar).unwrap().contains("two\tFALSE"), "a cookie of the host alone");
        let head = proxied(&["-D", "-", "http://one:443/old"]).body.to_lowercase();
        assert!(
            head.contains("location: https://one.example.com/new\r\n")
                && head.contains("domain=one.example.com"),
            "{head}"
        );
    });
}

#[test]
fn a_clients_own_tls_passes_untouched_and_has_to_name_the_server_itself() {
    isolated(|| {
        let world = World::new("");
        let document =
            external("two", &[443, 8443], "").replace("name: p443,", "name: p443, appProtocol: grpc,");
        let vips = ["--loopback-vips", "two.default=127.66.0.2"];
        let sidecar = world.sidecar_with(&[document], &vips);
        let ca = world.ca.file();
        for port in [443, 8443] {
            let by = |host: &str| {
                let resolve = format!("{host}:{port}:127.66.0.2");
                curl(&["--resolve", &resolve, "--cacert", &ca, &format!("https://{host}:{port}/")])
            };
            let answer = by("two.example.com");
            assert!(answer.body.starts_with("two two.example.com"), "port {port}: {answer:?}");
            assert_eq!(by("two").status, 0, "the name that the client says is not the server's: port {port}");
        }
        let own = curl(&["--resolve", "two:443:127.66.0.2", "http://two:443/"]);
        assert_eq!(
            own.body, "two two.example.com HTTP/2.0 https two:443 http\n",
            "clear text is encrypted here"
        );
        let tunnel = ["--proxy", PROXY, "--cacert", &ca, "--connect-to", "two.example.com:443:two:443"];
        let tunneled = curl(&[&tunnel[..], &["--proxytunnel", "https://two.example.com/"]].concat());
        assert!(tunneled.body.starts_with("two two.example.com"), "so does CONNECT: {}", tunneled.body);
        let log = sidecar.access_log();
        let requests = log.iter().filter(|it| it["kind"] == "request" && it["request.method"] != "CONNECT");
        assert_eq!(requests.count(), 1, "what is not ours to read is no request: {log:?}");
    });
}

#[test]
fn bytes_are_encrypted_where_that_is_asked_for() {
    isolated(|| {
        let world = World::new("");
        let asked = external("one", &[8443], "svcmesh.dev/tls: originate")
            .replace("appProtocol: https", "appProtocol: tcp");
        let off = external("two", &[443], "svcmesh.dev/tls: \"off\"");
        let vips = ["--loopback-vips", "one.default=127.66.0.1,two.default=127.66.0.2"];
        let _sidecar = world.sidecar_with(&[asked, off], &vips);
        let answer = curl(&["-H", "Host: one.example.com", "http://127.66.0.1:8443/"]);
        assert!(answer.body.starts_with("one one.example.com HTTP/1.1 https"), "{}", answer.body);
        assert_eq!(
            proxied(&["http://two:443/"]).status,
            400,
            "clear text to a port for TLS, as was asked for"
        );
    });
}

#[test]
fn a_service_that_changes_how_it_is_spoken_to_costs_no_request() {
    isolated(|| {
        let world = World::new("");
        let _plain = world.pod.node.enter(|| Nginx::named("plain", &format!("{}:443", Pod::backend_v4(3))));
        let encrypted = external("two", &[443], "");
        let own = [service("two", &["10.96.0.2"], 443, "http"), slice("two", &[&Pod::backend_v4(3)], 443)]
            .join("---\n");
        let sidecar = world.sidecar(std::slice::from_ref(&encrypted));
        let load = std::thread::scope(|scope| {
            let load = scope
                .spawn(|| wrk_with(&["-H", "Host: two:443"], PROXY, 8, std::time::Duration::from_secs(4)));
            for _ in 0..3 {
                until("it is encrypted", || {
                    proxied(&["http://two:443/"]).body.starts_with("two ").then_some(())
                });
                sidecar.manifests().write("test.yaml", &own);
                until("it is plain", || (proxied(&["http://two:443/"]).body == "plain\n").then_some(()));
                sidecar.manifests().write("test.yaml", &encrypted);
            }
            load.join().expect("wrk runs to its end")
        });
        assert_eq!((load.refused, load.broken), (0, 0));
        assert!(load.responses > 500, "{load:?}");
    });
}

#[test]
fn health_checks_go_the_way_of_requests() {
    isolated(|| {
        let world = World::new("");
        let check = "svcmesh.dev/health-check: \"http:/checked,interval=1s,timeout=900ms,unhealthy=2\"";
        let documents = ["one", "other"].map(|name| external(name, &[443], check));
        let mut sidecar = world.sidecar(&documents);
        // DNS is asked for what somebody wants.
        assert_eq!(
            ["one", "other"].map(|name| proxied(&[&format!("http://{name}:443/")]).status),
            [200, 502]
        );
        sidecar.process().wait_for_log("endpoint fails its health check service=default/other");
        let before = world.nginx.requests();
        until("checks are answered", || (world.nginx.requests() >= before + 3).then_some(()));
        let log = sidecar.process().log();
        assert!(log.contains("certificate is not valid for its name"), "{log}");
        assert!(!log.contains("fails its health check service=default/one"), "{log}");
    });
}

/// The web: name servers, and nginx with a name for each way that a certificate may be.
struct World {
    pod: Pod,
    ca: Authority,
    /// Nobody believes this one.
    stranger: Authority,
    /// Where the names are, but for `plain`.
    address: String,
    nginx: Nginx,
    _plain: Nginx,
    _dns: Dnsmasq,
}

impl World {
    /// `settings` are those of all servers.
    fn new(settings: &str) -> World {
        let pod = Pod::here();
        let (ca, stranger) = (Authority::new("an authority"), Authority::new("a stranger"));
        let (address, elsewhere) = (Pod::backend_v4(1), Pod::backend_v4(2));
        let hosts = [
            ("one", ca.files("one", 2020, 4000)),
            ("two", ca.files("two", 2020, 4000)),
            ("other", ca.files("another", 2020, 4000)),
            ("expired", ca.files("expired", 2019, 2020)),
            ("stranger", stranger.files("stranger", 2020, 4000)),
        ];
        let mut servers = String::from("return 421;");
        for (name, [certificate, key]) in &hosts {
            let page = format!(
                "{name} $host $server_protocol $scheme $http_x_forwarded_host $http_x_forwarded_proto\\n"
            );
            let cookie = format!("a=1; Domain={name}.example.com");
            write!(
                servers,
                "}} server {{ listen {address}:443 ssl http2; listen {address}:8443 ssl; server_name {name}.example.com; {settings}
                 ssl_certificate {certificate}; ssl_certificate_key {key};
                 location / {{ return 200 '{page}'; }}
                 location /reused {{ return 200 '$server_protocol $ssl_session_reused\\n'; }}
                 location /old {{ add_header Set-Cookie '{cookie}' always; return 302 https://{name}.example.com/new; }}
                 location /new {{ return 200 '{name} new $http_cookie\\n'; }}\n"
            )
            .expect("a string takes any text");
        }
        let nginx = pod.node.enter(|| Nginx::serving("web", &format!("{address}:81"), &servers));
        let plain = pod.node.enter(|| Nginx::named("plain", &format!("{elsewhere}:443")));
        let dns = pod.node.enter(|| Dnsmasq::start(SERVER, 30, &[]));
        let names: Vec<String> = hosts.iter().map(|(name, _)| format!("{name}.example.com")).collect();
        let (at, plain_at) = ([address.as_str()], [elsewhere.as_str()]);
        let mut known: Vec<(&str, &[&str])> = names.iter().map(|name| (name.as_str(), &at[..])).collect();
        known.push(("plain.example.com", &plain_at));
        dns.know(&known);
        World { pod, ca, stranger, address, nginx, _plain: plain, _dns: dns }
    }

    fn sidecar(&self, documents: &[String]) -> Sidecar {
        self.sidecar_with(documents, &[])
    }

    /// A sidecar on a system that believes the first authority.
    fn sidecar_with(&self, documents: &[String], arguments: &[&str]) -> Sidecar {
        let manifests = Manifests::of(documents);
        let resolv_conf = manifests.path().join("resolv.conf");
        fs::write(&resolv_conf, format!("nameserver {SERVER}\n")).expect("the folder is ours");
        let path = resolv_conf.to_str().expect("its name is plain").to_owned();
        let dns = ["--discovery", "manifests,dns", "--resolv-conf", &path];
        Sidecar::start_believing(&self.ca.file(), manifests, &[&dns, arguments].concat())
    }
}

/// Signs, and keeps what it signed in files.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

impl Authority {
    fn new(name: &str) -> Authority {
        let mut params = CertificateParams::new([]).expect("no name is a bad one");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, key()).expect("the key can sign");
        Authority { issuer, folder: tempfile::tempdir().expect("the temporary folder is writable") }
    }

    fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// The path of its own certificate.
    fn file(&self) -> String {
        self.write("ca.pem", &self.pem())
    }

    /// The paths of a certificate for `NAME.example.com`, which is valid in these years, and of its key.
    fn files(&self, name: &str, from_year: i32, to_year: i32) -> [String; 2] {
        let mut params = CertificateParams::new([format!("{name}.example.com")]).expect("it is a name");
        params.distinguished_name.push(DnType::CommonName, name);
        (params.not_before, params.not_after) =
            (date_time_ymd(from_year, 1, 1), date_time_ymd(to_year, 1, 1));
        let key = key();
        let certificate = params.signed_by(&key, &self.issuer).expect("the authority can sign").pem();
        [
            self.write(&format!("{name}.pem"), &certificate),
            self.write(&format!("{name}.key"), &key.serialize_pem()),
        ]
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        fs::write(&path, text).expect("the folder is ours");
        path.display().to_string()
    }
}

fn key() -> KeyPair {
    KeyPair::generate().expect("the system has randomness")
}

/// An ExternalName Service of the namespace `default` for `NAME.example.com`.
fn external(name: &str, ports: &[u16], annotation: &str) -> String {
    let protocol = |port: &u16| if *port == 443 { "" } else { ", appProtocol: https" };
    let ports: Vec<String> =
        ports.iter().map(|port| format!("{{ name: p{port}, port: {port}{} }}", protocol(port))).collect();
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{ name: {name}, annotations: {{ {annotation} }} }}\nspec:\n  \
         type: ExternalName\n  externalName: {name}.example.com\n  ports: [{}]\n",
        ports.join(", ")
    )
}

fn secret(name: &str, authority: &str) -> String {
    let indented = authority.trim().replace('\n', "\n    ");
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{ name: {name} }}\ntype: Opaque\nstringData:\n  ca.crt: |\n    {indented}\n"
    )
}

fn proxied(arguments: &[&str]) -> Answer {
    curl(&[&["--proxy", PROXY], arguments].concat())
}

fn sidecar_log(mut sidecar: Sidecar) -> String {
    sidecar.process().log()
}

/// The node's address, at which the name server listens.
const SERVER: &str = "10.1.0.1";

const PROXY: &str = "http://127.0.0.1:15002";
