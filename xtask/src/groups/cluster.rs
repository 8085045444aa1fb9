//! Tests with a real API server: the part of `sidecar/tests/net` that is called so, and pods as containers on it.

use super::net;
use crate::packages::{self, Program};
use crate::report::Report;
use crate::{cluster, kube, tools};

pub(crate) fn run(report: &mut Report) {
    const NAME: &str = "cluster: a real API server, and pods as containers";
    if !packages::is_root() {
        return report.skip(NAME, net::NEEDS_ROOT);
    }
    if packages::find("kubectl").is_none() {
        return report.skip(NAME, "missing: kubectl");
    }
    let programs = packages::ensure(cluster::PROGRAMS).and_then(|()| packages::ensure(CLIENTS));
    let parts = programs.and_then(|()| Ok((tools::python()?, kube::assets()?)));
    match parts {
        Ok((python, assets)) => {
            let these = format!("test(/^{TESTS}/) | package(svc-cluster) | package(kubectl-svc)");
            report.nextest(
                NAME,
                &[net::TESTS, &["--test", "pods", "--test", "commands", "-E", &these]].concat(),
                |tests| {
                    tests.env("KUBEBUILDER_ASSETS", assets).env("SVCMESH_TEST_PYTHON", python);
                },
            );
        }
        Err(error) => report.skip(NAME, &error.to_string()),
    }
}

/// The tests of `sidecar/tests/net` with an API server, by how their names begin (a regular expression).
pub(crate) const TESTS: &str = "(kubernetes|pods)::";

const CLIENTS: &[Program] = &[Program { name: "curl", package: "curl" }];
