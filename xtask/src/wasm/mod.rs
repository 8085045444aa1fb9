//! The filter as Envoy loads it: `svc_wasm_filter.wasm`, built for `wasm32-wasip1` and held to its size.

mod exports;
mod oci;
mod toolchain;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use crate::{Result, packages, place, shell};

use toolchain::TARGET;
pub(crate) use toolchain::Toolchain;

/// `cargo xtask wasm [--oci FOLDER]`.
pub(crate) fn run(arguments: &[&str]) -> Result<ExitCode> {
    let image = parse(arguments)?;
    let module = Module::build(Toolchain::find()?, &[])?;
    println!("{}: {} bytes of {SIZE_MAX}", module.path.display(), module.size()?);
    module.within_budget()?;
    if let Some(folder) = image {
        println!("{}: image {}", folder.display(), oci::write(&module.path, &folder)?);
    }
    Ok(ExitCode::SUCCESS)
}

/// The folder that the image goes to, if one is wanted.
fn parse(arguments: &[&str]) -> Result<Option<PathBuf>> {
    match arguments {
        [] => Ok(None),
        ["--oci"] => Err("--oci wants a folder".into()),
        ["--oci", folder] => Ok(Some(PathBuf::from(folder))),
        ["--oci", _, unknown, ..] | [unknown, ..] => {
            Err(format!("unknown word `{}`: only --oci is known", unknown.escape_debug()).into())
        }
    }
}

/// A built filter.
pub(crate) struct Module {
    pub(crate) path: PathBuf,
}

impl Module {
    /// Builds the filter with these of its features, under a name that has them in it.
    pub(crate) fn build(toolchain: Toolchain, features: &[&str]) -> Result<Module> {
        let folder = folder();
        let mut build = shell::cargo(["rustc", "--quiet", "--package", PACKAGE, "--lib", "--target", TARGET]);
        build.args(["--profile", PROFILE, "--features", &features.join(",")]);
        build.arg("--target-dir").arg(&folder).args(["--", "-C", LINKED_SMALL]);
        toolchain.lend(&mut build);
        shell::answer(&mut build)?;
        let name = [&[FILE], features].concat().join("-");
        let module = Module { path: folder.join(name).with_extension("wasm") };
        let built = folder.join(TARGET).join(PROFILE).join(FILE).with_extension("wasm");
        fs::write(&module.path, exports::only_ours(&fs::read(built)?)?)?;
        module.shrink()?;
        Ok(module)
    }

    /// Where wasm-opt is installed it makes the module a tenth smaller.
    fn shrink(&self) -> Result<()> {
        let Some(wasm_opt) = packages::find("wasm-opt") else { return Ok(()) };
        let mut optimise = shell::command(wasm_opt, ["-Oz"]);
        shell::answer(optimise.args(FEATURES).arg(&self.path).arg("-o").arg(&self.path))?;
        Ok(())
    }

    /// In bytes.
    pub(crate) fn size(&self) -> Result<u64> {
        Ok(fs::metadata(&self.path)?.len())
    }

    /// Whether it is as small as we promise.
    pub(crate) fn within_budget(&self) -> Result<()> {
        within_budget(self.size()?)
    }
}

fn within_budget(size: u64) -> Result<()> {
    match size {
        ..=SIZE_MAX => Ok(()),
        size => Err(format!("{FILE}.wasm has {size} bytes, {} over its {SIZE_MAX}", size - SIZE_MAX).into()),
    }
}

/// Clippy for the filter as rustup's target builds it.
pub(crate) fn clippy() -> Command {
    let mut clippy = shell::cargo(["clippy", "--package", PACKAGE, "--target", TARGET, "--target-dir"]);
    clippy.arg(folder()).args(["--", "-D", "warnings"]);
    clippy
}

/// Apart from what cargo builds for this machine: another compiler, or other flags, would make it build everything anew.
fn folder() -> PathBuf {
    place::target().join("wasm")
}

/// The filter's package.
pub(crate) const PACKAGE: &str = "svc-wasm-filter";
const PROFILE: &str = "wasm";
const FILE: &str = "svc_wasm_filter";

/// Numbers in the code as short as they can be, rather than all five bytes long: a twelfth of the module.
const LINKED_SMALL: &str = "link-arg=--compress-relocations";

/// Of Wasm, what rustc takes for granted and V8 has, and wasm-opt wants to be told.
const FEATURES: [&str; 6] = [
    "--enable-bulk-memory",
    "--enable-multivalue",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-sign-ext",
];

/// 640 KiB: V8 compiles all of it while Envoy starts; filters in Rust have 0.5 to 2 MB, and what a request costs is the calls of
/// the host.
const SIZE_MAX: u64 = 640 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_goes_to_the_folder_that_is_named() {
        assert_eq!(parse(&["--oci", "image"]).unwrap(), Some("image".into()));
        assert_eq!(parse(&[]).unwrap(), None);
        let message = |arguments: &[&str]| parse(arguments).unwrap_err().to_string();
        assert_eq!(message(&["--oci"]), "--oci wants a folder");
        assert_eq!(message(&["oci"]), "unknown word `oci`: only --oci is known");
        assert_eq!(message(&["--oci", "image", "now"]), "unknown word `now`: only --oci is known");
    }

    #[test]
    fn a_byte_over_the_budget_is_too_many() {
        assert!(within_budget(SIZE_MAX).is_ok());
        let error = within_budget(SIZE_MAX + 1).unwrap_err().to_string();
        assert_eq!(error, "svc_wasm_filter.wasm has 655361 bytes, 1 over its 655360");
    }
}
