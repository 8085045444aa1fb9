//! Programs that come from Debian's packages.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::{Result, place, shell};

/// A program, or a file by its whole path, and the Debian package it comes in.
pub(crate) struct Program {
    pub(crate) name: &'static str,
    pub(crate) package: &'static str,
}

/// Sees to it that all of `programs` are there: installs what is missing when it may, names it otherwise.
pub(crate) fn ensure(programs: &[Program]) -> Result<()> {
    let missing = missing(programs);
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(" ");
    if !is_root() || find("apt-get").is_none() {
        return Err(format!("missing: {names}\nhint: as root, apt-get install {names}").into());
    }
    println!("installing {names}");
    install(&missing)?;
    match self::missing(programs).as_slice() {
        [] => Ok(()),
        still => Err(format!("still missing after their installation: {}", still.join(" ")).into()),
    }
}

/// Finds a program by its name: in the path, the `sbin`s, or where Debian keeps PostgreSQL's servers.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let servers = versions.map(|version| version.path().join("bin"));
    place::program_folders()
        .into_iter()
        .chain(servers)
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
}

/// Whether we may install packages and make network namespaces.
pub(crate) fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

fn missing(programs: &[Program]) -> Vec<&'static str> {
    let mut packages: Vec<&str> = programs
        .iter()
        .filter(|program| find(program.name).is_none())
        .map(|program| program.package)
        .collect();
    packages.sort_unstable();
    packages.dedup();
    packages
}

fn install(packages: &[&str]) -> Result<()> {
    let _quiet = NoServices::new()?;
    apt_get(&["update"])?;
    let mut arguments = vec!["install", "--yes", "--no-install-recommends"];
    arguments.extend(packages);
    apt_get(&arguments)
}

fn apt_get(arguments: &[&str]) -> Result<()> {
    let mut command = shell::command("apt-get", ["-qq"]);
    let finished = shell::run({
        command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
        command
    });
    if finished.success {
        return Ok(());
    }
    Err(format!("`apt-get {}` failed:\n{}", arguments.join(" "), finished.output).into())
}

/// While it lives, packages install without starting their services: an nginx on port 80 or a second PostgreSQL would
/// disturb the tests, and the machine. A policy that is there already stays.
struct NoServices {
    ours: bool,
}

impl NoServices {
    fn new() -> io::Result<NoServices> {
        let ours = !Path::new(POLICY).exists();
        if ours {
            fs::write(POLICY, "#!/bin/sh\nexit 101\n")?; // 101: action forbidden by policy, see invoke-rc.d(8)
            fs::set_permissions(POLICY, Permissions::from_mode(0o755))?;
        }
        Ok(NoServices { ours })
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if self.ours {
            let _gone = fs::remove_file(POLICY);
        }
    }
}

const POLICY: &str = "/usr/sbin/policy-rc.d";
