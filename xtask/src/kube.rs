//! The control plane of the tests: etcd, kube-apiserver and kube-controller-manager.

use std::path::PathBuf;

use crate::packages::{self, Program};
use crate::{Result, place, shell};

/// The folder with the three programs: what `KUBEBUILDER_ASSETS` names, as envtest has it; else built once from Debian's sources.
pub(crate) fn assets() -> Result<PathBuf> {
    if let Some(named) = place::kubebuilder_assets() {
        let missing = PROGRAMS.iter().find(|program| !named.join(program).is_file());
        return match missing {
            None => Ok(named),
            Some(program) => {
                Err(format!("no `{program}` in `{}` (KUBEBUILDER_ASSETS)", named.display()).into())
            }
        };
    }
    let home = place::cache().join("kube");
    let built = home.join("bin");
    if !PROGRAMS.iter().all(|program| built.join(program).is_file()) {
        packages::ensure(NEEDED)?;
        println!("building a Kubernetes control plane from Debian's sources (4 to 10 minutes, once)");
    }
    let recipe = place::root().join("testing/kube/build.sh");
    shell::answer(shell::command("bash", []).arg(recipe).arg(&home))?; // at once where it is of this recipe
    Ok(built)
}

const PROGRAMS: [&str; 3] = ["etcd", "kube-apiserver", "kube-controller-manager"];

/// What the recipe needs, beside apt.
const NEEDED: &[Program] = &[
    Program { name: "dpkg-source", package: "dpkg-dev" },
    Program { name: "python3", package: "python3" },
    Program { name: "xz", package: "xz-utils" },
];
