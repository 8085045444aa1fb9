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

/// Sums what `cargo test` printed: one `test result: ok. 3 passed; 0 failed; 1 ignored; …` per test binary.
pub(crate) fn cargo_test(output: &str) -> Tally {
    let mut sum = Tally::default();
    for line in output.lines().filter(|line| line.starts_with("test result: ")) {
        sum += Tally {
            passed: number_before(line, " passed"),
            failed: number_before(line, " failed"),
            skipped: number_before(line, " ignored"),
        };
    }
    sum
}

fn number_before(line: &str, word: &str) -> u64 {
    let digits = line.split(word).next().and_then(|head| head.rsplit(' ').next());
    digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_results_of_all_test_binaries_are_summed() {
        let output = "running 3 tests\n\
            test a::b ... ok\n\
            test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 4 filtered out; finished in 0.01s\n\
            test result: FAILED. 40 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1s\n";
        assert_eq!(cargo_test(output), Tally { passed: 42, failed: 3, skipped: 1 });
    }

    #[test]
    fn a_harness_that_did_not_compile_counts_nothing() {
        assert_eq!(cargo_test("error[E0425]: cannot find value `x`, 3 passed by\n"), Tally::default());
    }

    #[test]
    fn strictly_a_skip_is_a_failure() {
        let tally = Tally { passed: 5, failed: 1, skipped: 2 };
        assert_eq!(tally.strictly().to_string(), "5 passed, 3 failed, 0 skipped");
    }
}
