//! Debian's compiler for Firefox and Chromium (`rustc-web`), on Debian's C library for WASI. Its standard library for Wasm is one that Debian
//! does not build, but has the sources of.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::sysroot::{Compiler, Sysroot};
use crate::packages::{self, Program};
use crate::{Result, shell};

/// Finds it and its library, or installs the one and makes the other.
pub(super) fn ensure() -> Result<Sysroot> {
    packages::ensure(PROGRAMS)?;
    let version = shell::answer(&mut shell::command("dpkg-query", ["-Wf", "${Version}", "rustc-web"]))?;
    let compiler = Compiler {
        name: format!("debian-{version}"),
        program: Some("/usr/bin/rustc"),
        c_library: "/usr/lib/wasm32-wasi".into(),
    };
    Sysroot::ensure(compiler, |build| unpack(&version, build))
}

/// Unpacks the sources of the library, a fifth of the compiler's, below the empty folder `build`.
fn unpack(version: &str, build: &Path) -> Result<PathBuf> {
    let archive = packages::download(&format!("rust-web-src={version}"), build)?;
    let mut open =
        Command::new("dpkg-deb").arg("--fsys-tarfile").arg(&archive).stdout(Stdio::piped()).spawn()?;
    let mut tar = Command::new("tar");
    tar.current_dir(build).args(["-x", "--strip-components=4", "--wildcards", "./usr/src/rustc-*/library/*"]);
    shell::answer(tar.stdin(open.stdout.take().ok_or("`dpkg-deb` has no output")?))?;
    if !open.wait()?.success() {
        return Err(format!("cannot unpack `{}`", archive.display()).into());
    }
    fs::remove_file(archive)?;
    Ok(build.join("library"))
}

/// By files that no other package has.
const PROGRAMS: &[Program] = &[
    Program { name: "/var/lib/dpkg/info/rustc-web.list", package: "rustc-web" },
    Program { name: "/usr/lib/wasm32-wasi/libc.a", package: "wasi-libc" },
];
