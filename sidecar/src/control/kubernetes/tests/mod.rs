//! The source, beside an API server that answers as a script says.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use svc_core::address::ServiceName;
use svc_core::discovery::kubernetes::Want;
use svc_core::endpoints::Here;
use svc_core::inventory::Change;
use svc_core::outcome::Failure;

use super::KubernetesSource;
use crate::clock::timeout;
use crate::control::source::Source as _;
use crate::shared::interest::ApiInterest;
use crate::sync::lock;

mod lookups;
mod server;

use server::{ApiServerOfTest, certificate};

const CLIENT: std::net::IpAddr = std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

/// The changes up to one that `is` met, within the longest pause that core makes.
async fn until(source: &mut KubernetesSource, is: impl Fn(&Change) -> bool) -> Vec<Change> {
    let meet = async {
        let mut all = Vec::new();
        loop {
            all.extend(source.next().await);
            if all.iter().any(&is) {
                return all;
            }
        }
    };
    timeout(Duration::from_secs(60), meet).await.expect("it comes")
}

fn is_service(change: &Change) -> bool {
    matches!(change, Change::Service(_, Some(_)))
}

fn web() -> ServiceName {
    ServiceName::new("default", "web")
}

#[tokio::test]
async fn services_are_listed_at_once_and_endpoints_once_somebody_waits_for_them() {
    let server = ApiServerOfTest::start().await;
    let interest = Arc::default();
    let mut source = server.source(&interest);
    until(&mut source, is_service).await;
    assert_eq!(server.heard("/apis/discovery.k8s.io/v1"), []);

    let told = interest.ask(Want::Service(web()), CLIENT).expect("the source answers");
    let changes = until(&mut source, |change| *change == Change::Endpoints(web(), true)).await;
    assert!(changes.iter().any(|change| matches!(change, Change::Slice(_, Some(_)))));
    assert_eq!(server.heard("/apis/discovery.k8s.io/v1").len(), 1);
    tokio::select! {
        told = told.wait() => assert_eq!(told, Ok(())),
        _ = source.next() => panic!("nothing else has changed"),
    }
}

#[tokio::test]
async fn without_a_zone_the_pod_is_looked_for_once_in_the_slices_of_its_namespace() {
    let server = ApiServerOfTest::start().await;
    let interest = Arc::default();
    let mut source = server.source_with(&[], &interest);
    let changes = until(&mut source, |change| matches!(change, Change::Here(_))).await;
    let here = Here { node: Some("n1".into()), zone: Some("z1".into()) };
    assert!(changes.contains(&Change::Here(here)), "{changes:?}");
    assert_eq!(changes.iter().filter(|change| matches!(change, Change::Slice(..))).count(), 0);
    assert_eq!(server.heard("/apis/discovery.k8s.io/v1").len(), 1);
}

#[tokio::test]
async fn a_token_that_was_replaced_is_read_with_the_next_request() {
    let server = ApiServerOfTest::start().await;
    let interest = Arc::<ApiInterest>::default();
    let mut source = server.source(&interest);
    until(&mut source, is_service).await;
    fs::write(server.folder.path().join("token"), "second").unwrap();
    let _told = interest.ask(Want::Service(web()), CLIENT);
    until(&mut source, |change| *change == Change::Endpoints(web(), true)).await;
    assert_eq!(server.heard("/api/v1/namespaces/default/services")[0].authorization, "Bearer first");
    assert_eq!(server.heard("/apis/discovery.k8s.io/v1")[0].authorization, "Bearer second");
}

#[tokio::test]
async fn after_a_401_another_connection_is_opened_and_the_token_is_read_anew() {
    let server = ApiServerOfTest::start().await;
    lock(&server.script.refusals).push_back(401);
    fs::write(server.folder.path().join("token"), "expired").unwrap();
    let interest = Arc::default();
    let mut source = server.source(&interest);
    assert_eq!(source.next().await, [], "it has answered, and nothing is known");
    fs::write(server.folder.path().join("token"), "renewed").unwrap();
    until(&mut source, is_service).await;
    let heard = server.heard("/api/v1/namespaces/default/services");
    let tokens: Vec<&str> = heard.iter().map(|heard| heard.authorization.as_str()).collect();
    assert_eq!(tokens, ["Bearer expired", "Bearer renewed"]);
}

#[tokio::test]
async fn a_watch_that_tells_of_a_change_changes_the_service() {
    let server = ApiServerOfTest::start().await;
    let interest = Arc::default();
    let mut source = server.source(&interest);
    until(&mut source, is_service).await;
    let event = concat!(
        r#"{"type":"DELETED","object":{"metadata":{"name":"web","namespace":"default","uid":"1","resourceVersion":"9"},"#,
        r#""spec":{"clusterIP":"10.96.0.9","ports":[{"port":80}]}}}"#,
        "\n"
    );
    let told = async {
        loop {
            if let Some(watch) = lock(&server.script.watches).first_mut() {
                watch.try_send(hyper::body::Frame::data(event.into())).unwrap();
                break;
            }
            tokio::task::yield_now().await;
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = told => {}
        changes = until(&mut source, |change| matches!(change, Change::Service(_, None))) => {
            assert!(changes.contains(&Change::Service(web(), None)));
        }
    }
}

#[tokio::test]
async fn a_server_with_a_certificate_of_somebody_else_is_told_nothing() {
    let server = ApiServerOfTest::start().await;
    certificate(server.folder.path()); // another authority
    let interest = Arc::default();
    let mut source = server.source(&interest);
    assert_eq!(source.next().await, [], "it has failed once: the pod may start");
    assert_eq!(*lock(&server.script.heard), []);
}

#[tokio::test]
async fn a_service_that_the_api_server_does_not_tell_of_is_left_to_other_sources_for_a_while() {
    let server = ApiServerOfTest::start().await;
    let interest = Arc::<ApiInterest>::default();
    let mut source = server.source(&interest);
    let foreign = || Want::Service(ServiceName::new("other", "web"));
    let told = interest.ask(foreign(), CLIENT).expect("the source answers");
    tokio::select! {
        told = told.wait() => assert_eq!(told, Ok(())),
        () = drive(&mut source) => {}
    }
    assert_eq!(interest.ask(foreign(), CLIENT).err(), Some(Failure::UnknownDestination));

    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(5)).await;
    let asked_again = async {
        while interest.ask(foreign(), CLIENT).is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = asked_again => {}
        () = drive(&mut source) => {}
    }
}

/// Runs the source, whatever it tells, for ever.
async fn drive(source: &mut KubernetesSource) {
    loop {
        source.next().await;
    }
}
