//! What compiles for `wasm32-wasip1`: the pinned toolchain, else Debian's compiler.

use std::fmt;
use std::process::Command;

use super::sysroot::Sysroot;
use super::{debian, rustup};
use crate::Result;

/// What Envoy's V8 runs. `wasm32-unknown-unknown` would be smaller still, but the filter could not read its environment there.
pub(crate) const TARGET: &str = "wasm32-wasip1";

/// Where a toolchain comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// The toolchain that builds everything else.
    Rustup,
    /// Debian's newest compiler.
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

/// A compiler with a library for [`TARGET`].
pub(crate) struct Toolchain {
    way: Way,
    sysroot: Sysroot,
}

impl Toolchain {
    /// Finds one, or installs it; only by `way` where that is given.
    pub(crate) fn find(way: Option<Way>) -> Result<Toolchain> {
        if let Some(way) = way {
            return Toolchain::by(way);
        }
        Toolchain::by(Way::Rustup).or_else(|of_rustup| {
            Toolchain::by(Way::Debian).map_err(|of_debian| {
                format!("no compiler for {TARGET}\nrustup: {of_rustup}\nDebian: {of_debian}").into()
            })
        })
    }

    fn by(way: Way) -> Result<Toolchain> {
        let sysroot = match way {
            Way::Rustup => rustup::ensure(),
            Way::Debian => debian::ensure(),
        };
        Ok(Toolchain { way, sysroot: sysroot? })
    }

    /// Where it comes from.
    pub(crate) fn way(&self) -> Way {
        self.way
    }

    /// Has `cargo` build with it.
    pub(crate) fn lend<'a>(&self, cargo: &'a mut Command) -> &'a mut Command {
        self.sysroot.lend(cargo)
    }
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let compiler = match self.way {
            Way::Rustup => "the pinned toolchain",
            Way::Debian => "Debian's compiler",
        };
        write!(f, "{compiler} with {}", self.sysroot.folder().display())
    }
}
