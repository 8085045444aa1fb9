//! What compiles for `wasm32-wasip1`: the pinned toolchain with rustup's target, else Debian's compiler with Debian's library.

use std::fmt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::{Result, clock, shell};

/// What Envoy's V8 runs. `wasm32-unknown-unknown` would be smaller still, but the filter could not read its environment there.
pub(crate) const TARGET: &str = "wasm32-wasip1";

/// A compiler with a library for [`TARGET`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Toolchain {
    /// The toolchain that builds everything else.
    Rustup,
    /// Debian's `rustc` and `libstd-rust-dev-wasm32`.
    Debian,
}

impl Toolchain {
    /// Finds one, or has rustup add the target.
    pub(crate) fn find() -> Result<Toolchain> {
        if has_library("rustc") {
            return Ok(Toolchain::Rustup);
        }
        let added = add_target();
        if has_library("rustc") {
            Ok(Toolchain::Rustup)
        } else if has_library(DEBIAN) {
            Ok(Toolchain::Debian)
        } else {
            let reason = added.err().map_or("it has no such target".into(), |error| error.to_string());
            Err(format!(
                "no compiler for {TARGET}\nrustup: {reason}\nhint: `rustup target add {TARGET}`, or Debian's rustc and libstd-rust-dev-wasm32"
            )
            .into())
        }
    }

    /// Has `cargo` build with it.
    pub(super) fn lend(self, cargo: &mut Command) {
        match self {
            Toolchain::Rustup => {}
            Toolchain::Debian => _ = cargo.env("RUSTC", DEBIAN),
        }
    }
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Toolchain::Rustup => "the pinned toolchain",
            Toolchain::Debian => "Debian's compiler",
        })
    }
}

/// Whether the compiler has the library; told by the compiler itself, which rustup may have installed or not.
fn has_library(rustc: &str) -> bool {
    let words = ["--print", "target-libdir", "--target", TARGET];
    let folder = shell::answer(&mut shell::command(rustc, words));
    folder.is_ok_and(|folder| Path::new(&folder).join("self-contained").is_dir())
}

fn add_target() -> Result<()> {
    println!("rustup target add {TARGET}");
    let mut add = shell::command("rustup", ["target", "add", TARGET]);
    add.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = add.spawn().map_err(|error| format!("cannot run it: {error}"))?;
    if !clock::within(ADDED_WITHIN, || !matches!(child.try_wait(), Ok(None))) {
        child.kill()?; // rustup installs in one step at the end: a download that is cut leaves nothing half done
        child.wait()?;
        return Err(format!("it took more than {ADDED_WITHIN:?}").into());
    }
    Ok(())
}

/// A download of 25 MB. Where the server cannot be reached at all, rustup would try for many minutes.
const ADDED_WITHIN: Duration = Duration::from_secs(60);

const DEBIAN: &str = "/usr/bin/rustc";
