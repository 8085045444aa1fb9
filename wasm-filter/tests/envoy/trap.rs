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
    let log = envoy.process().log();
    let line =
        log.lines().find(|line| line.contains("panicked at ")).expect("Envoy logs where the filter panicked");
    assert!(line.contains("[critical]") && line.contains("wasm-filter/src/abi.rs:"), "{line}");
    assert!(log.contains("a test asks for it"), "{log}");
}
