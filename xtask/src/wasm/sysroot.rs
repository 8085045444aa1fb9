//! A standard library for Wasm that is built for size. Those that come built are made for speed, and with all that a panic has to say; they make the
//! filter a sixth larger. Made once for each compiler, of the sources of exactly that compiler, and kept in the cache folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::toolchain::TARGET;
use crate::{Result, place, shell};

/// A compiler, and what its library stands on.
pub(super) struct Compiler {
    /// Which it is, to its version.
    pub(super) name: String,
    /// Where it is. Cargo finds its own by itself.
    pub(super) program: Option<&'static str>,
    /// The folder of the C library for [`TARGET`].
    pub(super) c_library: PathBuf,
}

/// A compiler, and a folder with its library for [`TARGET`].
pub(crate) struct Sysroot {
    compiler: Compiler,
    folder: PathBuf,
    linker: PathBuf,
}

impl Sysroot {
    /// Finds it in the cache folder, or makes it there of the sources that `sources` finds or unpacks into a folder of its own.
    pub(super) fn ensure(
        compiler: Compiler,
        sources: impl FnOnce(&Path) -> Result<PathBuf>,
    ) -> Result<Sysroot> {
        // A sysroot is of one compiler and one recipe: another of either means another folder.
        let name = format!("{}-{RECIPE}", compiler.name);
        let home = place::cache().join("wasm");
        let sysroot = Sysroot { compiler, folder: home.join(&name), linker: linker()? };
        if !sysroot.library().is_dir() {
            println!("building the standard library for {TARGET} (a minute or two, once)");
            let build = home.join(format!("build-{name}"));
            let _old = fs::remove_dir_all(&build);
            fs::create_dir_all(&build)?;
            sysroot.make(&sources(&build)?, &build)?;
            fs::remove_dir_all(build)?;
        }
        Ok(sysroot)
    }

    /// Where the library is.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Has `cargo` compile with it: what runs on this machine by the compiler's own library, the rest by ours.
    pub(super) fn lend<'a>(&self, cargo: &'a mut Command) -> &'a mut Command {
        self.lend_with(cargo, &format!("--sysroot={}", self.folder.display()))
    }

    fn lend_with<'a>(&self, cargo: &'a mut Command, flags: &str) -> &'a mut Command {
        for foreign in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET", "RUSTC_WRAPPER"] {
            cargo.env_remove(foreign);
        }
        if let Some(program) = self.compiler.program {
            cargo.env("RUSTC", program);
        }
        cargo.env("RUSTC_BOOTSTRAP", "1"); // the library is written in the language's unstable parts, and `SMALL` is of them
        cargo.env("CARGO_TARGET_WASM32_WASIP1_LINKER", &self.linker);
        cargo.env("CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS", format!("{SMALL} {flags}"))
    }

    fn library(&self) -> PathBuf {
        self.folder.join("lib/rustlib").join(TARGET).join("lib")
    }

    /// Builds everything in the folder `build` and puts it into its place in one step, when all of it is there.
    fn make(&self, sources: &Path, build: &Path) -> Result<()> {
        let library = build.join("lib");
        fs::create_dir_all(library.join("self-contained"))?;
        for file in ["libc.a", "crt1-command.o", "crt1-reactor.o"] {
            fs::copy(self.compiler.c_library.join(file), library.join("self-contained").join(file))?;
        }
        let target = build.join("target");
        self.compile(sources, &target)?;
        for entry in fs::read_dir(target.join(TARGET).join("release/deps"))? {
            let path = entry?.path();
            if let (Some("rlib"), Some(name)) =
                (path.extension().and_then(|it| it.to_str()), path.file_name())
            {
                fs::copy(&path, library.join(name))?;
            }
        }
        let place = self.library();
        fs::create_dir_all(place.parent().ok_or("a library's folder has a parent")?)?;
        Ok(fs::rename(library, place)?)
    }

    /// Cargo fetches the crates that the library's own lock file names, as it does for ours; without them and without a network this fails.
    fn compile(&self, sources: &Path, target: &Path) -> Result<()> {
        let mut cargo = shell::cargo(["build", "--quiet", "--release", "--locked", "--target", TARGET]);
        cargo.args(["--package", "std", "--features", "std/optimize_for_size"]);
        cargo.arg("--manifest-path").arg(sources.join("Cargo.toml")).arg("--target-dir").arg(target);
        cargo.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "z");
        // The same crates may be dependencies of programs: these must have symbols of their own.
        cargo.env("__CARGO_DEFAULT_LIB_METADATA", "svcmesh-std");
        // Without the first everybody would see the library's private dependencies; without the second there is no fat LTO.
        shell::answer(self.lend_with(&mut cargo, "-Zforce-unstable-if-unmarked -Cembed-bitcode=yes"))?;
        Ok(())
    }
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

/// A panic ends the VM where it happens, instead of writing a message first: the message, what formats it and the place in the source that
/// it names are an eighth of the module. The library and the filter must agree in this.
const SMALL: &str = "-Zunstable-options -Cpanic=immediate-abort -Zlocation-detail=none";

/// The name of how the library is made: to be changed with that.
const RECIPE: &str = "small-1";
