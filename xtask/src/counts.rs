//! How many tests ran, as the harnesses themselves say.

use std::fmt;
use std::ops::AddAssign;

/// Tests by how they ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

impl Tally {
    pub(crate) fn passed(passed: u64) -> Tally {
        Tally { passed, ..Tally::default() }
    }

    pub(crate) fn failed(failed: u64) -> Tally {
        Tally { failed, ..Tally::default() }
    }

    pub(crate) fn skipped(skipped: u64) -> Tally {
        Tally { skipped, ..Tally::default() }
    }

    /// The same with every skipped test counted as failed.
    pub(crate) fn strictly(self) -> Tally {
        Tally { failed: self.failed + self.skipped, skipped: 0, ..self }
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, more: Tally) {
        self.passed += more.passed;
        self.failed += more.failed;
        self.skipped += more.skipped;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

/// Reads the last line that cargo-nextest says of a run: `Summary [   4.2s] 5/7 tests run: 3 passed (1 slow), 1 failed, 1 timed out, 9 skipped`.
/// Those that it calls skipped are those that nobody asked for. A test that was not run, because the run was cut, has not passed.
pub(crate) fn nextest(output: &str) -> Tally {
    let Some(line) = output.lines().rfind(|line| line.trim_start().starts_with("Summary [")) else {
        return Tally::default();
    };
    let asked = line.split(" test").next().and_then(|head| head.rsplit([' ', '/']).next());
    let asked: u64 = asked.and_then(|digits| digits.parse().ok()).unwrap_or(0);
    let passed = number_before(line, " passed");
    Tally { passed, failed: asked.saturating_sub(passed), skipped: 0 }
}

fn number_before(line: &str, word: &str) -> u64 {
    let digits = line.split(word).next().and_then(|head| head.rsplit(' ').next());
    digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_not_passed_has_failed() {
        let summary = |text: &str| {
            nextest(&format!(
                "    Finished `test` profile\n     Summary [   4.2s] {text}\n        FAIL [ 1s] a b\n"
            ))
        };
        let all = summary("1238 tests run: 1237 passed (1 slow), 1 failed, 5 skipped");
        assert_eq!(all, Tally { passed: 1237, failed: 1, skipped: 0 });
        assert_eq!(summary("1 test run: 1 passed, 0 skipped"), Tally::passed(1));
        let some = summary("5/7 tests run: 3 passed, 1 failed, 1 timed out, 9 skipped");
        assert_eq!(some, Tally { passed: 3, failed: 4, skipped: 0 });
    }

    #[test]
    fn a_harness_that_did_not_compile_counts_nothing() {
        assert_eq!(nextest("error[E0425]: cannot find value `x`, 3 passed by\n"), Tally::default());
    }

    #[test]
    fn strictly_a_skip_is_a_failure() {
        let tally = Tally { passed: 5, failed: 1, skipped: 2 };
        assert_eq!(tally.strictly().to_string(), "5 passed, 3 failed, 0 skipped");
    }
}
