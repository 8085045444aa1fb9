//! Tests that need nothing but the machine they run on.

use crate::report::Report;

pub(crate) fn run(report: &mut Report) {
    report.nextest("unit: tests", &["--workspace"], |_| {});
}
