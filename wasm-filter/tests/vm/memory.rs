//! The VM's memory, which only ever grows, by pages of 64 KiB: what a million requests and ten thousand changes leave behind, or three
//! tenths of them where `SVCMESH_TEST_LONG` is not set.

use std::fmt::Write as _;
use std::time::Duration;

use super::host::{Outcome, Request, Vm, is_long};
use super::proxy::Proxy;

/// With affinity, whose pins clients fill up to their bound before anything is measured.
const CONFIGURATION: &str = r#"{"environment": false, "trustedProxies": ["127.0.0.0/8"],
    "update": {"cluster": "sidecar", "interval": "1ms", "timeout": "720h"}}"#;

/// Ten Services with ten endpoints each; which ones is another matter in each edition.
fn document(edition: usize) -> String {
    let mut text = String::from(r#"{"version": 1, "services": ["#);
    for service in 0..10 {
        let comma = if service > 0 { "," } else { "" };
        let seconds = 1 + service;
        write!(
            text,
            r#"{comma}{{"namespace": "default", "name": "s{service}", "type": "ClusterIP", "clusterIPs": ["10.96.0.{}"],
              "sessionAffinity": {{"type": "ClientIP", "timeoutSeconds": {seconds}}}, "annotations": {{"svcmesh.dev/load-balancer": "p2c"}},
              "ports": [{{"port": 80, "protocol": "TCP"}}], "endpoints": ["#,
            service + 1
        )
        .expect("a string takes it");
        for endpoint in 0..10 {
            let comma = if endpoint > 0 { "," } else { "" };
            let (third, fourth) = ((edition * 7 + endpoint) / 250 % 250, (edition * 7 + endpoint) % 250 + 1);
            write!(text, r#"{comma}{{"address": "10.{service}.{third}.{fourth}", "port": 8080, "node": "n-{edition}"}}"#)
                .expect("a string takes it");
        }
        text.push_str("]}");
    }
    text.push_str(r#"], "rejected": []}"#);
    text
}

fn running() -> Vm {
    let mut vm = Vm::running(CONFIGURATION, Proxy { chance: 7, ..Proxy::default() });
    vm.tick();
    learn(&mut vm, 0);
    vm
}

fn learn(vm: &mut Vm, edition: usize) {
    let (call, _) = vm.calls().pop().expect("the question is under way");
    vm.answer_call(call, 200, &[], &document(edition));
    vm.proxy().now += Duration::from_millis(2);
    vm.tick();
}

fn ask(vm: &mut Vm, number: usize) {
    let client = format!("203.0.{}.{}", number / 250 % 250, number % 250 + 1);
    let request = Request::get(["s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9"][number % 10]);
    let request = request.with(&[("x-forwarded-for", &client), ("accept", "*/*"), ("user-agent", "test")]);
    let (id, outcome) = vm.request(request);
    assert!(matches!(outcome, Outcome::Continued(_)), "{outcome:?}");
    vm.respond(id, if number.is_multiple_of(97) { 503 } else { 200 }, &[]);
    vm.end(id);
    vm.proxy().now += Duration::from_micros(100);
    if number.is_multiple_of(10_000) {
        vm.tick();
    }
}

#[test]
fn requests_leave_nothing_behind() {
    let (mut vm, requests) = (running(), if is_long() { 1_000_000 } else { 300_000 });
    (0..WARM_UP).for_each(|number| ask(&mut vm, number));
    let before = vm.memory_bytes();
    (WARM_UP..requests).for_each(|number| ask(&mut vm, number));
    let after = vm.memory_bytes();
    eprintln!("{requests} requests: {before} bytes after {WARM_UP}, {after} at the end");
    assert_eq!(after, before);
}

#[test]
fn changes_of_endpoints_leave_nothing_behind() {
    let (mut vm, changes) = (running(), if is_long() { 10_000 } else { 3_000 });
    let change = |vm: &mut Vm, edition: usize| {
        learn(vm, edition);
        (0..3).for_each(|number| ask(vm, edition * 3 + number));
        vm.take_log();
    };
    (1..changes / 10).for_each(|edition| change(&mut vm, edition));
    let before = vm.memory_bytes();
    (changes / 10..changes).for_each(|edition| change(&mut vm, edition));
    let after = vm.memory_bytes();
    eprintln!("{changes} changes: {before} bytes after {}, {after} at the end", changes / 10);
    assert_eq!(after, before);
}

/// Each of 62,500 clients has come, and as many pins are there as ever will be.
const WARM_UP: usize = 150_000;
