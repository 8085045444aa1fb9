//! Two workers: both take connections, each has its own turn and its own pool, and one change reaches both.

use crate::support::*;
use crate::web::{VIP, documents, three_nginx, web};

#[test]
fn both_workers_take_connections_and_each_goes_round_the_endpoints_on_its_own() {
    isolated(|| {
        let pod = Pod::here();
        let backends = three_nginx(&pod);
        let sidecar = Sidecar::start(web("http", 3), &[VIP, &["--workers", "2"]].concat());
        assert_eq!(connect_30_times().lines().count(), 30);
        for backend in &backends {
            // Of its n connections a worker gives each endpoint n / 3, rounded down or up.
            let requests = backend.requests();
            assert!((9..=11).contains(&requests), "{requests} of 30");
        }
        let requests = "svcmesh_requests_total{direction=\"outbound\",service=\"default/web\"";
        until("every request is counted", || {
            (sidecar.measured(requests).iter().sum::<u64>() == 30).then_some(())
        });
        // One connection in the pool of each worker for each endpoint: that there are two tells that both workers have worked.
        let opened = sidecar
            .measured("svcmesh_connections_opened_total{direction=\"outbound\",service=\"default/web\"");
        assert_eq!(opened, [2, 2, 2]);
    });
}

#[test]
fn a_change_reaches_both_workers() {
    isolated(|| {
        let pod = Pod::here();
        let _backends = three_nginx(&pod);
        let sidecar = Sidecar::start(web("http", 2), &[VIP, &["--workers", "2"]].concat());
        assert!(!connect_30_times().contains('c'));
        sidecar.manifests().write("test.yaml", &documents("http", [3]));
        until("all go to the new endpoint", || (connect_30_times() == "c\n".repeat(30)).then_some(()));
    });
}

/// The bodies of thirty answers, each on a connection of its own.
fn connect_30_times() -> String {
    let answer = curl(&["-H", "Connection: close", "http://127.66.0.1/[1-30]"]);
    assert_eq!((answer.status, answer.connections), (200, 30));
    answer.body
}
