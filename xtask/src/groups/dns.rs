//! Tests with real name servers: the part of `sidecar/tests/net` that is called so.

use super::net;
use crate::packages::{self, Program};
use crate::report::Report;

pub(crate) fn run(report: &mut Report) {
    const NAME: &str = "dns: real name servers";
    if !packages::is_root() {
        return report.skip(NAME, net::NEEDS_ROOT);
    }
    match packages::ensure(PROGRAMS) {
        Ok(()) => {
            let these = format!("test(/^{TESTS}/)");
            report.nextest(NAME, &[net::TESTS, &["-E", &these]].concat(), |_| {});
        }
        Err(error) => report.skip(NAME, &error.to_string()),
    }
}

/// Those tests, by how their names begin.
pub(crate) const TESTS: &str = "dns::";

/// The name server, and what these tests drive beside it.
pub(crate) const PROGRAMS: &[Program] = &[
    Program { name: "curl", package: "curl" },
    Program { name: "dnsmasq", package: "dnsmasq-base" },
    Program { name: "ip", package: "iproute2" },
    Program { name: "nginx", package: "nginx-light" },
    Program { name: "setpriv", package: "util-linux" },
    Program { name: "wrk", package: "wrk" },
];
