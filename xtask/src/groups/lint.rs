//! What can be said without running the product: form, lints, documentation, dependencies.

use std::process::Command;

use crate::report::Report;
use crate::wasm::{self, Toolchain, Way};
use crate::{shell, tools};

pub(crate) fn run(report: &mut Report) {
    report.check("lint: rustfmt", shell::cargo(["fmt", "--all", "--check"]));
    report.check("lint: clippy", clippy(&["--workspace", "--all-targets"]));
    // `test = false` keeps the heavy tests out of `cargo test`, and out of `--all-targets` too.
    let heavy = ["--package", "sidecar", "--test", "net", "--test", "differential"];
    report.check("lint: clippy, heavy tests", clippy(&heavy));
    for_envoy(report);
    let mut documentation = shell::cargo(["doc", "--workspace", "--no-deps"]);
    documentation.env("RUSTDOCFLAGS", "-D warnings");
    report.check("lint: rustdoc", documentation);
    dependencies(report);
}

/// What is built for Envoy. `test = false` keeps the tests in Envoy out of `--all-targets` too.
fn for_envoy(report: &mut Report) {
    report.check(
        "lint: clippy, Envoy tests",
        clippy(&["--package", wasm::PACKAGE, "--test", "envoy", "--test", "vm"]),
    );
    // Clippy is a compiler, and reads only what a compiler of its own version compiled. Debian's, which builds the filter where
    // rustup cannot, comes without one; there the filter has been looked at as a library of this machine, and that must do.
    if Toolchain::find(None).is_ok_and(|toolchain| toolchain.way() == Way::Rustup) {
        report.check("lint: clippy, Wasm", wasm::clippy());
    }
}

fn clippy(targets: &[&str]) -> Command {
    let mut command = shell::cargo(["clippy"]);
    command.args(targets).args(["--", "-D", "warnings"]);
    command
}

/// cargo-deny, by the rules in deny.toml.
fn dependencies(report: &mut Report) {
    let cargo_deny = match tools::cargo_tool("cargo-deny", tools::CARGO_DENY_VERSION) {
        Ok(program) => program,
        Err(error) => return report.skip("lint: dependencies", &error.to_string()),
    };
    let deny = |checks: &[&str]| {
        let mut command = shell::command(&cargo_deny, ["--workspace", "check"]);
        command.args(checks);
        command
    };
    report.check("lint: dependencies", deny(&["bans", "licenses", "sources"]));
    // An advisory appears without a change of ours, and its database is not reachable from everywhere: neither may break a
    // strict run, which must give the same answer for the same commit.
    if !report.strict() {
        report.check_or_skip("lint: advisories", deny(&["advisories"]), |output| {
            output.contains("advisory database").then_some("the advisory database cannot be fetched")
        });
    }
}
