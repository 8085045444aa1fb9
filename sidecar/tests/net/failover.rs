//! Endpoints that die and come back under load.

use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::support::*;
use crate::web::{VIP, documents, nginx, three_nginx, web};

#[test]
fn only_requests_that_a_killed_endpoint_had_fail() {
    isolated(|| {
        let pod = Pod::here();
        let [_a, mut b, _c] = three_nginx(&pod);
        // After 20 s of failures the longest penalty would still keep it out for a while.
        let asking = "annotations: { svcmesh.dev/eject: \"max=2s\",";
        let manifests = Manifests::of(&[documents("http", 1..=3).replacen("annotations: {", asking, 1)]);
        let sidecar = Sidecar::start(manifests, VIP);
        let (load, killed_at) = thread::scope(|scope| {
            let load = scope.spawn(|| wrk("http://127.66.0.1/", 64, Duration::from_secs(20)));
            until("the endpoint is under load", || (b.requests() > 1000).then_some(()));
            b.process().kill();
            let killed_at = milliseconds("now");
            (load.join().expect("wrk runs to its end"), killed_at)
        });
        let failures = until("the access log tells of them", || failures(&sidecar, &load));
        let killed = format!("{}:80", Pod::backend_v4(2));
        for failure in &failures {
            assert_eq!(failure["endpoint.address"], killed.as_str(), "{failure}");
            let ended_at = milliseconds(failure["time"].as_str().expect("each record has its time"));
            let took_us = failure["duration.us"].as_u64().expect("each record has its duration");
            assert!(ended_at - took_us / 1000 <= killed_at, "sent after the kill: {failure}");
        }
        assert_eq!(load.refused + load.broken, failures.len() as u64);

        let _b = nginx(&pod, "b", 2);
        within(Duration::from_secs(5), "it takes its share again", || {
            let body = curl(&["http://127.66.0.1/[1-30]"]).body;
            (body.lines().filter(|line| *line == "b").count() >= 10).then_some(())
        });
    });
}

/// A time as `date` reads it, in ms since the epoch.
fn milliseconds(time: &str) -> u64 {
    let date = Command::new("date")
        .args(["+%s%3N", "-d", time])
        .output()
        .expect("coreutils are essential on Debian");
    String::from_utf8_lossy(&date.stdout).trim().parse().expect("date prints a number")
}

/// The failures in the access log that were not the client's, once there are as many as wrk saw. (wrk ends by walking away
/// from the requests that it has in flight: those are the client's.)
fn failures(sidecar: &Sidecar, load: &Load) -> Option<Vec<serde_json::Value>> {
    let mut log = sidecar.access_log();
    log.retain(|record| record["failure.code"].as_str().is_some_and(|code| !code.starts_with('C')));
    (log.len() as u64 >= load.refused + load.broken).then_some(log)
}

#[test]
fn a_dead_endpoint_costs_no_request_when_it_was_dead_before() {
    isolated(|| {
        let pod = Pod::here();
        let [_a, mut b, _c] = three_nginx(&pod);
        b.process().kill();
        let _sidecar = Sidecar::start(web("http", 3), VIP);
        let load = wrk("http://127.66.0.1/", 16, Duration::from_secs(1));
        assert_eq!((load.refused, load.broken), (0, 0));
        assert!(load.responses > 0);
    });
}

#[test]
fn no_endpoint_left_is_an_answer() {
    isolated(|| {
        let _pod = Pod::here();
        let manifests = Manifests::of(&[service("web", &["10.96.0.10"], 80, "http")]);
        let sidecar = Sidecar::start(manifests, VIP);
        assert_eq!(curl(&["http://127.66.0.1/"]).status, 503);
        until("the request is logged", || {
            sidecar.access_log().iter().any(|it| it["failure.code"] == "MN").then_some(())
        });
    });
}

#[test]
fn a_changed_slice_is_followed_and_its_connections_end_in_order() {
    isolated(|| {
        let pod = Pod::here();
        let _backends = three_nginx(&pod);
        let sidecar = Sidecar::start(web("http", 1), VIP);
        assert_eq!(curl(&["http://127.66.0.1/"]).body, "a\n");
        let documents =
            [service("web", &["10.96.0.10"], 80, "http"), slice("web", &[&Pod::backend_v4(3)], 80)];
        sidecar.manifests().write("test.yaml", &documents.join("---\n"));
        until("the new endpoint answers", || (curl(&["http://127.66.0.1/"]).body == "c\n").then_some(()));
        assert_eq!(curl(&["http://127.66.0.1/[1-10]"]).body, "c\n".repeat(10));
    });
}
