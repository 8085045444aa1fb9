//! The project's own commands: `cargo xtask test | demo | bench | wasm | tools`.
//!
//! Only the standard library: this program is built before anything else, on every machine and in CI.
#![expect(clippy::print_stdout, reason = "what these commands answer goes to stdout")]

mod bench;
mod clock;
mod counts;
mod groups;
mod packages;
mod place;
mod report;
mod shell;
mod tools;
mod wasm;

use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use groups::Group;
use packages::Program;
use report::Report;

/// What can go wrong outside of a check: a message for people, with its cause in it.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.split_first() {
        Some((&"test", rest)) => test(rest),
        Some((&"tools", [])) => tools::install_all().map(|()| ExitCode::SUCCESS),
        Some((&"demo", rest)) => demo(rest),
        Some((&"bench", rest)) => bench::run(rest),
        Some((&"wasm", rest)) => wasm::run(rest),
        None | Some((&("help" | "--help" | "-h"), _)) => {
            print!("{USAGE}");
            Ok(ExitCode::SUCCESS)
        }
        Some((unknown, _)) => Err(format!("unknown command `{}`\n\n{USAGE}", unknown.escape_debug()).into()),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("xtask: {error}");
        ExitCode::from(64) // EX_USAGE: nothing was checked
    })
}

const USAGE: &str = "\
The project's own commands.

  cargo xtask test [--strict] [GROUP…]   run the checks: lint unit net dns envoy fuzz (all of them when none is
                                         named); --strict counts a check that could not run as failed
  cargo xtask demo [--once] [--release]  build the sidecar and let it show what it does; --once takes the tour and exits;
                                         --release builds it as it is shipped, which takes minutes
  cargo xtask bench [SCENARIO…] [--peers NAME,…] [--rounds N] [--seconds N]
                                         CPU per request and memory, beside HAProxy and nginx (scenarios A B AR D1 E
                                         F FK idle conn; peers sidecar haproxy nginx; 3 rounds of 4 seconds)
  cargo xtask bench scale                what 10,000 Services × 100 endpoints cost, each figure against its bound
  cargo xtask bench envoy                what the filter adds to a request in Envoy, beside filters that do less, and Lua
  cargo xtask wasm [--toolchain rustup|debian] [--oci FOLDER]
                                         build the filter for Envoy, within 300 KiB; --oci also writes it as an image
  cargo xtask tools                      install everything that the other commands need
";

/// Runs the named groups, all of them when none is named.
fn test(arguments: &[&str]) -> Result<ExitCode> {
    let (flags, names): (Vec<&str>, Vec<&str>) = arguments.iter().partition(|word| word.starts_with('-'));
    if let Some(unknown) = flags.iter().find(|flag| **flag != "--strict") {
        return Err(format!("unknown flag `{unknown}` of `test`: --strict is the only one").into());
    }
    let mut groups = names.iter().map(|name| Group::parse(name)).collect::<Result<Vec<Group>>>()?;
    if groups.is_empty() {
        groups.extend(Group::ALL);
    }
    let mut report = Report::new(!flags.is_empty());
    for group in groups {
        group.run(&mut report);
    }
    Ok(report.finish())
}

/// Becomes the sidecar's demo.
fn demo(arguments: &[&str]) -> Result<ExitCode> {
    let (release, arguments): (Vec<&str>, Vec<&str>) =
        arguments.iter().partition(|word| **word == "--release");
    packages::ensure(&[Program { name: "curl", package: "curl" }])?;
    eprintln!("building the sidecar (a minute the first time)");
    let mut build = shell::cargo(["build", "--package", "sidecar"]);
    if !build.args(&release).status()?.success() {
        return Ok(ExitCode::FAILURE);
    }
    let profile = if release.is_empty() { "debug" } else { "release" };
    let sidecar = place::target().join(profile).join("sidecar");
    let error = Command::new(&sidecar).arg("demo").args(arguments).exec();
    Err(format!("cannot start `{}`: {error}", sidecar.display()).into())
}
