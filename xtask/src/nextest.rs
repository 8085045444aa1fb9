//! Tests by cargo-nextest: each in a process of its own, with the time-outs of `.config/nextest.toml`.

use std::process::Command;

use crate::{Result, shell, tools};

/// Runs the tests that `arguments` choose, all of them even where one fails.
pub(crate) fn run(arguments: &[&str]) -> Result<Command> {
    let mut command = shell::command(tools::CARGO_NEXTEST.find()?, ["nextest", "run"]);
    command.args(["--no-fail-fast", "--color", "never", "--show-progress", "none"]);
    command.args(["--status-level", "slow", "--final-status-level", "slow"]).args(arguments);
    Ok(command)
}

/// The tests of the list at the end of a run that have this `verdict`, each with the time it took.
fn listed<'a>(output: &'a str, verdict: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
    let list = output.rsplit_once("Summary [").map_or("", |(_, list)| list);
    list.lines().filter_map(move |line| {
        let (time, name) = line.trim_start().strip_prefix(verdict)?.strip_prefix(" [")?.split_once(']')?;
        let name = name.rsplit_once(") ").map_or(name, |(_, name)| name); // behind its number
        Some((name.trim(), time.trim()))
    })
}

/// Those that have failed; of those that were too slow, that they were.
pub(crate) fn failed(output: &str) -> Vec<String> {
    let verdicts = ["FAIL", "TIMEOUT", "ABORT", "SIGABRT", "SIGSEGV", "SIGKILL", "SIGTERM", "XFAIL"];
    let named = verdicts.into_iter().flat_map(|verdict| {
        listed(output, verdict).map(move |(name, time)| match verdict {
            "FAIL" => name.to_owned(),
            "TIMEOUT" => format!("{name} (too slow: {time})"),
            _ => format!("{name} ({verdict})"),
        })
    });
    named.collect()
}

/// Those that passed and took long.
pub(crate) fn slow(output: &str) -> Vec<String> {
    listed(output, "SLOW").map(|(name, time)| format!("{name} ({time})")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "    Starting 4 tests across 2 binaries\n        FAIL [   0.5s] (1/4) sidecar::http health::a\n\
        \x20     Summary [   9.1s] 4 tests run: 1 passed (1 slow), 1 failed, 1 timed out, 7 skipped\n\
        \x20       SLOW [  95.592s] ( 1/4) sidecar::http memory::b\n        FAIL [   0.519s] (3/4) sidecar::http health::a\n\
        \x20    TIMEOUT [ 120.004s] (4/4) svc-core time::c\n     SIGABRT [   0.004s] (2/4) svc-core time::d\nerror: test run failed\n";

    #[test]
    fn what_failed_is_named_and_what_was_too_slow_is_called_so() {
        let expected = [
            "sidecar::http health::a",
            "svc-core time::c (too slow: 120.004s)",
            "svc-core time::d (SIGABRT)",
        ];
        assert_eq!(failed(OUTPUT), expected);
        assert_eq!(failed("error: could not compile `sidecar`\n"), [""; 0]);
    }

    #[test]
    fn what_took_long_and_passed_is_named_with_its_time() {
        assert_eq!(slow(OUTPUT), ["sidecar::http memory::b (95.592s)"]);
    }
}
