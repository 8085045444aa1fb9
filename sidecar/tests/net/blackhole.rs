//! An endpoint whose packets are lost without a word, while connections to it are open.

use std::thread;
use std::time::{Duration, Instant};

use crate::support::*;
use crate::web::{VIP, WEB, backend, documents, nginx};

#[test]
fn requests_on_open_connections_to_it_go_elsewhere_within_the_connect_timeout() {
    isolated(|| blackholed("http", ""));
}

#[test]
fn so_do_streams_of_its_http2_connection() {
    isolated(|| blackholed("kubernetes.io/h2c", " http2"));
}

/// Loses one endpoint of three to GETs, then another to POSTs.
fn blackholed(app_protocol: &str, listen: &str) {
    let pod = Pod::here();
    let _backends = [("a", 1), ("b", 2), ("c", 3)].map(|(name, number)| {
        let address = format!("{}:80{listen}", Pod::backend_v4(number));
        pod.node.enter(|| Nginx::serving(name, &address, "location / { return 200 x; }"))
    });
    let sidecar = Sidecar::start(in_turns(app_protocol, 3), VIP);
    (0..9).for_each(|_| assert_eq!(ask("GET").0, 200)); // a connection to each is open

    pod.blackhole(2);
    for _ in 0..4 {
        let (status, took) = ask("GET");
        assert_eq!(status, 200);
        assert!(took <= CONNECT_TIMEOUT + SLACK, "{took:?}");
    }
    assert_eq!(sidecar.measured("svcmesh_retries_total{reason=\"UK\"}"), [1], "one met the open connection");

    pod.blackhole(3);
    let mut statuses = [(); 3].map(|()| ask("POST").0);
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 504], "what it may have seen is not sent twice");
    until("the failure is logged", || {
        let log = sidecar.access_log();
        let failed: Vec<_> = log.iter().filter(|record| !record["failure.code"].is_null()).collect();
        let [record] = failed[..] else { return None };
        (record["failure.code"] == "UK" && record["endpoint.address"] == format!("{}:80", Pod::backend_v4(3)))
            .then_some(())
    });
}

#[test]
fn what_it_had_acknowledged_ends_with_its_try_and_succeeds_if_it_is_idempotent() {
    isolated(|| assert_eq!(in_flight("GET"), [200, 200]));
    isolated(|| assert_eq!(in_flight("POST"), [200, 504]));
}

/// Sends two requests, one of which is at an endpoint when that is lost: their statuses.
fn in_flight(method: &str) -> [u16; 2] {
    let pod = Pod::here();
    let (_well, lost) = (nginx(&pod, "a", 1), backend(&pod, 2));
    let _sidecar = Sidecar::start(in_turns("http", 2), &[VIP, &["--try-timeout", "1s"]].concat());
    let mut statuses = thread::scope(|scope| {
        let asking = [(); 2].map(|()| scope.spawn(|| ask(method)));
        let mut held = accepted(&lost);
        held.hear("\r\n\r\n");
        pod.blackhole(2);
        asking.map(|asking| {
            let (status, took) = asking.join().expect("a client gets its answer");
            assert!(took <= TRY_TIMEOUT + SLACK, "{took:?}");
            status
        })
    });
    statuses.sort_unstable();
    statuses
}

/// `web`, whose endpoints take turns, however they are.
fn in_turns(app_protocol: &str, endpoints: u8) -> Manifests {
    let asks = "annotations: { svcmesh.dev/eject: \"off\",";
    Manifests::of(&[documents(app_protocol, 1..=endpoints).replacen("annotations: {", asks, 1)])
}

/// Sends a request on a connection of its own: the status, and how long it took.
fn ask(method: &str) -> (u16, Duration) {
    let begun = now();
    let mut client = Conversation::with(WEB);
    client.say(format!("{method} / HTTP/1.1\r\nHost: web\r\nContent-Length: 0\r\n\r\n"));
    let head = client.hear("\r\n\r\n").to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    client.hear_bytes(length.and_then(|length| length.parse().ok()).expect("these answers say their length"));
    (head[9..12].parse().expect("a status line"), begun.elapsed())
}

#[expect(clippy::disallowed_methods, reason = "the test measures how long it took")]
fn now() -> Instant {
    Instant::now()
}

/// The default.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const TRY_TIMEOUT: Duration = Duration::from_secs(1);
/// For the machine.
const SLACK: Duration = Duration::from_millis(700);
