//! What was checked, a line a step, and at the end what did not pass and the sum.

use std::process::{Command, ExitCode};

use crate::Result;
use crate::clock::now;
use crate::counts::{self, Tally};
use crate::progress::{Progress, STEP_WIDTH};
use crate::shell::{self, Finished};
use crate::spent::Spent;
use crate::{failed, nextest};

/// The sum of all steps so far.
pub(crate) struct Report {
    tally: Tally,
    strict: bool,
    /// The steps that failed, each with the tests in it that did.
    failed: Vec<String>,
    /// Those that could not run, each with the reason. Strictly they have failed.
    skipped: Vec<String>,
    /// What each group cost.
    spent: Vec<(&'static str, Spent)>,
}

impl Report {
    /// `strict`: what could not run has failed.
    pub(crate) fn new(strict: bool) -> Report {
        Report { tally: Tally::default(), strict, failed: Vec::new(), skipped: Vec::new(), spent: Vec::new() }
    }

    /// Whether what cannot run is a failure.
    pub(crate) fn strict(&self) -> bool {
        self.strict
    }

    /// Runs a check that passes or fails as a whole.
    pub(crate) fn check(&mut self, what: &str, command: Command) {
        self.check_or_skip(what, command, |_| None);
    }

    /// Runs a check whose failure may mean that it could not be made: `excuse` reads the reason from its output.
    pub(crate) fn check_or_skip(
        &mut self,
        what: &str,
        command: Command,
        excuse: fn(&str) -> Option<&'static str>,
    ) {
        self.step(what, || {
            let Finished { success, output } = shell::run(command);
            match excuse(&output) {
                _ if success => (Tally::passed(1), output),
                None => (Tally::failed(1), output),
                Some(reason) => (Tally::skipped(1), reason.to_owned()),
            }
        });
    }

    /// Makes something that later checks need: it is there, or the step has failed.
    pub(crate) fn attempt<T>(&mut self, what: &str, make: impl FnOnce() -> Result<T>) -> Option<T> {
        let mut made = None;
        self.step(what, || match make() {
            Ok(value) => {
                made = Some(value);
                (Tally::passed(1), String::new())
            }
            Err(error) => (Tally::failed(1), error.to_string()),
        });
        made
    }

    /// Runs a harness that prints how many tests it ran. One that failed without a failed test (it did not compile, or it
    /// crashed) counts as one failure.
    pub(crate) fn tests(&mut self, what: &str, command: Command, count: fn(&str) -> Tally) {
        self.step(what, || {
            let Finished { success, output } = shell::run(command);
            let mut tally = count(&output);
            if !success && tally.failed == 0 {
                tally.failed = 1;
            }
            (tally, output)
        });
    }

    /// Runs tests by cargo-nextest: those that `arguments` choose, in a command that `prepare` completes.
    pub(crate) fn nextest(&mut self, what: &str, arguments: &[&str], prepare: impl FnOnce(&mut Command)) {
        match nextest::run(arguments) {
            Ok(mut command) => {
                prepare(&mut command);
                self.tests(what, command, counts::nextest);
            }
            Err(error) => self.skip(what, &error.to_string()),
        }
    }

    /// Keeps what a group cost for the end.
    pub(crate) fn spent(&mut self, group: &'static str, spent: Spent) {
        self.spent.push((group, spent));
    }

    /// Says what could not run, and why.
    pub(crate) fn skip(&mut self, what: &str, why: &str) {
        self.end(what, Tally::skipped(1), 0.0, why);
    }

    /// Prints what did not pass, and the sum, alone on the last line.
    pub(crate) fn finish(self) -> ExitCode {
        print!("{}", self.summary());
        if self.tally.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    fn summary(&self) -> String {
        let lines = |word: &str, steps: &[String]| {
            steps.iter().map(|step| format!("{word} {step}\n")).collect::<String>()
        };
        let (failed, skipped) = (lines("failed: ", &self.failed), lines("skipped:", &self.skipped));
        let spent =
            self.spent.iter().map(|(group, spent)| format!("{group:8} {spent}\n")).collect::<String>();
        format!("{spent}{failed}{skipped}{}\n", self.tally)
    }

    fn step(&mut self, what: &str, run: impl FnOnce() -> (Tally, String)) {
        let start = now();
        let (tally, output) = {
            let _shown = Progress::begin(what);
            run()
        };
        self.end(what, tally, (now() - start).as_secs_f64(), &output);
    }

    /// Prints how a step ended, and keeps that for the end.
    fn end(&mut self, what: &str, tally: Tally, seconds: f64, output: &str) {
        let verdict = match tally {
            Tally { failed: 0, passed: 0, skipped: 1.. } => format!("not run: {output}"),
            Tally { failed: 0, .. } => format!("ok     {seconds:6.1} s  {tally}"),
            Tally { .. } => format!("FAILED {seconds:6.1} s  {tally}\n{}", failed::part(output)),
        };
        println!("{what:STEP_WIDTH$} {verdict}");
        for slow in nextest::slow(output) {
            println!("    slow: {slow}");
        }
        self.note(what, tally, output);
        self.tally += if self.strict { tally.strictly() } else { tally };
    }

    fn note(&mut self, what: &str, tally: Tally, output: &str) {
        if tally.failed > 0 {
            let tests = nextest::failed(output);
            let tests = if tests.is_empty() { String::new() } else { format!(": {}", tests.join(" ")) };
            self.failed.push(format!("{what}{tests}"));
        }
        let skipped = match tally {
            Tally { skipped: 0, .. } => return,
            Tally { failed: 0, passed: 0, .. } => {
                format!("{what}: {}", output.lines().next().unwrap_or_default())
            }
            Tally { skipped, .. } => format!("{what}: {skipped} of its tests"),
        };
        let steps = if self.strict { &mut self.failed } else { &mut self.skipped };
        steps.push(skipped);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_and_what_was_skipped_is_named_before_the_sum() {
        let mut report = Report::new(false);
        report.end("lint: rustfmt", Tally::passed(1), 0.1, "");
        report.end(
            "unit: cargo test",
            Tally { passed: 5, failed: 1, skipped: 2 },
            0.1,
            "     Summary [ 1s] 6 tests run: 5 passed, 1 timed out\n     TIMEOUT [ 120.0s] (6/6) a b::c\n",
        );
        report.spent("lint", Spent::default());
        report.skip("net: real peers", "network namespaces need root\nhint: sudo");
        let expected = "lint       0.0 min,   0.0 min of CPU\nfailed:  unit: cargo test: a b::c (too slow: 120.0s)\nskipped: unit: cargo test: 2 of its tests\n\
                        skipped: net: real peers: network namespaces need root\n6 passed, 1 failed, 3 skipped\n";
        assert_eq!(report.summary(), expected);
    }

    #[test]
    fn strictly_what_was_skipped_is_named_among_what_failed() {
        let mut report = Report::new(true);
        report.skip("net: real peers", "network namespaces need root");
        let expected =
            "failed:  net: real peers: network namespaces need root\n0 passed, 1 failed, 0 skipped\n";
        assert_eq!(report.summary(), expected);
    }

    #[test]
    fn nothing_stands_before_the_sum_where_all_passed() {
        let mut report = Report::new(true);
        report.end("lint: rustfmt", Tally::passed(1), 0.1, "");
        assert_eq!(report.summary(), "1 passed, 0 failed, 0 skipped\n");
    }
}
