//! How a sidecar begins, when it does not, and how it is told to look again.

use std::fs;

use rustix::process::Signal;

use crate::support::*;
use crate::web::{VIP, documents, three_nginx, web};

#[test]
fn sighup_rereads_what_no_watch_has_seen() {
    isolated(|| {
        let pod = Pod::here();
        let _backends = three_nginx(&pod);
        let mut sidecar = Sidecar::start(web("http", 1), VIP);
        let elsewhere = tempfile::tempdir().expect("the temporary folder is writable");
        let link = elsewhere.path().join("link");
        // inotify(7) tells of the name by which a file was written, and that is not in the folder.
        fs::hard_link(sidecar.manifests().path().join("test.yaml"), &link).expect("it is one file system");
        fs::write(&link, documents("http", [3])).expect("the file is ours");
        sidecar.process().signal(Signal::HUP);
        until("the new endpoint answers", || (curl(&["http://127.66.0.1/"]).body == "c\n").then_some(()));

        // What cannot be read keeps what it was whose name stands in it.
        let broken = documents("http", [3]).replacen("kind: Service", "kind: [Service", 1);
        fs::write(&link, broken).expect("the file is ours");
        sidecar.process().signal(Signal::HUP);
        until("the file is refused", || {
            let services: serde_json::Value = serde_json::from_str(&sidecar.admin("/services")).ok()?;
            services["rejected"]
                .as_array()?
                .iter()
                .any(|it| it["file"].as_str().is_some_and(|file| file.starts_with("test.yaml:")))
                .then_some(())
        });
        assert_eq!(curl(&["http://127.66.0.1/"]).body, "c\n", "what was read once still serves");
        assert_eq!(sidecar.process().log().matches("reloading").count(), 2);
    });
}

#[test]
fn a_second_sidecar_on_the_same_address_fails_and_takes_no_connection() {
    isolated(|| {
        let pod = Pod::here();
        let _backends = three_nginx(&pod);
        let sidecar = Sidecar::start(web("http", 1), VIP);
        let (end, log) = Sidecar::refusal(sidecar.manifests().path(), VIP);
        assert_eq!(end.code(), Some(1));
        assert!(log.contains("cannot listen on `127.0.0.1:15001`"), "{log}");
        assert_eq!(curl(&["http://127.66.0.1/[1-9]"]).body, "a\n".repeat(9));
    });
}

#[test]
fn a_second_sidecar_does_not_share_the_loopback_vips_of_the_first() {
    isolated(|| {
        let pod = Pod::here();
        let _backends = three_nginx(&pod);
        let sidecar = Sidecar::start(web("http", 1), &[VIP, &["--workers", "2"]].concat());
        let elsewhere = [
            "--outbound",
            "off",
            "--inbound",
            "off",
            "--forward-proxy",
            "off",
            "--admin",
            "127.0.0.1:16020",
            "--workers",
            "2",
        ];
        let second = Sidecar::start_second(sidecar.manifests().path(), &[VIP, &elsewhere].concat());
        assert!(second.log().contains("cannot listen on a loopback VIP"), "{}", second.log());
        curl(&["-H", "Connection: close", "http://127.66.0.1/[1-30]"]);
        until("the first one has carried all", || (sidecar.access_log().len() == 30).then_some(()));
    });
}

#[test]
fn manifests_that_cannot_be_reached_keep_it_from_starting() {
    isolated(|| {
        let (end, log) = Sidecar::refusal("/nowhere".as_ref(), &[]);
        assert_eq!(end.code(), Some(1));
        assert!(log.contains("cannot read the manifests") && log.contains("/nowhere"), "{log}");
    });
}

#[test]
fn config_tells_which_ports_were_free() {
    isolated(|| {
        let pod = Pod::here();
        let _backends = three_nginx(&pod);
        let any = [
            "--outbound",
            "127.0.0.1:0,[::1]:0",
            "--inbound",
            "off",
            "--forward-proxy",
            "127.0.0.1:0",
            "--workers",
            "2",
        ];
        let sidecar = Sidecar::start(web("http", 1), &any);
        let config: serde_json::Value =
            serde_json::from_str(&sidecar.admin("/config")).expect("/config is JSON");
        let bound = |flag: &str| config["bound"][flag].as_array().map_or(0, Vec::len);
        assert_eq!((bound("outbound"), bound("forward-proxy"), bound("admin")), (2, 1, 1), "{config}");
        let proxy = config["bound"]["forward-proxy"][0].as_str().expect("an address");
        assert_eq!(curl(&["--proxy", &format!("http://{proxy}"), "http://web/"]).body, "a\n");
    });
}
