//! What compiles for `wasm32-wasip1`: the pinned toolchain with rustup's target, else Debian's compiler.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::debian;
use crate::{Result, clock, shell};

/// What Envoy's V8 runs. `wasm32-unknown-unknown` would be smaller still, but the filter could not read its environment there.
pub(crate) const TARGET: &str = "wasm32-wasip1";

/// Where a toolchain comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// The toolchain that builds everything else, with one more target.
    Rustup,
    /// Debian's newest compiler, with its standard library built here.
    Debian,
}

impl Way {
    /// The way of that name.
    pub(crate) fn parse(name: &str) -> Result<Way> {
        match name {
            "rustup" => Ok(Way::Rustup),
            "debian" => Ok(Way::Debian),
            unknown => {
                Err(format!("unknown toolchain `{}`: rustup or debian", unknown.escape_debug()).into())
            }
        }
    }
}

/// A compiler that has [`TARGET`].
pub(crate) enum Toolchain {
    /// Cargo needs to be told nothing.
    Rustup,
    /// Cargo needs to be told all of it.
    Debian(debian::Sysroot),
}

impl Toolchain {
    /// Finds one, or installs it; only by `way` where that is given.
    pub(crate) fn find(way: Option<Way>) -> Result<Toolchain> {
        let rustup = || with_target().map(|()| Toolchain::Rustup);
        let debian = || debian::Sysroot::ensure().map(Toolchain::Debian);
        match way {
            Some(Way::Rustup) => rustup(),
            Some(Way::Debian) => debian(),
            None => rustup().or_else(|of_rustup| {
                debian().map_err(|of_debian| {
                    format!("no compiler for {TARGET}\nrustup: {of_rustup}\nDebian: {of_debian}").into()
                })
            }),
        }
    }

    /// Has `cargo` build with it.
    pub(crate) fn lend<'a>(&self, cargo: &'a mut Command) -> &'a mut Command {
        match self {
            Toolchain::Rustup => cargo,
            Toolchain::Debian(sysroot) => sysroot.lend(cargo),
        }
    }
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Toolchain::Rustup => f.write_str("the pinned toolchain's own target"),
            Toolchain::Debian(sysroot) => write!(f, "Debian's compiler with {}", sysroot.folder().display()),
        }
    }
}

/// Sees to it that the pinned toolchain has the target.
fn with_target() -> Result<()> {
    if has_target() {
        return Ok(());
    }
    println!("adding {TARGET} with rustup");
    let mut add = shell::command("rustup", ["target", "add", TARGET]);
    add.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = add.spawn().map_err(|error| format!("cannot run `rustup`: {error}"))?;
    if !clock::within(ADDED_WITHIN, || !matches!(child.try_wait(), Ok(None))) {
        child.kill()?; // rustup installs in one step at the end: a download that is cut leaves nothing half done
        child.wait()?;
        return Err(format!("`rustup target add {TARGET}` took more than {ADDED_WITHIN:?}").into());
    }
    if has_target() { Ok(()) } else { Err(format!("`rustup target add {TARGET}` failed").into()) }
}

/// A download of 25 MB. Where the server cannot be reached at all, rustup would try for many minutes.
const ADDED_WITHIN: Duration = Duration::from_secs(60);

/// Whoever installed it: asked of the compiler, not of rustup.
fn has_target() -> bool {
    let asked = ["--print", "target-libdir", "--target", TARGET];
    shell::answer(&mut shell::command("rustc", asked)).is_ok_and(|folder| has_library(&PathBuf::from(folder)))
}

/// Whether `folder` has the standard library.
pub(super) fn has_library(folder: &Path) -> bool {
    let is_std = |name: &str| name.starts_with("libstd-") && name.ends_with(".rlib");
    let mut entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.any(|entry| entry.file_name().to_str().is_some_and(is_std))
}
