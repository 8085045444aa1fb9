//! The inner loop: what most mistakes are found by, in a minute or two.

use super::lint;
use crate::report::Report;

pub(crate) fn run(report: &mut Report) {
    lint::form(report);
    report.nextest("quick: unit tests", &["--workspace", "--lib", "--bins"], |_| {});
}
