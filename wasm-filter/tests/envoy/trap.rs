//! A VM that ends while it handles a request.

use testing::time::until;

use super::backend::Backend;
use super::bootstrap::Bootstrap;
use super::built;
use super::envoy::Envoy;
use super::services::web;

#[test]
fn a_vm_that_traps_is_loaded_again() {
    let backends = Backend::three();
    let mut envoy = Envoy::start(&Bootstrap::of(&[web(&backends)]).with_filter(&built::trapping_filter()));
    // One connection, and so one worker, from before to after.
    let mut client = envoy.client();
    assert_eq!(client.get("web").status(), 200);
    let answer = client.ask("web", "/", &[("x-svcmesh-test-trap", "now")]);
    assert_eq!(answer.status(), 503);
    until("its worker serves again", || (client.get("web").status() == 200).then_some(()));
    assert_eq!(envoy.stat("wasm.svcmesh.vm_reload_success"), 1);
    for _ in 0..30 {
        assert_eq!(client.get("web").status(), 200);
    }
    // Where it ended, by the names of a `.named.wasm`.
    let log = envoy.process().log();
    let (_, trace) = log.split_once("Uncaught RuntimeError: unreachable").expect("Envoy logs why a VM ended");
    assert!(trace.starts_with("\nProxy-Wasm plugin in-VM backtrace:\n"), "{trace}");
    assert!(trace.contains("svc_wasm_filter") && trace.contains("on_http_request_headers"), "{trace}");
}
