//! Which endpoint is next.

use std::collections::BTreeMap;

use super::backend::Backend;
use super::bootstrap::Bootstrap;
use super::client::Client;
use super::envoy::Envoy;
use super::services::web;

#[test]
fn thirty_requests_over_one_connection_are_ten_for_each_endpoint() {
    let backends = Backend::three();
    let envoy = Envoy::start(&Bootstrap::of(&[web(&backends)]));
    let answers = tally(&mut envoy.client(), "web", 30);
    assert_eq!(answers, [("pod-a".into(), 10), ("pod-b".into(), 10), ("pod-c".into(), 10)].into());
}

#[test]
fn every_form_of_a_services_name_leads_to_it() {
    let backends = Backend::three();
    let envoy = Envoy::start(&Bootstrap::of(&[web(&backends)]));
    let mut client = envoy.client();
    for host in
        ["web", "web:80", "web.default", "web.default.svc", "web.default.svc.cluster.local:80", "WEB.Default"]
    {
        assert_eq!(client.get(host).status(), 200, "{host}");
    }
}

#[test]
fn both_workers_choose_from_the_same_endpoints() {
    let backends = Backend::three();
    let envoy = Envoy::start(&Bootstrap::of(&[web(&backends)]));
    // The kernel spreads connections by their ports: that one worker gets none of 40 happens once in 2^39 runs.
    let mut clients: Vec<Client> = (0..40).map(|_| envoy.client()).collect();
    for client in &mut clients {
        let answers = tally(client, "web", 3);
        assert_eq!(answers.values().sum::<usize>(), 3);
    }
    for worker in 0..2 {
        let connections = envoy.stat(&format!("listener.127.0.0.1_0.worker_{worker}.downstream_cx_total"));
        assert!(connections > 0, "worker {worker} has had no connection");
    }
    let most = backends.iter().map(Backend::requests).max();
    // 120 requests: 40 each, but that the turns of each worker begin anywhere.
    assert!(most <= Some(42), "{most:?} of 120 requests for one of three endpoints");
}

/// How many of `count` requests each backend answered.
pub(crate) fn tally(client: &mut Client, host: &str, count: usize) -> BTreeMap<String, usize> {
    let mut answers = BTreeMap::new();
    for _ in 0..count {
        *answers.entry(client.get(host).backend().to_owned()).or_default() += 1;
    }
    answers
}
