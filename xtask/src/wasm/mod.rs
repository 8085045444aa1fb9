//! The filter as Envoy loads it: `svc_wasm_filter.wasm`, built for `wasm32-wasip1` and held to its size.

mod debian;
mod oci;
mod toolchain;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use crate::{Result, place, shell};

use toolchain::TARGET;
pub(crate) use toolchain::{Toolchain, Way};

/// `cargo xtask wasm [--toolchain rustup|debian] [--oci FOLDER]`.
pub(crate) fn run(arguments: &[&str]) -> Result<ExitCode> {
    let order = Order::parse(arguments)?;
    let module = Module::build(&Toolchain::find(order.way)?, &[])?;
    println!("{}: {} bytes of {SIZE_MAX}", module.path.display(), module.size);
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
    /// In bytes.
    pub(crate) size: u64,
}

impl Module {
    /// Builds the filter with these of its features, each kind in a folder of its own.
    pub(crate) fn build(toolchain: &Toolchain, features: &[&str]) -> Result<Module> {
        let folder = folder(features);
        let mut build = shell::cargo(["build", "--quiet", "--package", PACKAGE, "--target", TARGET]);
        build
            .args(["--profile", PROFILE, "--features", &features.join(",")])
            .arg("--target-dir")
            .arg(&folder);
        shell::answer(toolchain.lend(&mut build))?;
        let path = folder.join(TARGET).join(PROFILE).join(FILE);
        let size = fs::metadata(&path)?.len();
        Ok(Module { path, size })
    }

    /// Whether it is as small as we promise; tells its size.
    pub(crate) fn within_budget(&self) -> Result<String> {
        match self.size {
            ..=SIZE_MAX => Ok(format!("{} bytes", self.size)),
            size => Err(format!("{FILE} has {size} bytes, {} over its {SIZE_MAX}", size - SIZE_MAX).into()),
        }
    }
}

/// Clippy for the filter as rustup's target builds it.
pub(crate) fn clippy() -> Command {
    let mut clippy = shell::cargo(["clippy", "--package", PACKAGE, "--target", TARGET, "--target-dir"]);
    clippy.arg(folder(&[])).args(["--", "-D", "warnings"]);
    clippy
}

/// Apart from what cargo builds for this machine: Debian's compiler would make it build everything anew.
fn folder(features: &[&str]) -> PathBuf {
    let name = if features.is_empty() { "wasm".into() } else { format!("wasm-{}", features.join("-")) };
    place::target().join(name)
}

/// The filter's package.
pub(crate) const PACKAGE: &str = "svc-wasm-filter";
const PROFILE: &str = "wasm";
const FILE: &str = "svc_wasm_filter.wasm";

/// 300 KiB: V8 compiles all of it, for each worker, while Envoy starts. A filter of this kind with serde_json in it has 176 kB.
const SIZE_MAX: u64 = 300 * 1024;

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
        let module = |size| Module { path: PathBuf::new(), size };
        assert_eq!(module(307_200).within_budget().unwrap(), "307200 bytes");
        let error = module(307_201).within_budget().unwrap_err().to_string();
        assert_eq!(error, "svc_wasm_filter.wasm has 307201 bytes, 1 over its 307200");
    }
}
