//! Tests with real peers and network namespaces: `sidecar/tests/net`, which plain `cargo test` leaves out.

use crate::packages::{self, Program};
use crate::report::Report;
use crate::{counts, shell, tools};

pub(crate) fn run(report: &mut Report) {
    if !packages::is_root() {
        return report.skip("net: real peers", "network namespaces need root");
    }
    let python = packages::ensure(PROGRAMS).and_then(|()| tools::python());
    let python = match python {
        Ok(python) => python,
        Err(error) => return report.skip("net: real peers", &error.to_string()),
    };
    let mut tests = shell::cargo(["test", "--package", "sidecar", "--test", "net"]);
    // The tests share two cores with the load they make: one after the other, each sees the machine it expects.
    tests.args(["--", "--test-threads=1"]).env("SVCMESH_TEST_PYTHON", python);
    report.tests("net: real peers", tests, counts::cargo_test);
}

/// The peers and the programs that drive them.
pub(crate) const PROGRAMS: &[Program] = &[
    Program { name: "curl", package: "curl" },
    Program { name: "h2load", package: "nghttp2-client" },
    Program { name: "initdb", package: "postgresql" },
    Program { name: "ip", package: "iproute2" },
    Program { name: "nft", package: "nftables" },
    Program { name: "nginx", package: "nginx-light" },
    Program { name: "psql", package: "postgresql-client" },
    Program { name: "redis-cli", package: "redis-tools" },
    Program { name: "redis-server", package: "redis-server" },
    Program { name: "setpriv", package: "util-linux" },
    Program { name: "wrk", package: "wrk" },
];
