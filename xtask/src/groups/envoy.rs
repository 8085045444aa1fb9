//! The filter as it is built: in a host of its own (`wasm-filter/tests/vm`) and in a real Envoy (`wasm-filter/tests/envoy`), which plain `cargo test`
//! leaves out.

use std::path::PathBuf;

use crate::report::Report;
use crate::wasm::{Module, PACKAGE, Toolchain};
use crate::{Result, counts, place, shell, tools};

pub(crate) fn run(report: &mut Report) {
    let toolchain = match Toolchain::find(None) {
        Ok(toolchain) => toolchain,
        Err(error) => return report.skip("envoy: build for Wasm", &error.to_string()),
    };
    let mut build = |what, features: &[&str]| report.attempt(what, || Module::build(&toolchain, features));
    let Some(trapping) = build("envoy: build a filter that traps", &[TRAP]) else { return };
    let Some(filter) = build("envoy: build the filter", &[]) else { return };
    report.attempt("envoy: its size", || filter.within_budget());
    let mut tests = shell::cargo(["test", "--package", PACKAGE, "--test", "vm"]);
    tests.env("SVCMESH_TEST_WASM", &filter.path);
    report.tests("envoy: in a host of its own", tests, counts::cargo_test);
    let Some(sidecar) = report.attempt("envoy: the sidecar beside it", sidecar) else { return };
    const NAME: &str = "envoy: in a real Envoy";
    match tools::envoy() {
        Ok(envoy) => {
            let mut tests = shell::cargo(["test", "--package", PACKAGE, "--test", "envoy"]);
            tests.env("SVCMESH_TEST_WASM", filter.path).env("SVCMESH_TEST_TRAPPING_WASM", trapping.named());
            tests.env("SVCMESH_TEST_ENVOY", envoy).env("SVCMESH_TEST_SIDECAR", sidecar);
            report.tests(NAME, tests, counts::cargo_test);
        }
        Err(error) => report.skip(NAME, &error.to_string()),
    }
}

/// The feature of the filter with which a request can end its VM.
const TRAP: &str = "trap";

/// Builds the sidecar that the filter asks for Services.
fn sidecar() -> Result<PathBuf> {
    shell::answer(&mut shell::cargo(["build", "--quiet", "--package", "sidecar"]))?;
    Ok(place::target().join("debug/sidecar"))
}
