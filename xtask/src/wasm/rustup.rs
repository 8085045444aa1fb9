//! The pinned toolchain, which builds everything else, with two more of its parts: the target, for its C library, and the sources of the
//! standard library.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use super::sysroot::{Compiler, Sysroot};
use super::toolchain::TARGET;
use crate::{Result, clock, shell};

/// Finds its library, or adds the parts and makes it.
pub(super) fn ensure() -> Result<Sysroot> {
    let (target, sources) = (target()?, sources()?);
    with_part(&target.join("self-contained/libc.a"), ["target", "add", TARGET])?;
    with_part(&sources.join("Cargo.lock"), ["component", "add", "rust-src"])?;
    let compiler = Compiler {
        name: format!("rustup-{}", version()?),
        program: None,
        c_library: target.join("self-contained"),
    };
    Sysroot::ensure(compiler, |_| Ok(sources))
}

/// Sees to it that `file` is there, by what rustup does when it is told `words`. Whoever put it there: rustup is asked only for want of it.
fn with_part(file: &Path, words: [&str; 3]) -> Result<()> {
    if file.is_file() {
        return Ok(());
    }
    let words_shown = words.join(" ");
    println!("rustup {words_shown}");
    let mut add = shell::command("rustup", words);
    add.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = add.spawn().map_err(|error| format!("cannot run `rustup`: {error}"))?;
    if !clock::within(ADDED_WITHIN, || !matches!(child.try_wait(), Ok(None))) {
        child.kill()?; // rustup installs in one step at the end: a download that is cut leaves nothing half done
        child.wait()?;
        return Err(format!("`rustup {words_shown}` took more than {ADDED_WITHIN:?}").into());
    }
    if file.is_file() { Ok(()) } else { Err(format!("`rustup {words_shown}` failed").into()) }
}

/// A download of 25 MB, or of 3. Where the server cannot be reached at all, rustup would try for many minutes.
const ADDED_WITHIN: Duration = Duration::from_secs(60);

/// Where the library that comes built would be, with the C library below it.
fn target() -> Result<PathBuf> {
    Ok(answer(["--print", "target-libdir", "--target", TARGET])?.into())
}

/// Where the sources would be.
fn sources() -> Result<PathBuf> {
    Ok(Path::new(&answer(["--print", "sysroot"])?).join("lib/rustlib/src/rust/library"))
}

/// The number of the version, such as `1.95.0`.
fn version() -> Result<String> {
    let answer = answer(["--version"])?;
    Ok(answer.split(' ').nth(1).ok_or("`rustc --version` tells no version")?.to_owned())
}

/// What the compiler says. It is asked rather than rustup, which may have installed it or not.
fn answer<const N: usize>(words: [&str; N]) -> Result<String> {
    shell::answer(&mut shell::command("rustc", words))
}
