//! Tests with a real API server: the part of `sidecar/tests/net` that is called so, and pods as containers on it.

use std::path::Path;

use super::net;
use crate::kube;
use crate::packages::{self, Program};
use crate::report::Report;

pub(crate) fn run(report: &mut Report) {
    const NAME: &str = "cluster: a real API server";
    if !packages::is_root() {
        return report.skip(NAME, net::NEEDS_ROOT);
    }
    if packages::find("kubectl").is_none() {
        return report.skip(NAME, "missing: kubectl");
    }
    match packages::ensure(PROGRAMS).and_then(|()| kube::assets()) {
        Ok(assets) => {
            let these = format!("test(/^{TESTS}/)");
            report.nextest(NAME, &[net::TESTS, &["-E", &these]].concat(), |tests| {
                tests.env("KUBEBUILDER_ASSETS", &assets);
            });
            run_pods(report, &assets);
        }
        Err(error) => report.skip(NAME, &error.to_string()),
    }
}

fn run_pods(report: &mut Report, assets: &Path) {
    const NAME: &str = "cluster: pods as containers";
    match packages::ensure(NODE_PROGRAMS) {
        Ok(()) => report.nextest(NAME, &["--workspace", "--test", "pods"], |tests| {
            tests.env("KUBEBUILDER_ASSETS", assets);
        }),
        Err(error) => report.skip(NAME, &error.to_string()),
    }
}

/// Those tests, by how their names begin.
pub(crate) const TESTS: &str = "kubernetes::";

const PROGRAMS: &[Program] =
    &[Program { name: "ip", package: "iproute2" }, Program { name: "setpriv", package: "util-linux" }];

/// What a node runs pods with, and what its images are made of.
const NODE_PROGRAMS: &[Program] = &[
    Program { name: "busybox", package: "busybox-static" },
    Program { name: "nft", package: "nftables" },
    Program { name: "nginx", package: "nginx-light" },
    Program { name: "runc", package: "runc" },
];
