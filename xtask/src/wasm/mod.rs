//! The filter as Envoy loads it: `svc_wasm_filter.wasm`, built for `wasm32-wasip1` and held to its size.

mod debian;
mod exports;
mod oci;
mod rustup;
mod sections;
mod sysroot;
mod toolchain;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::packages::{self, Program};
use crate::{Result, place, shell};

use toolchain::TARGET;
pub(crate) use toolchain::{Toolchain, Way};

/// `cargo xtask wasm [--toolchain rustup|debian] [--oci FOLDER]`.
pub(crate) fn run(arguments: &[&str]) -> Result<ExitCode> {
    let order = Order::parse(arguments)?;
    let module = Module::build(&Toolchain::find(order.way)?, &[])?;
    println!("{}: {} bytes of {SIZE_MAX}", module.path.display(), module.size()?);
    println!("{}: with the names of its functions", module.named().display());
    module.within_budget()?;
    if let Some(folder) = order.oci {
        println!("{}: image {}", folder.display(), oci::write(&module.path, &folder)?);
    }
    Ok(ExitCode::SUCCESS)
}

/// What to build, and from what.
#[derive(Debug, Default, PartialEq, Eq)]
struct Order {
    /// The only toolchain to try; all when none is named.
    way: Option<Way>,
    /// Where the image goes.
    oci: Option<PathBuf>,
}

impl Order {
    fn parse(arguments: &[&str]) -> Result<Order> {
        let mut order = Order::default();
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} wants a value"));
            match *word {
                "--toolchain" => order.way = Some(Way::parse(value()?)?),
                "--oci" => order.oci = Some(PathBuf::from(value()?)),
                unknown => {
                    let unknown = unknown.escape_debug();
                    return Err(format!("unknown word `{unknown}`: --toolchain and --oci are known").into());
                }
            }
        }
        Ok(order)
    }
}

/// A built filter.
pub(crate) struct Module {
    pub(crate) path: PathBuf,
}

impl Module {
    /// Builds the filter with these of its features, under a name that has them in it.
    pub(crate) fn build(toolchain: &Toolchain, features: &[&str]) -> Result<Module> {
        let folder = folder();
        let mut build = shell::cargo(["build", "--quiet", "--package", PACKAGE, "--target", TARGET]);
        build
            .args(["--profile", PROFILE, "--features", &features.join(",")])
            .arg("--target-dir")
            .arg(&folder);
        shell::answer(toolchain.lend(&mut build))?;
        let name = [&[FILE], features].concat().join("-");
        let module = Module { path: folder.join(name).with_extension("wasm") };
        module.shrink(&folder.join(TARGET).join(PROFILE).join(FILE).with_extension("wasm"))?;
        Ok(module)
    }

    /// The same code with the names of its functions, by which Envoy can tell where a VM has ended.
    pub(crate) fn named(&self) -> PathBuf {
        self.path.with_extension("named.wasm")
    }

    /// Makes both of what cargo built: what no proxy is to call goes, with what only that needs; then wasm-opt merges and reorders what the
    /// compiler's own passes, made for machines with registers, leave: a sixth of the module. It orders functions by their names, too:
    /// these are taken off after it, so that the code is the same.
    fn shrink(&self, built: &Path) -> Result<()> {
        packages::ensure(BINARYEN)?;
        let (graph, trimmed) =
            (self.path.with_extension("exports.json"), self.path.with_extension("trimmed"));
        fs::write(&graph, exports::graph())?;
        let mut trim = shell::command("wasm-metadce", ["-g"]);
        shell::answer(trim.args(FEATURES).arg("-f").arg(&graph).arg(built).arg("-o").arg(&trimmed))?;
        let mut optimise = shell::command("wasm-opt", PASSES);
        shell::answer(optimise.arg("-g").args(FEATURES).arg(&trimmed).arg("-o").arg(self.named()))?;
        Ok(fs::write(&self.path, sections::without_custom(&fs::read(self.named())?)?)?)
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

/// Debian's, or any that is in the path.
const BINARYEN: &[Program] = &[
    Program { name: "wasm-metadce", package: "binaryen" },
    Program { name: "wasm-opt", package: "binaryen" },
];

/// Functions that differ in constants alone are merged first, while they still look alike: half a percent. Then whatever makes it smaller, and again on
/// code whose nested expressions and blocks are flat and whose loops are found anew: 1%. No pointer of ours is below 1024, where a stack
/// that overflows ends: an addition may thus become an offset of a load or a store, another 1%.
const PASSES: [&str; 7] =
    ["--low-memory-unused", "--merge-similar-functions", "-Oz", "--flatten", "--rereloop", "-Oz", "-Oz"];

/// Of Wasm, what rustc takes for granted and V8 has, and binaryen wants to be told.
const FEATURES: [&str; 6] = [
    "--enable-bulk-memory",
    "--enable-multivalue",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-sign-ext",
];

/// 640 KiB: V8 compiles all of it, for each worker, while Envoy starts; filters in Rust have 0.5 to 2 MB, and what a request costs is the calls of
/// the host. Ours had 307 kB when it was held to 300 KiB.
const SIZE_MAX: u64 = 640 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_may_name_a_toolchain_and_a_folder() {
        let order = Order::parse(&["--oci", "image", "--toolchain", "debian"]).unwrap();
        assert_eq!(order, Order { way: Some(Way::Debian), oci: Some("image".into()) });
        assert_eq!(Order::parse(&[]).unwrap(), Order::default());
    }

    #[test]
    fn what_an_order_cannot_mean_is_said() {
        let message = |arguments: &[&str]| Order::parse(arguments).unwrap_err().to_string();
        assert_eq!(message(&["--oci"]), "--oci wants a value");
        assert_eq!(message(&["oci"]), "unknown word `oci`: --toolchain and --oci are known");
        assert_eq!(message(&["--toolchain", "nix"]), "unknown toolchain `nix`: rustup or debian");
    }

    #[test]
    fn a_byte_over_the_budget_is_too_many() {
        assert!(within_budget(SIZE_MAX).is_ok());
        let error = within_budget(SIZE_MAX + 1).unwrap_err().to_string();
        assert_eq!(error, "svc_wasm_filter.wasm has 655361 bytes, 1 over its 655360");
    }
}
