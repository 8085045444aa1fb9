//! What `cargo xtask test envoy` has built or installed, and names in variables.

/// The filter.
pub(crate) fn filter() -> String {
    variable("SVCMESH_TEST_WASM")
}

/// The filter whose VM ends at a request with the header `x-svcmesh-test-trap`.
pub(crate) fn trapping_filter() -> String {
    variable("SVCMESH_TEST_TRAPPING_WASM")
}

/// The sidecar.
pub(crate) fn sidecar() -> String {
    variable("SVCMESH_TEST_SIDECAR")
}

/// Envoy.
pub(crate) fn envoy() -> String {
    variable("SVCMESH_TEST_ENVOY")
}

#[expect(clippy::disallowed_methods, reason = "the one place where these tests read the environment")]
fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run `cargo xtask test envoy`"))
}
