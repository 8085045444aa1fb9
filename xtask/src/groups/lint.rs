//! What can be said without running the product: form, lints, documentation, dependencies.

use crate::report::Report;
use crate::wasm::{self, Toolchain};
use crate::{layers, shell, tools};

pub(crate) fn run(report: &mut Report) {
    form(report);
    for_wasm(report);
    let mut documentation = shell::cargo(["doc", "--workspace", "--no-deps"]);
    documentation.env("RUSTDOCFLAGS", "-D warnings");
    report.check("lint: rustdoc", documentation);
    dependencies(report);
}

/// Format, and the lints of all that is built for this machine.
pub(super) fn form(report: &mut Report) {
    report.check("lint: rustfmt", shell::cargo(["fmt", "--all", "--check"]));
    report.attempt("lint: layers", layers::check);
    let mut clippy = shell::cargo(["clippy", "--workspace", "--all-targets"]);
    // `test = false` keeps the heavy tests out of `cargo test`, and out of `--all-targets` too.
    clippy.args(["net", "differential", "envoy", "vm"].iter().flat_map(|heavy| ["--test", heavy]));
    clippy.args(["--", "-D", "warnings"]);
    report.check("lint: clippy", clippy);
}

/// Clippy is a compiler, and reads only what a compiler of its own version compiled. Debian's, which builds the filter where
/// rustup cannot, comes without one; there the filter has been looked at as a library of this machine, and that must do.
fn for_wasm(report: &mut Report) {
    if Toolchain::find().is_ok_and(|toolchain| toolchain == Toolchain::Rustup) {
        report.check("lint: clippy, Wasm", wasm::clippy());
    }
}

/// cargo-deny, by the rules in deny.toml.
fn dependencies(report: &mut Report) {
    let cargo_deny = match tools::CARGO_DENY.find() {
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
