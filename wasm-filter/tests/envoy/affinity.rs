//! Clients that stay with their endpoint.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde_json::json;

use super::backend::Backend;
use super::balance::tally;
use super::bootstrap::Bootstrap;
use super::client::Client;
use super::envoy::Envoy;
use super::services::{web, with};

#[test]
fn a_client_stays_with_its_endpoint_over_connections_and_workers() {
    let backends = Backend::three();
    let sticky =
        with(web(&backends), json!({"sessionAffinity": {"type": "ClientIP", "timeoutSeconds": 10800}}));
    let envoy = Envoy::start(&Bootstrap::of(&[sticky]));
    let mut chosen = BTreeSet::new();
    for number in 2..14 {
        let client = IpAddr::from([127, 0, 0, number]);
        let mut answers = BTreeSet::new();
        // Eight connections: that all of them go to one worker happens once in 128 clients, and there are twelve.
        for _ in 0..8 {
            answers.extend(tally(&mut Client::from(client, envoy.address()), "web", 2).into_keys());
        }
        assert_eq!(answers.len(), 1, "{client} was sent to {answers:?}");
        chosen.extend(answers);
    }
    assert!(chosen.len() > 1, "twelve clients were all sent to {chosen:?}");
}
