//! Clients that stay with their endpoint.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde_json::{Value, json};

use super::backend::Backend;
use super::balance::tally;
use super::bootstrap::Bootstrap;
use super::client::Client;
use super::envoy::Envoy;
use super::services::{web, with};

/// Eight connections of each client: that all of them go to one worker happens once in 128 clients, and there are twelve.
const CONNECTIONS: usize = 8;

/// By client, which endpoints each of its connections was sent to.
fn sent(service: Value) -> Vec<Vec<BTreeSet<String>>> {
    let envoy = Envoy::start(&Bootstrap::of(&[service]));
    let connection = |client| {
        tally(&mut Client::from(client, envoy.address()), "web", 4).into_keys().collect::<BTreeSet<_>>()
    };
    let clients = (2..14).map(|number| IpAddr::from([127, 0, 0, number]));
    clients.map(|client| (0..CONNECTIONS).map(|_| connection(client)).collect()).collect()
}

#[test]
fn a_client_stays_with_its_endpoint_in_each_worker() {
    let backends = Backend::three();
    let affinity = json!({"sessionAffinity": {"type": "ClientIP", "timeoutSeconds": 10800}});
    let clients = sent(with(web(&backends), affinity));
    for connections in &clients {
        // A connection belongs to one worker, and there are two.
        assert!(connections.iter().all(|endpoints| endpoints.len() == 1), "{connections:?}");
        let chosen: BTreeSet<_> = connections.iter().flatten().collect();
        assert!(chosen.len() <= 2, "{connections:?}");
    }
    let chosen: BTreeSet<_> = clients.iter().flatten().flatten().collect();
    assert_eq!(chosen.len(), 3, "twelve clients were all sent to {chosen:?}");
}

#[test]
fn a_policy_that_hashes_names_one_endpoint_in_all_workers() {
    let backends = Backend::three();
    let clients = sent(with(web(&backends), json!({"annotations": {"svcmesh.dev/load-balancer": "maglev"}})));
    for connections in &clients {
        let chosen: BTreeSet<_> = connections.iter().flatten().collect();
        assert_eq!(chosen.len(), 1, "{connections:?}");
    }
    let chosen: BTreeSet<_> = clients.iter().flatten().flatten().collect();
    assert!(chosen.len() > 1, "twelve clients were all sent to {chosen:?}");
}
