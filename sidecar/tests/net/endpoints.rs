//! Endpoints that come and go while connections are open.

use std::fmt::Write as _;
use std::time::Duration;

use crate::support::*;
use crate::web::{Opened, VIP, answer, asked, backend, documents, web};

#[test]
fn an_open_connection_outlives_its_endpoints_place_in_the_service() {
    isolated(|| {
        let pod = Pod::here();
        let (leaving, staying) = (backend(&pod, 1), backend(&pod, 2));
        let sidecar = Sidecar::start(web("tcp", 1), VIP);
        let mut old = Opened::through(&leaving);
        replace(&sidecar, &documents("tcp", [2]));
        Opened::through(&staying).exchange();
        old.exchange();
    });
}

#[test]
fn a_client_stays_connected_and_only_the_pooled_connection_to_the_gone_endpoint_closes() {
    isolated(|| {
        let pod = Pod::here();
        let (leaving, staying) = (backend(&pod, 1), backend(&pod, 2));
        let sidecar = Sidecar::start(web("http", 1), VIP);
        let (mut client, mut left) = asked(&leaving);
        answer(&mut left, &mut client);
        assert!(left.is_quiet(), "it is kept for the next request");
        sidecar.manifests().write("test.yaml", &documents("http", [2]));
        within(Duration::from_secs(2), "the idle connection is closed", || (!left.is_quiet()).then_some(()));
        left.ends();
        client.ask("/");
        let mut next = accepted(&staying);
        next.hear("\r\n\r\n");
        answer(&mut next, &mut client);
    });
}

#[test]
fn a_manifest_written_again_with_the_same_contents_closes_nothing() {
    isolated(|| {
        let pod = Pod::here();
        let backend = backend(&pod, 1);
        let sidecar = Sidecar::start(web("http", 1), VIP);
        let (mut client, mut served) = asked(&backend);
        answer(&mut served, &mut client);
        let mut text = documents("http", [1]);
        for count in 1..=5 {
            writeln!(text, "# written {count} times").expect("a string takes any text");
            sidecar.manifests().write("test.yaml", &text);
            until("the file has been read", || (updates(&sidecar, "unchanged") == count).then_some(()));
            client.ask("/");
            served.hear("\r\n\r\n");
            answer(&mut served, &mut client);
        }
    });
}

/// Puts other manifests in place, and waits until they are in force.
fn replace(sidecar: &Sidecar, documents: &str) {
    let before = updates(sidecar, "applied");
    sidecar.manifests().write("test.yaml", documents);
    until("the file has been read", || (updates(sidecar, "applied") > before).then_some(()));
}

fn updates(sidecar: &Sidecar, result: &str) -> u64 {
    let sample = format!("svcmesh_discovery_updates_total{{source=\"manifests\",result={result:?}}}");
    sidecar.measured(&sample).first().copied().unwrap_or(0)
}
