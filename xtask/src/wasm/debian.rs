//! Debian's compiler for Firefox and Chromium (`rustc-web`), with the standard library for Wasm that Debian does not build: made once
//! from Debian's own sources of exactly that compiler, on Debian's C library for WASI, and kept in the cache folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::toolchain::{TARGET, has_library};
use crate::packages::{self, Program};
use crate::{Result, place, shell};

/// Debian's compiler, and a folder with its library for [`TARGET`].
pub(crate) struct Sysroot {
    folder: PathBuf,
    linker: PathBuf,
}

impl Sysroot {
    /// Finds it in the cache folder, or makes it there, which takes two minutes.
    pub(super) fn ensure() -> Result<Sysroot> {
        packages::ensure(PROGRAMS)?;
        let version = shell::answer(&mut shell::command("dpkg-query", ["-Wf", "${Version}", "rustc-web"]))?;
        let home = place::cache().join("wasm");
        // A sysroot is of one compiler only: another version of it means another folder.
        let sysroot = Sysroot { folder: home.join(format!("sysroot-{version}")), linker: linker()? };
        if !sysroot.is_whole() {
            println!("building the standard library for {TARGET} (two minutes, once)");
            sysroot.make(&version, &home)?;
        }
        Ok(sysroot)
    }

    /// Where the library is.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Has `cargo` compile with it: what runs on this machine by the compiler's own library, the rest by ours.
    pub(super) fn lend<'a>(&self, cargo: &'a mut Command) -> &'a mut Command {
        let flags = format!("--sysroot={}", self.folder.display());
        self.lend_with(cargo, &flags)
    }

    fn lend_with<'a>(&self, cargo: &'a mut Command, flags: &str) -> &'a mut Command {
        for foreign in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET", "RUSTC_WRAPPER"] {
            cargo.env_remove(foreign);
        }
        cargo.env("RUSTC", COMPILER);
        cargo.env("CARGO_TARGET_WASM32_WASIP1_LINKER", &self.linker);
        cargo.env("CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS", flags)
    }

    /// The library is moved in last, when all of it is there.
    fn is_whole(&self) -> bool {
        has_library(&self.library())
    }

    fn library(&self) -> PathBuf {
        self.folder.join("lib/rustlib").join(TARGET).join("lib")
    }

    /// Builds everything beside the cache's folder and puts it into its place in one step.
    fn make(&self, version: &str, home: &Path) -> Result<()> {
        let build = home.join("build");
        let _old = fs::remove_dir_all(&build);
        let sources = unpack(version, &build)?;
        let library = build.join("lib");
        fs::create_dir_all(library.join("self-contained"))?;
        for file in ["libc.a", "crt1-command.o", "crt1-reactor.o"] {
            fs::copy(Path::new(C_LIBRARY).join(file), library.join("self-contained").join(file))?;
        }
        self.compile(&sources, &build)?;
        let compiled = build.join("target").join(TARGET).join("release/deps");
        for entry in fs::read_dir(&compiled)? {
            let path = entry?.path();
            if let (Some("rlib"), Some(name)) =
                (path.extension().and_then(|it| it.to_str()), path.file_name())
            {
                fs::copy(&path, library.join(name))?;
            }
        }
        let place = self.library();
        let _incomplete = fs::remove_dir_all(&place);
        fs::create_dir_all(place.parent().ok_or("a library's folder has a parent")?)?;
        fs::rename(library, place)?;
        Ok(fs::remove_dir_all(build)?)
    }

    fn compile(&self, sources: &Path, build: &Path) -> Result<()> {
        let mut cargo = Command::new("cargo");
        cargo.current_dir(sources).args(["build", "--quiet", "--release", "--locked", "--target", TARGET]);
        cargo.args(["--package", "std", "--package", "panic_abort", "--features", "std/panic-unwind"]);
        cargo.arg("--target-dir").arg(build.join("target"));
        cargo.env("RUSTC_BOOTSTRAP", "1"); // the library is written in the language's unstable parts
        // The same crates may be dependencies of programs: these must have symbols of their own.
        cargo.env("__CARGO_DEFAULT_LIB_METADATA", "svcmesh-std");
        // Without the first everybody would see the library's private dependencies; without the second there is no fat LTO.
        shell::answer(self.lend_with(&mut cargo, "-Zforce-unstable-if-unmarked -Cembed-bitcode=yes"))?;
        Ok(())
    }
}

/// Unpacks the sources of the library, a fifth of the compiler's, below `build`.
fn unpack(version: &str, build: &Path) -> Result<PathBuf> {
    fs::create_dir_all(build)?;
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

/// The linker that comes with the pinned toolchain. It knows Wasm, and takes what any compiler of its time makes.
fn linker() -> Result<PathBuf> {
    let sysroot = shell::answer(&mut shell::command("rustc", ["--print", "sysroot"]))?;
    let about = shell::answer(&mut shell::command("rustc", ["-vV"]))?;
    let host =
        about.lines().find_map(|line| line.strip_prefix("host: ")).ok_or("`rustc -vV` names no host")?;
    let linker = Path::new(&sysroot).join("lib/rustlib").join(host).join("bin/rust-lld");
    if linker.is_file() { Ok(linker) } else { Err(format!("no linker at `{}`", linker.display()).into()) }
}

const COMPILER: &str = "/usr/bin/rustc";
const C_LIBRARY: &str = "/usr/lib/wasm32-wasi";

/// By files that no other package has.
const PROGRAMS: &[Program] = &[
    Program { name: "/var/lib/dpkg/info/rustc-web.list", package: "rustc-web" },
    Program { name: "/usr/lib/wasm32-wasi/libc.a", package: "wasi-libc" },
];
