//! Loopback VIPs where this process may not listen.

use crate::support::*;
use crate::web::{documents, three_nginx};

#[test]
fn a_port_that_may_not_be_listened_at_is_served_at_another_and_told_once() {
    isolated(|| {
        let pod = Pod::here();
        let _backends = three_nginx(&pod);
        let vips = ["--loopback-vips", "web.default=127.66.0.1"];
        let manifests = Manifests::of(&[documents("http", 1..=3)]);
        let mut sidecar = Sidecar::start_with_only("net_admin", manifests, &vips);
        let answer = curl(&["http://127.66.0.1:20080/"]);
        assert_eq!((answer.status, answer.body.len()), (200, 2), "{answer:?}");
        assert_eq!(curl(&["http://127.66.0.1/"]).status, 0, "nobody listens there");

        let told = "Service \"default/web\": ports below 1024 cannot be listened at; port 80 is served at 127.66.0.1:20080";
        assert_eq!(sidecar.admin("/readyz"), format!("ok\n{told}\n"));
        let services = sidecar.admin("/services");
        assert!(services.contains("\"skippedPorts\":[80]"), "{services}");
        sidecar.manifests().write("test.yaml", &documents("http", 1..=2));
        until("the change is known", || (!sidecar.admin("/services").contains("10.1.1.3")).then_some(()));
        assert_eq!(sidecar.process().log().matches(told).count(), 1, "one warning");
    });
}

#[test]
fn a_loopback_vip_that_somebody_else_has_is_told_once_with_its_service() {
    isolated(|| {
        let pod = Pod::here();
        let _backends = three_nginx(&pod);
        let _other = Nginx::named("other", "0.0.0.0:80");
        let vips = ["--loopback-vips", "web.default=127.66.0.1", "--workers", "2"];
        let mut sidecar = Sidecar::start(Manifests::of(&[documents("http", 1..=3)]), &vips);
        sidecar.manifests().write("test.yaml", &documents("http", 1..=2));
        until("the change is known", || (!sidecar.admin("/services").contains("10.1.1.3")).then_some(()));
        let log = sidecar.process().log();
        let told: Vec<&str> =
            log.lines().filter(|line| line.contains("cannot listen on a loopback VIP")).collect();
        assert!(told.len() == 1 && told[0].contains("service=default/web"), "{told:?}");
        assert_eq!(sidecar.admin("/readyz"), "ok\n");
    });
}
