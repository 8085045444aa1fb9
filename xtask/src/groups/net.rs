//! Tests with real peers and network namespaces: `sidecar/tests/net`, which plain `cargo test` leaves out.

use std::fs;
use std::path::Path;

use super::{cluster, dns};
use crate::packages::{self, Program};
use crate::report::Report;
use crate::{shell, tools};

pub(crate) fn run(report: &mut Report) {
    const NAME: &str = "net: real peers";
    if !packages::is_root() {
        return report.skip(NAME, NEEDS_ROOT);
    }
    match packages::ensure(PROGRAMS).and_then(|()| tools::python()) {
        Ok(python) => {
            sweep();
            let others = format!("not test(/^({}|{})/)", dns::TESTS, cluster::TESTS);
            report.nextest(NAME, &[TESTS, &["-E", &others]].concat(), |tests| {
                tests.env("SVCMESH_TEST_PYTHON", python);
            });
        }
        Err(error) => report.skip(NAME, &error.to_string()),
    }
}

/// Where they are. In terms of the workspace: with `--package`, dependencies have fewer features, and all is built again.
pub(super) const TESTS: &[&str] = &["--workspace", "--test", "net"];

/// Removes the namespaces of tests that were killed, and could not do so themselves.
fn sweep() {
    for entry in fs::read_dir(NAMESPACES).into_iter().flatten().flatten() {
        let name = entry.file_name().display().to_string();
        let maker = name.strip_prefix("svcmesh-").and_then(|rest| rest.split('-').next());
        if maker.is_some_and(|maker| !Path::new("/proc").join(maker).exists()) {
            shell::run(shell::command("ip", ["netns", "delete", &name]));
        }
    }
}

/// Where `ip netns` keeps them.
const NAMESPACES: &str = "/run/netns";

pub(crate) const NEEDS_ROOT: &str = "network namespaces need root";

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
