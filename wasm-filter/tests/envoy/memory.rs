//! What stays of requests that are over: nothing.

use std::thread;

use super::backend::Backend;
use super::bootstrap::Bootstrap;
use super::envoy::Envoy;
use super::services::web;

#[test]
fn a_hundred_thousand_requests_leave_no_memory_behind() {
    let backends = Backend::three();
    let mut envoy = Envoy::start(&Bootstrap::of(&[web(&backends)]));
    ask(&envoy, 20_000); // buffers and pools find their size
    let before = envoy.process().rss_kib();
    ask(&envoy, 100_000);
    let after = envoy.process().rss_kib();
    eprintln!("{before} KiB before, {after} KiB after");
    assert!(after < before + GROWTH_KIB, "{before} KiB before, {after} KiB after");
}

/// 100,000 × 42 bytes: were anything kept of each request, it would be more.
const GROWTH_KIB: u64 = 4096;

/// Over four connections, which both workers share with luck.
fn ask(envoy: &Envoy, count: usize) {
    thread::scope(|scope| {
        for _ in 0..4 {
            let mut client = envoy.client();
            scope.spawn(move || (0..count / 4).for_each(|_| assert_eq!(client.get("web").status(), 200)));
        }
    });
}
