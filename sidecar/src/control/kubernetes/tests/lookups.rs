//! Services that are found by their addresses.

use std::net::IpAddr;

use super::*;
use crate::clock::Instant;

const ADDRESS: &str = "10.96.1.7";

/// A server with a Service of the namespace `bank` at [`ADDRESS`], whose objects we may know.
async fn server() -> ApiServerOfTest {
    let server = ApiServerOfTest::start().await;
    server.answer("/api/v1/namespaces/bank/services", 200, LEDGER);
    server.answer("/apis/discovery.k8s.io/v1/namespaces/bank/endpointslices", 200, LEDGER_SLICES);
    server
}

const LEDGER: &str = r#"{"kind":"ServiceList","apiVersion":"v1","metadata":{"resourceVersion":"7"},"items":[
    {"metadata":{"name":"ledger","namespace":"bank","uid":"4","resourceVersion":"5"},
     "spec":{"clusterIP":"10.96.1.7","clusterIPs":["10.96.1.7"],"ports":[{"port":80,"protocol":"TCP"}]}}]}"#;
const LEDGER_SLICES: &str = r#"{"kind":"EndpointSliceList","apiVersion":"discovery.k8s.io/v1","metadata":{"resourceVersion":"8"},"items":[
    {"metadata":{"name":"ledger-1","namespace":"bank","uid":"5","resourceVersion":"6","labels":{"kubernetes.io/service-name":"ledger"}},
     "addressType":"IPv4","ports":[{"name":"","port":8080,"protocol":"TCP"}],"endpoints":[{"addresses":["10.0.9.1"]}]}]}"#;

const OBJECTS: &str = "/apis/networking.k8s.io/v1/ipaddresses/";
const SEARCH: &str = "/api/v1/services?limit=1&fieldSelector=spec.clusterIP%3D";

fn address(text: &str) -> Want {
    Want::Address(text.parse().unwrap())
}

fn ledger() -> ServiceName {
    ServiceName::new("bank", "ledger")
}

async fn is_learned(server: &ApiServerOfTest) {
    let interest = Arc::<ApiInterest>::default();
    let mut source = server.source(&interest);
    let told = interest.ask(address(ADDRESS), CLIENT).expect("the source answers");
    let changes = until(&mut source, |change| *change == Change::Endpoints(ledger(), true)).await;
    assert!(
        changes.iter().any(|change| matches!(change, Change::Service(name, Some(_)) if *name == ledger()))
    );
    tokio::select! {
        told = told.wait() => assert_eq!(told, Ok(())),
        () = drive(&mut source) => {}
    }
}

#[tokio::test]
async fn an_address_leads_to_the_service_of_its_object() {
    let server = server().await;
    let parent =
        r#"{"spec":{"parentRef":{"group":"","resource":"services","namespace":"bank","name":"ledger"}}}"#;
    server.answer(&format!("{OBJECTS}{ADDRESS}"), 200, parent);
    is_learned(&server).await;
    assert_eq!(server.heard("/api/v1/services"), []);
}

#[tokio::test]
async fn a_server_without_such_objects_is_searched_for_the_address() {
    let server = server().await;
    for version in ["v1", "v1beta1"] {
        server.answer(
            &format!("/apis/networking.k8s.io/{version}/ipaddresses/{ADDRESS}"),
            404,
            "404 page not found\n",
        );
    }
    server.answer("/api/v1/services", 200, LEDGER);
    is_learned(&server).await;
    assert_eq!(server.heard("/api/v1/services")[0].path, format!("{SEARCH}{ADDRESS}"));
}

/// Waits until a lookup has failed.
async fn fails(want: &Want, interest: &ApiInterest, source: &mut KubernetesSource) {
    let failed = async {
        while interest.ask(want.clone(), CLIENT).is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        failed = timeout(Duration::from_secs(60), failed) => failed.expect("it fails"),
        () = drive(source) => {}
    }
}

#[tokio::test]
async fn where_lookups_are_forbidden_one_address_is_asked_for_and_no_other() {
    let server = server().await;
    let interest = Arc::<ApiInterest>::default();
    let mut source = server.source(&interest);
    for last in 1..=20 {
        fails(&address(&format!("10.96.1.{last}")), &interest, &mut source).await;
    }
    assert_eq!(server.heard(OBJECTS).len(), 1, "{:?}", server.heard(""));
    assert_eq!(server.heard("/api/v1/services").len(), 1);
}

#[tokio::test]
async fn a_flood_of_addresses_costs_few_requests_and_keeps_nobody_from_a_service() {
    let server = server().await;
    server.answer("/api/v1/services", 200, r#"{"kind":"ServiceList","metadata":{},"items":[]}"#);
    let interest = Arc::<ApiInterest>::default();
    let mut source = server.source(&interest);
    until(&mut source, is_service).await;
    let begun = Instant::now();
    let told = interest.ask(Want::Service(web()), CLIENT).expect("the source answers");
    let nobody = IpAddr::from([0, 0, 0, 0]);
    for number in 0..5_000_u16 {
        let [high, low] = number.to_be_bytes();
        let _nobody_waits = interest.ask(Want::Address([10, 200, high, low].into()), nobody);
    }
    tokio::select! {
        told = told.wait() => assert_eq!(told, Ok(()), "it has stayed in the register"),
        () = drive(&mut source) => {}
    }
    for round_trip in 0..20 {
        let absent = Want::Service(ServiceName::new("other", format!("web-{round_trip}")));
        fails(&absent, &interest, &mut source).await;
    }
    let lookups = server.heard("/api/v1/services").len() as u64;
    assert!((1..=32 + 1 + begun.elapsed().as_secs()).contains(&lookups), "{lookups}");
}
