//! Services from a sidecar, which the filter asks again and again.

use std::time::Duration;

use super::fields::text;
use super::host::{Outcome, Request, Vm};
use super::proxy::{Call, Proxy};

const CONFIGURATION: &str = r#"{"environment": false, "unknown": "refuse",
    "update": {"cluster": "sidecar", "authority": "svcmesh.local", "path": "/services?namespace=default", "interval": "5s", "timeout": "2s", "token": "hush"}}"#;

fn document(address: &str) -> String {
    format!(
        r#"{{"version": 1, "services": [{{"namespace": "default", "name": "web", "type": "ClusterIP", "clusterIPs": ["10.96.0.10"],
          "ports": [{{"port": 80, "protocol": "TCP"}}], "endpoints": [{{"address": "{address}", "port": 8080}}]}}], "rejected": []}}"#
    )
}

fn running() -> Vm {
    Vm::running(CONFIGURATION, Proxy::default())
}

/// Lets time go by until there is a question.
fn question(vm: &mut Vm) -> (u32, Call) {
    for _ in 0..200 {
        if let Some(call) = vm.calls().pop() {
            return call;
        }
        vm.wait(Duration::from_secs(1));
    }
    panic!("nothing is asked: {:?}", vm.take_log());
}

/// Where a request for `web` goes; nowhere where it is answered with a failure.
fn endpoint(vm: &mut Vm) -> Option<String> {
    match vm.exchange(Request::get("web")) {
        Outcome::Continued(headers) => text(&headers, "x-envoy-original-dst-host"),
        Outcome::Replied(_) => None,
    }
}

fn counted(vm: &mut Vm, result: &str) -> i64 {
    vm.tick();
    let name = format!("svcmesh_discovery_updates_total;source=services;result={result}");
    vm.counters().get(&name).copied().unwrap_or(0)
}

#[test]
fn the_first_question_says_who_asks_for_what() {
    let mut vm = running();
    let (_, call) = question(&mut vm);
    let said = |name: &str| text(&call.headers, name).unwrap_or_default();
    assert_eq!((&*call.cluster, call.timeout), ("sidecar", Duration::from_secs(2)));
    assert_eq!(
        [":method", ":path", ":authority", "svcmesh-token", "if-none-match"].map(said),
        ["GET", "/services?namespace=default", "svcmesh.local", "hush", ""]
    );
}

#[test]
fn an_answer_is_in_force_at_once_and_the_next_question_names_it() {
    let mut vm = running();
    assert_eq!(endpoint(&mut vm), None);
    let (id, _) = question(&mut vm);
    vm.answer_call(id, 200, &[("etag", "\"one\"")], &document("10.1.0.1"));
    assert_eq!(endpoint(&mut vm).as_deref(), Some("10.1.0.1:8080"));
    let (id, call) = question(&mut vm);
    assert_eq!(text(&call.headers, "if-none-match").as_deref(), Some("\"one\""));
    vm.answer_call(id, 304, &[], "");
    assert_eq!(endpoint(&mut vm).as_deref(), Some("10.1.0.1:8080"));
    let (id, _) = question(&mut vm);
    vm.answer_call(id, 200, &[("etag", "\"two\"")], &document("10.1.0.2"));
    assert_eq!(endpoint(&mut vm).as_deref(), Some("10.1.0.2:8080"));
    assert_eq!((counted(&mut vm, "applied"), counted(&mut vm, "unchanged")), (2, 1), "{:?}", vm.counters());
}

#[test]
fn what_was_known_last_holds_until_something_better_comes() {
    let mut vm = running();
    let (id, _) = question(&mut vm);
    vm.answer_call(id, 200, &[("etag", "\"one\"")], &document("10.1.0.1"));
    let truncated = &document("10.1.0.2")[..100];
    for (status, body) in [
        (500, ""),
        (404, "no"),
        (200, ""),
        (200, "{}"),
        (200, truncated),
        (200, r#"{"version": 2, "services": []}"#),
        (200, "\u{0}"),
    ] {
        let (id, _) = question(&mut vm);
        vm.answer_call(id, status, &[], body);
        assert_eq!(endpoint(&mut vm).as_deref(), Some("10.1.0.1:8080"), "{status} {body}");
    }
    let (id, call) = question(&mut vm);
    assert_eq!(text(&call.headers, "if-none-match").as_deref(), Some("\"one\""));
    vm.fail_call(id);
    assert_eq!(endpoint(&mut vm).as_deref(), Some("10.1.0.1:8080"));
    assert_eq!(counted(&mut vm, "failed"), 8, "{:?}", vm.counters());
    let (id, _) = question(&mut vm);
    vm.answer_call(id, 200, &[], r#"{"version": 1, "services": []}"#);
    assert_eq!(endpoint(&mut vm), None, "that nothing is there is an answer");
}

#[test]
fn a_cluster_that_is_not_there_is_asked_for_again() {
    let unknown_clusters = ["sidecar".to_owned()].into();
    let mut vm = Vm::running(CONFIGURATION, Proxy { unknown_clusters, ..Proxy::default() });
    vm.wait(Duration::from_secs(20));
    assert!(vm.calls().is_empty());
    vm.proxy().unknown_clusters.clear();
    let (id, _) = question(&mut vm);
    vm.answer_call(id, 200, &[], &document("10.1.0.1"));
    assert_eq!(endpoint(&mut vm).as_deref(), Some("10.1.0.1:8080"));
}

#[test]
fn one_question_is_under_way_at_a_time_and_an_answer_may_never_come() {
    let mut vm = running();
    let (lost, _) = question(&mut vm);
    vm.wait(Duration::from_secs(60));
    let asked = vm.calls().len();
    assert!((2..=12).contains(&asked), "{asked} questions in a minute");
    vm.answer_call(lost, 200, &[], &document("10.1.0.1")); // later than anybody waits
    vm.proxy().calls.clear();
    let (next, _) = question(&mut vm);
    vm.answer_call(next, 200, &[], &document("10.1.0.2"));
    assert_eq!(endpoint(&mut vm).as_deref(), Some("10.1.0.2:8080"));
}
