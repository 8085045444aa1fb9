//! The filter as it is built: in a host of its own (`wasm-filter/tests/vm`) and in a real Envoy (`wasm-filter/tests/envoy`), which plain `cargo test`
//! leaves out.

use std::path::PathBuf;

use crate::report::Report;
use crate::wasm::{Module, Toolchain};
use crate::{Result, place, shell, tools};

pub(crate) fn run(report: &mut Report) {
    let toolchain = match Toolchain::find() {
        Ok(toolchain) => toolchain,
        Err(error) => return report.skip("envoy: build for Wasm", &error.to_string()),
    };
    let mut build = |what, features: &[&str]| report.attempt(what, || Module::build(toolchain, features));
    let Some(trapping) = build("envoy: build a filter that traps", &[TRAP]) else { return };
    let Some(filter) = build("envoy: build the filter", &[]) else { return };
    report.attempt("envoy: its size", || filter.within_budget());
    report.nextest("envoy: in a host of its own", &["--workspace", "--test", "vm"], |tests| {
        tests.env("SVCMESH_TEST_WASM", &filter.path);
    });
    let Some(sidecar) = report.attempt("envoy: the sidecar beside it", sidecar) else { return };
    const NAME: &str = "envoy: in a real Envoy";
    match tools::envoy() {
        Ok(envoy) => report.nextest(NAME, &["--workspace", "--test", "envoy"], |tests| {
            tests.env("SVCMESH_TEST_WASM", filter.path).env("SVCMESH_TEST_TRAPPING_WASM", trapping.path);
            tests.env("SVCMESH_TEST_ENVOY", envoy).env("SVCMESH_TEST_SIDECAR", sidecar);
        }),
        Err(error) => report.skip(NAME, &error.to_string()),
    }
}

/// The feature of the filter with which a request can end its VM.
const TRAP: &str = "trap";

/// Builds the sidecar that the filter asks for Services: as a part of its own tests, which most likely have it built already.
fn sidecar() -> Result<PathBuf> {
    shell::answer(&mut shell::cargo([
        "test",
        "--quiet",
        "--no-run",
        "--workspace",
        "--test",
        "command_line",
    ]))?;
    Ok(place::target().join("debug/sidecar"))
}
