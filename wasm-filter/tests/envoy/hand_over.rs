//! How Envoy learns of the endpoint: the three ways of `deploy/envoy`, none of which a client can use for itself.

use serde_json::json;

use super::backend::Backend;
use super::balance::tally;
use super::bootstrap::Bootstrap;
use super::client::Answer;
use super::envoy::Envoy;
use super::services::{service, web};

#[test]
fn by_original_destination() {
    let (backends, bystander) = (Backend::three(), Backend::start("bystander"));
    let envoy = Envoy::start(&Bootstrap::of(&[web(&backends)]));
    each_gets_its_part(&envoy);
    no_client_chooses(&envoy, &bystander, "x-envoy-original-dst-host");
}

#[test]
fn by_override_host() {
    let (backends, bystander) = (Backend::three(), Backend::start("bystander"));
    let mut addresses: Vec<_> = backends.iter().map(Backend::address).collect();
    addresses.push(bystander.address()); // Envoy knows it, and would go there
    let bootstrap = Bootstrap::read("override-host.yaml").cluster("web", &addresses);
    let envoy = Envoy::start(&bootstrap.plugin(json!({"services": [web(&backends)]})));
    each_gets_its_part(&envoy);
    no_client_chooses(&envoy, &bystander, "x-svcmesh-endpoint");
}

#[test]
fn by_cluster_header() {
    let (backends, bystander) = (Backend::three(), Backend::start("bystander"));
    let addresses: Vec<_> = backends.iter().map(Backend::address).collect();
    let bootstrap = Bootstrap::read("cluster-header.yaml").cluster("web.default:80", &addresses);
    let bootstrap = bootstrap.cluster("orders.default:80", &[bystander.address()]);
    let envoy =
        Envoy::start(&bootstrap.plugin(json!({"services": [web(&backends), service("orders", &[])]})));
    let mut client = envoy.client();
    let forged = [("x-svcmesh-cluster", "orders.default:80")];
    for _ in 0..12 {
        assert_eq!(client.ask("web", "/", &forged).status(), 200);
    }
    assert_eq!(bystander.requests(), 0);
}

fn each_gets_its_part(envoy: &Envoy) {
    let answers = tally(&mut envoy.client(), "web", 30);
    assert_eq!(answers, [("pod-a".into(), 10), ("pod-b".into(), 10), ("pod-c".into(), 10)].into());
}

/// A client names an endpoint that is not of its Service, in `header` and in all the others.
fn no_client_chooses(envoy: &Envoy, bystander: &Backend, header: &str) {
    let address = bystander.address().to_string();
    let capitals = header.to_uppercase();
    let forged: [&[(&str, &str)]; 3] = [
        &[(header, &address)],
        &[(&capitals, &address), (header, &address)],
        &[
            ("x-envoy-original-dst-host", &address),
            ("x-svcmesh-endpoint", &address),
            ("x-svcmesh-cluster", "sidecar"),
        ],
    ];
    let mut client = envoy.client();
    for headers in forged {
        for host in ["web", "nobody", "web.default:81"] {
            let answer = client.ask(host, "/", headers);
            assert_eq!(answer.status() == 200, host == "web", "{host}, {headers:?}: {answer:?}");
            if host == "web" {
                tells_of_one_endpoint(&answer, header);
            }
        }
    }
    assert_eq!(bystander.requests(), 0);
}

/// Envoy passes the header on to the endpoint, whom it tells nothing but its own address.
fn tells_of_one_endpoint(answer: &Answer, header: &str) {
    let received = answer.received();
    if let Some(address) = received.field(header) {
        assert!(!address.contains(','), "{received:?}");
    }
}
