//! The project's own commands: `cargo xtask test | demo | cluster | bench | wasm | layers | names | tools`.
//!
//! Only the standard library: this program is built before anything else, on every machine and in CI.
#![expect(clippy::print_stdout, reason = "what these commands answer goes to stdout")]

mod bench;
mod clock;
mod cluster;
mod counts;
mod failed;
mod groups;
mod help;
mod kube;
mod layers;
#[cfg(test)]
mod lazy;
mod names;
mod nextest;
mod packages;
mod place;
mod progress;
mod report;
mod shell;
#[cfg(test)]
mod sockets;
mod spent;
mod tools;
mod wasm;

use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use groups::Group;
use packages::Program;
use report::Report;
use spent::Spent;

/// What can go wrong outside of a check: a message for people, with its cause in it.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.split_first() {
        None | Some((&("help" | "--help" | "-h"), [])) => told(&help::all()),
        Some((&("help" | "--help" | "-h"), [command, ..])) => match help::of(command) {
            Some(text) => told(text),
            None => Err(unknown(command)),
        },
        Some((command, rest)) => match help::of(command) {
            None => Err(unknown(command)),
            Some(text) if help::is_wanted(rest) => told(text),
            Some(_) => run(command, rest),
        },
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("xtask: {error}");
        ExitCode::from(64) // EX_USAGE: nothing was checked
    })
}

fn run(command: &str, rest: &[&str]) -> Result<ExitCode> {
    match command {
        "test" => test(rest),
        "demo" => demo(rest),
        "cluster" => cluster::run(rest),
        "bench" => bench::run(rest),
        "wasm" => wasm::run(rest),
        "layers" => layers::run(rest),
        "names" => names::run(),
        "tools" => install(rest),
        unheard => Err(unknown(unheard)),
    }
}

fn told(text: &str) -> Result<ExitCode> {
    print!("{text}");
    Ok(ExitCode::SUCCESS)
}

fn unknown(command: &str) -> Box<dyn std::error::Error> {
    format!("unknown command `{}`\n\n{}", command.escape_debug(), help::all()).into()
}

/// Installs what all commands need.
fn install(arguments: &[&str]) -> Result<ExitCode> {
    match arguments {
        [] => tools::install_all().map(|()| ExitCode::SUCCESS),
        [unknown, ..] => Err(format!("unknown word `{}`: `tools` takes none", unknown.escape_debug()).into()),
    }
}

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
        let before = Spent::so_far();
        group.run(&mut report);
        report.spent(group.name(), Spent::since(before));
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
