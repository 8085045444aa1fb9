//! Certificates and authorities that change while the sidecar runs.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use crate::support::*;
use crate::tls::{ask, nothing, records, s_client};

const MAP: [&str; 4] = ["--inbound", "off", "--inbound-map", "8443=127.0.0.1:9080,tls"];

/// Waits until the certificate that is shown has this subject.
fn shows(subject: &str) {
    let line = format!("subject=CN = {subject}\n");
    until(&format!("{subject} is shown"), || s_client(&[]).contains(&line).then_some(()));
}

fn reloads(sidecar: &Sidecar, result: &str) -> u64 {
    sidecar.measured(&format!("svcmesh_certificate_reloads_total{{result=\"{result}\"}}"))[0]
}

#[test]
fn a_certificate_that_is_replaced_under_load_costs_no_request() {
    isolated(|| {
        let authority = Authority::new();
        let _application = Nginx::named("application", "127.0.0.1:9080");
        let mount = Mount::of(&authority.certify(&["zero.example", "web.example"]));
        let files = ["--tls-cert", &mount.path("tls.crt"), "--tls-key", &mount.path("tls.key")];
        let sidecar = Sidecar::start(nothing(), &[&MAP[..], &files].concat());
        let (done, ca) = (AtomicBool::new(false), authority.file());
        let (load, handshakes) = thread::scope(|scope| {
            let load = scope.spawn(|| wrk("https://127.0.0.1:8443/", 8, Duration::from_secs(5)));
            let handshakes = scope.spawn(|| {
                let mut handshakes = 0;
                while !done.load(Relaxed) {
                    let answer = ask("web.example", &ca, &[]);
                    assert_eq!(answer.status, 200, "{answer:?}");
                    handshakes += 1;
                }
                handshakes
            });
            for subject in ["one.example", "two.example", "three.example"] {
                mount.swap(&authority.certify(&[subject, "web.example"]));
                shows(subject);
            }
            let load = load.join().expect("wrk ends");
            done.store(true, Relaxed);
            (load, handshakes.join().expect("each new client is served"))
        });
        eprintln!("{load:?} on kept connections, {handshakes} new ones, over three replacements");
        assert!(load.responses > 0 && handshakes > 0);
        assert_eq!((load.broken, load.refused), (0, 0));
        assert_eq!((reloads(&sidecar, "applied"), reloads(&sidecar, "refused")), (3, 0));
    });
}

#[test]
fn a_broken_replacement_leaves_what_was_there() {
    isolated(|| {
        let authority = Authority::new();
        let _application = Nginx::named("application", "127.0.0.1:9080");
        let [certificate, key] = authority.files("web", &["good.example"]);
        let mut sidecar =
            Sidecar::start(nothing(), &[&MAP[..], &["--tls-cert", &certificate, "--tls-key", &key]].concat());
        authority.write("web.key", &Authority::new().certify(&["other.example"]).key);
        until("the key is refused", || (reloads(&sidecar, "refused") == 1).then_some(()));
        shows("good.example");
        let rejected = sidecar.admin("/services");
        let reason = "it is not the key of the certificate; what was read before stays in force";
        assert!(rejected.contains("--tls-key") && rejected.contains(reason), "{rejected}");
        sidecar.process().signal(Signal::HUP);
        let log = "it is not the key of the certificate";
        until("SIGHUP was heard", || sidecar.process().log().contains("reloading").then_some(()));
        shows("good.example");
        let pair = authority.certify(&["better.example"]);
        authority.write("web.pem", &pair.certificate);
        authority.write("web.key", &pair.key);
        shows("better.example");
        until("nothing is wrong any more", || (!sidecar.admin("/services").contains(reason)).then_some(()));
        assert!(sidecar.process().log().contains(log), "it was told");
        assert!(!sidecar.process().log().contains("PRIVATE"), "and no key was");
    });
}

#[test]
fn files_that_cannot_be_used_keep_the_sidecar_from_starting() {
    isolated(|| {
        let authority = Authority::new();
        let [certificate, _] = authority.files("web", &["a.example"]);
        let [_, key] = authority.files("other", &["a.example"]);
        for (key, reason) in [(&*key, "it is not the key of the certificate"), ("/none", "No such file")] {
            let flags = [&MAP[..], &["--tls-cert", &certificate, "--tls-key", key]].concat();
            let (status, log) = Sidecar::refusal(Path::new("/tmp"), &flags);
            assert!(!status.success() && log.contains(&format!("--tls-key `{key}`: {reason}")), "{log}");
        }
    });
}

#[test]
fn a_secret_is_followed_as_files_are_and_may_come_late() {
    isolated(|| {
        let authority = Authority::new();
        let _application = Nginx::named("application", "127.0.0.1:9080");
        let flags = ["--inbound", "off", "--inbound-map", "8443=127.0.0.1:9080,tls=shop-cert"];
        let sidecar = Sidecar::start(nothing(), &flags);
        assert!(!s_client(&[]).contains("BEGIN CERTIFICATE"));
        records(&sidecar, &["MS"]);
        let manifests = sidecar.manifests();
        manifests.write("secret.yaml", &secret(&authority.certify(&["one.example"])));
        shows("one.example");
        manifests.write("secret.yaml", &secret(&authority.certify(&["two.example"])));
        shows("two.example");
        let broken = Pair { key: "none".to_owned(), ..authority.certify(&["three.example"]) };
        manifests.write("secret.yaml", &secret(&broken));
        until("it is refused", || sidecar.admin("/services").contains("stringData[tls.key]").then_some(()));
        shows("two.example");
        manifests.write("secret.yaml", "");
        until("it is gone", || (!s_client(&[]).contains("BEGIN CERTIFICATE")).then_some(()));
    });
}

#[test]
fn an_authority_that_is_believed_no_longer_lets_nobody_in_not_even_by_resumption() {
    isolated(|| {
        let (authority, before, after) = (Authority::new(), Authority::new(), Authority::new());
        let _application = Nginx::named("application", "127.0.0.1:9080");
        let [certificate, key] = authority.files("web", &["web.example"]);
        let believed = authority.write("clients.pem", &before.pem());
        let files = ["--tls-cert", &certificate, "--tls-key", &key, "--tls-client-ca", &believed];
        let sidecar = Sidecar::start(nothing(), &[&MAP[..], &files].concat());
        let [shown, shown_key] = before.files("client", &["client"]);
        let session = authority.write("session", "");
        let client = ["-cert", &shown, "-key", &shown_key, "-sess_out", &session];
        assert!(s_client(&client).contains("200 OK"));
        assert!(s_client(&["-sess_in", &session]).contains("200 OK"), "a session says who the client is");
        authority.write("clients.pem", &after.pem());
        until("the file is read", || (reloads(&sidecar, "applied") == 1).then_some(()));
        assert!(!s_client(&["-sess_in", &session]).contains("200 OK"));
        assert!(!s_client(&client).contains("200 OK"));
        let [shown, shown_key] = after.files("client", &["client"]);
        assert!(s_client(&["-cert", &shown, "-key", &shown_key]).contains("200 OK"));
    });
}

fn secret(pair: &Pair) -> String {
    let lines = |text: &str| text.lines().map(|line| format!("    {line}\n")).collect::<String>();
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{ name: shop-cert }}\ntype: kubernetes.io/tls\nstringData:\n  tls.crt: |\n{}  \
         tls.key: |\n{}",
        lines(&pair.certificate),
        lines(&pair.key)
    )
}
