//! Where things are: the sources, what cargo builds, and what is kept between runs.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// The folder of the workspace that cargo runs this in: where checkouts share a target folder, it may have been built in another.
pub(crate) fn root() -> &'static Path {
    static ROOT: LazyLock<PathBuf> = LazyLock::new(|| {
        let own = variable("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        own.parent().expect("xtask/ is a folder of the workspace").into()
    });
    &ROOT
}

/// Where cargo puts what it builds.
pub(crate) fn target() -> PathBuf {
    variable("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |path| root().join(path))
}

/// What is kept between runs: tools and the Python environment of the net tests.
pub(crate) fn cache() -> PathBuf {
    variable("XDG_CACHE_HOME")
        .or_else(|| variable("HOME").map(|home| home.join(".cache")))
        .unwrap_or_else(env::temp_dir)
        .join("svcmesh")
}

/// The folder of a control plane that is there already, by envtest's convention.
pub(crate) fn kubebuilder_assets() -> Option<PathBuf> {
    variable("KUBEBUILDER_ASSETS")
}

/// The folders in which programs are looked for. The `sbin`s are not in an ordinary user's path, and `ip` and `nft` live there.
pub(crate) fn program_folders() -> Vec<PathBuf> {
    let path = variable("PATH").unwrap_or_default();
    env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from)).collect()
}

#[expect(clippy::disallowed_methods, reason = "the one place where xtask reads the environment")]
fn variable(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}
