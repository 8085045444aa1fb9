//! What was checked, a line a step, and the sum at the end.

use std::io::{self, Write as _};
use std::process::{Command, ExitCode};

use crate::Result;
use crate::clock::now;
use crate::counts::Tally;
use crate::shell::{self, Finished};

/// The sum of all steps so far.
pub(crate) struct Report {
    tally: Tally,
    strict: bool,
}

impl Report {
    /// `strict`: what could not run has failed.
    pub(crate) fn new(strict: bool) -> Report {
        Report { tally: Tally::default(), strict }
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

    /// Says what could not run, and why.
    pub(crate) fn skip(&mut self, what: &str, why: &str) {
        println!("{what:STEP_WIDTH$} not run: {why}");
        self.add(Tally::skipped(1));
    }

    /// Prints the sum, alone on the last line.
    pub(crate) fn finish(self) -> ExitCode {
        println!("{}", self.tally);
        if self.tally.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    fn step(&mut self, what: &str, run: impl FnOnce() -> (Tally, String)) {
        print!("{what:STEP_WIDTH$} ");
        io::stdout().flush().expect("whoever reads the report is still there");
        let start = now();
        let (tally, output) = run();
        let seconds = (now() - start).as_secs_f64();
        match tally {
            Tally { failed: 0, passed: 0, skipped: 1.. } => println!("not run: {output}"),
            Tally { failed: 0, .. } => println!("ok     {seconds:6.1} s  {tally}"),
            Tally { .. } => println!("FAILED {seconds:6.1} s  {tally}\n{}", output.trim_end()),
        }
        self.add(tally);
    }

    fn add(&mut self, tally: Tally) {
        self.tally += if self.strict { tally.strictly() } else { tally };
    }
}

/// The longest name of a step, so that the verdicts stand in one column.
const STEP_WIDTH: usize = 36;
