//! Instructions per look-up, as callgrind counts them: the same on every machine, however busy.

use std::path::PathBuf;

use crate::packages::Program;
use crate::{Result, place, shell};

/// What a look-up goes by.
pub(super) const KINDS: [&str; 2] = ["host", "destination"];

/// What counts.
pub(in crate::bench) const PROGRAMS: &[Program] = &[Program { name: "valgrind", package: "valgrind" }];

/// Builds what looks up.
pub(in crate::bench) fn build() -> Result<()> {
    let status =
        shell::cargo(["build", "--release", "--package", "svc-core", "--example", "lookups"]).status()?;
    if status.success() { Ok(()) } else { Err("the look-ups do not build".into()) }
}

/// Of one look-up by `kind` among so many Services: what twice as many look-ups cost more.
pub(super) fn instructions(kind: &str, services: usize) -> Result<f64> {
    let (once, twice) = (count(kind, services, LOOKUPS)?, count(kind, services, 2 * LOOKUPS)?);
    Ok((twice - once) / LOOKUPS as f64)
}

/// Each of 10,000 Services twice.
const LOOKUPS: usize = 20_000;

fn count(kind: &str, services: usize, lookups: usize) -> Result<f64> {
    let mut command = shell::command("valgrind", ["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    command.arg(program()).arg(kind).args([services, lookups].map(|number| number.to_string()));
    let finished = shell::run(command);
    match collected(&finished.output) {
        Some(instructions) if finished.success => Ok(instructions),
        Some(_) | None => Err(format!("callgrind counted nothing:\n{}", finished.output).into()),
    }
}

fn program() -> PathBuf {
    place::target().join("release/examples/lookups")
}

/// `==123== Collected : 28765658`
fn collected(output: &str) -> Option<f64> {
    output.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callgrinds_count_is_read() {
        let output = "==9== Events    : Ir\n==9== Collected : 28765658\n==9== \n";
        assert_eq!(collected(output), Some(28_765_658.0));
        assert_eq!(collected("valgrind: lookups: No such file\n"), None);
    }
}
