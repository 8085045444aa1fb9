//! Tests with real peers and network namespaces: `sidecar/tests/net`, which plain `cargo test` leaves out.

use std::process::Command;

use super::dns;
use crate::packages::{self, Program};
use crate::report::Report;
use crate::{counts, shell, tools};

pub(crate) fn run(report: &mut Report) {
    const NAME: &str = "net: real peers";
    if !packages::is_root() {
        return report.skip(NAME, NEEDS_ROOT);
    }
    match packages::ensure(PROGRAMS).and_then(|()| tools::python()) {
        Ok(python) => {
            let mut tests = tests(&["--skip", dns::TESTS]);
            tests.env("SVCMESH_TEST_PYTHON", python);
            report.tests(NAME, tests, counts::cargo_test);
        }
        Err(error) => report.skip(NAME, &error.to_string()),
    }
}

/// Runs those that `filter` lets through.
pub(super) fn tests(filter: &[&str]) -> Command {
    let mut tests = shell::cargo(["test", "--package", "sidecar", "--test", "net"]);
    // The tests share two cores with the load they make: one after the other, each sees the machine it expects.
    tests.args(["--", "--test-threads=1"]).args(filter);
    tests
}

pub(super) const NEEDS_ROOT: &str = "network namespaces need root";

/// The peers and the programs that drive them.
pub(crate) const PROGRAMS: &[Program] = &[
    Program { name: "curl", package: "curl" },
    Program { name: "dnsmasq", package: "dnsmasq-base" },
    Program { name: "dnsperf", package: "dnsperf" },
    Program { name: "h2load", package: "nghttp2-client" },
    Program { name: "haproxy", package: "haproxy" },
    Program { name: "initdb", package: "postgresql" },
    Program { name: "ip", package: "iproute2" },
    Program { name: "kdig", package: "knot-dnsutils" },
    Program { name: "nft", package: "nftables" },
    Program { name: "nginx", package: "nginx-light" },
    Program { name: "/usr/lib/nginx/modules/ngx_stream_module.so", package: "libnginx-mod-stream" },
    Program { name: "promtool", package: "prometheus" },
    Program { name: "psql", package: "postgresql-client" },
    Program { name: "redis-cli", package: "redis-tools" },
    Program { name: "redis-server", package: "redis-server" },
    Program { name: "setpriv", package: "util-linux" },
    Program { name: "wrk", package: "wrk" },
];
