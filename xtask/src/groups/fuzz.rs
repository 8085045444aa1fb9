//! The fuzz targets of `fuzz/`: every committed input is replayed; where a nightly toolchain is installed, new ones are tried
//! for a short while.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use crate::counts::Tally;
use crate::report::Report;
use crate::{Result, place, shell};

pub(crate) fn run(report: &mut Report) {
    let targets = match targets() {
        Ok(targets) => targets,
        Err(error) => return report.skip("fuzz: replay", &format!("cannot list `{TARGETS}`: {error}")),
    };
    let nightly = shell::run(shell::command("cargo-fuzz", ["--version"])).success && nightly_is_installed();
    if report.attempt("fuzz: build", build).is_none() {
        return;
    }
    for target in targets {
        report.tests(&format!("fuzz: replay {target}"), replay(&target), inputs_replayed);
        if nightly {
            let found = place::cache().join("fuzz").join(&target);
            match fs::create_dir_all(&found) {
                Ok(()) => report.check(&format!("fuzz: search {target}"), search(&target, &found)),
                Err(error) => report.skip(&format!("fuzz: search {target}"), &error.to_string()),
            }
        }
    }
    generated_streams(report);
    if !nightly {
        println!(
            "fuzz: only replayed, for want of cargo-fuzz and a nightly toolchain (which the search for new inputs needs)"
        );
    }
}

/// Request streams between recording peers: `sidecar/tests/differential`. `SVCMESH_TEST_STREAMS` and `SVCMESH_TEST_SEED` make it a longer
/// search, or repeat one.
fn generated_streams(report: &mut Report) {
    let strict = report.strict();
    report.nextest("fuzz: generated streams", &["--workspace", "--test", "differential"], |tests| {
        if strict {
            tests.env("SVCMESH_TEST_STREAMS", STRICT_STREAMS);
        }
    });
}

/// Two minutes of two cores, and the same ones each time. A search is longer, and begins elsewhere.
const STRICT_STREAMS: &str = "200000";

/// The names of the targets, in order.
fn targets() -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(place::root().join(TARGETS))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            names.extend(path.file_stem().map(|stem| stem.display().to_string()));
        }
    }
    names.sort_unstable();
    Ok(names)
}

const TARGETS: &str = "fuzz/fuzz_targets";

/// All of them, by the ordinary toolchain: without the compiler's help libFuzzer cannot search, but it can replay.
fn build() -> Result<()> {
    let mut build = shell::cargo(["build", "--quiet", "--manifest-path", "fuzz/Cargo.toml", "--bins"]);
    shell::answer(build.arg("--target-dir").arg(place::target()))?;
    Ok(())
}

fn replay(target: &str) -> Command {
    let mut command = shell::command(place::target().join("debug").join(target), ["-runs=0"]);
    command.arg(format!("fuzz/corpus/{target}"));
    command
}

/// What it finds stays in the cache folder; an input that is worth keeping is committed by hand, under a name that says why.
fn search(target: &str, found: &Path) -> Command {
    let mut command = shell::cargo(["+nightly", "fuzz", "run", "--sanitizer=none", target]); // no unsafe code to sanitize
    command.arg(found).arg(format!("fuzz/corpus/{target}")).args(["--", SEARCH_TIME, "-timeout=10"]);
    command
}

/// Long enough to find what a change just broke; real campaigns run for hours, elsewhere.
const SEARCH_TIME: &str = "-max_total_time=20";

/// `INFO: seed corpus: files: 31 min: …`; libFuzzer stops at the first input that fails.
fn inputs_replayed(output: &str) -> Tally {
    let files = output.split("seed corpus: files: ").nth(1).and_then(|rest| rest.split(' ').next());
    Tally::passed(files.and_then(|files| files.parse().ok()).unwrap_or(0))
}

fn nightly_is_installed() -> bool {
    shell::run(shell::command("cargo", ["+nightly", "--version"])).success
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inputs_are_counted_from_what_libfuzzer_says() {
        let output = "INFO: Seed: 1\nINFO:       31 files found in fuzz/corpus/x\n\
            INFO: seed corpus: files: 31 min: 1b max: 512b total: 4000b rss: 30Mb\nDone 32 runs in 0 second(s)\n";
        assert_eq!(inputs_replayed(output), Tally::passed(31));
    }
}
