//! Tests that need nothing but the machine they run on.

use crate::report::Report;
use crate::{counts, shell};

pub(crate) fn run(report: &mut Report) {
    report.tests(
        "unit: cargo test",
        shell::cargo(["test", "--workspace", "--no-fail-fast"]),
        counts::cargo_test,
    );
}
