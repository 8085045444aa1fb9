//! What watching the API costs the API server, and the sidecar that watches: `testing/cluster/examples/api_cost` measures, this prepares.

use std::fs;
use std::path::Path;

use super::ip;
use crate::packages::Program;
use crate::{Result, kube, place, shell};

/// How many watch at once, as the program reads it.
pub(super) const WATCHERS: &str = "1,50,300";

/// Builds what measures, and finds or builds the control plane.
pub(super) fn prepare() -> Result<()> {
    kube::assets()?;
    eprintln!("building the watchers (some minutes the first time)");
    let arguments = ["build", "--release", "--package", "svc-cluster", "--example", "api_cost"];
    let status = shell::cargo(arguments).status()?;
    if status.success() { Ok(()) } else { Err("the watchers do not build".into()) }
}

/// Measures and prints, in a namespace that has nothing but its loopback interface. Whether the bounds hold.
pub(super) fn run(folder: &Path, watchers: &str) -> Result<bool> {
    let home = folder.join("api");
    let _none = fs::remove_dir_all(&home);
    for address in [NODE, HOST] {
        ip(&["address", "add", address, "dev", "lo"])?;
    }
    ip(&["route", "add", "local", ENDPOINTS, "dev", "lo"])?;
    let release = place::target().join("release");
    let status = shell::command("setpriv", ["--pdeathsig=KILL"])
        .arg(release.join("examples/api_cost"))
        .args(["measure", "--watchers", watchers, "--assets"])
        .arg(kube::assets()?)
        .arg("--home")
        .arg(&home)
        .arg("--sidecar")
        .arg(release.join("sidecar"))
        .status()?;
    fs::remove_dir_all(&home)?;
    Ok(status.success())
}

/// Where the API server answers for its administrator, and for watchers.
const NODE: &str = "10.244.0.1/32";
const HOST: &str = "10.96.0.1/32";

/// Where all endpoints are.
const ENDPOINTS: &str = "11.0.0.0/8";

/// What the measurement runs.
pub(super) const PROGRAMS: &[Program] =
    &[Program { name: "ss", package: "iproute2" }, Program { name: "setpriv", package: "util-linux" }];
