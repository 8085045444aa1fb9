//! Endpoints that fail while the filter learns from it.

use testing::time::until;

use super::backend::Backend;
use super::balance::tally;
use super::bootstrap::Bootstrap;
use super::envoy::Envoy;
use super::services::web;

#[test]
fn an_endpoint_that_answers_with_failures_is_left_out() {
    let backends = Backend::three();
    let envoy = Envoy::start(&Bootstrap::of(&[web(&backends)]));
    let [_, _, failing] = &backends;
    failing.answer(500);
    // Over one connection, so that one worker sees all of it: five failures in a row, and the sixth is somebody else's.
    let mut client = envoy.client();
    let failures = (0..60).filter(|_| client.get("web").status() == 500).count();
    assert!((5..=7).contains(&failures), "{failures} of 60 requests failed");
}

#[test]
fn an_endpoint_that_refuses_connections_is_left_out() {
    let backends = Backend::three();
    let envoy = Envoy::start(&Bootstrap::of(&[web(&backends)]));
    let [a, b, gone] = backends;
    drop(gone);
    let mut client = envoy.client();
    let failures = (0..60).filter(|_| client.get("web").status() == 503).count();
    assert!((1..=7).contains(&failures), "{failures} of 60 requests failed");
    assert!(a.requests() > 20 && b.requests() > 20);
}

#[test]
fn an_endpoint_that_is_well_again_gets_its_part_again() {
    let backends = Backend::three();
    let envoy = Envoy::start(&Bootstrap::of(&[web(&backends)]));
    let [_, _, failing] = &backends;
    failing.answer(500);
    let mut client = envoy.client();
    for _ in 0..30 {
        client.get("web");
    }
    failing.answer(200);
    until("it gets requests again", || {
        let answers = tally(&mut client, "web", 3);
        answers.contains_key("pod-c").then_some(())
    });
}
