//! Names of types: one word means one thing, so few are defined in two modules.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{fs, io};

use crate::{Result, place};

/// The packages whose types share their readers.
const PACKAGES: [&str; 4] = ["core", "proto", "sidecar", "wasm-filter"];

/// Prints the names of types that two modules or more define, with their files, and the share that they are of all names.
pub(crate) fn run() -> Result<ExitCode> {
    let root = place::root();
    let mut files = Vec::new();
    for package in PACKAGES {
        collect(&root.join(package).join("src"), &mut files)?;
    }
    let mut defined = BTreeMap::<String, BTreeSet<String>>::new();
    for path in files {
        let file = path.strip_prefix(root).unwrap_or(&path).display().to_string();
        for name in types(&fs::read_to_string(&path)?) {
            defined.entry(name.to_owned()).or_default().insert(file.clone());
        }
    }
    let shared: Vec<_> = defined.iter().filter(|(_, files)| files.len() > 1).collect();
    for (name, files) in &shared {
        println!("{name}: {}", files.iter().map(String::as_str).collect::<Vec<_>>().join(" "));
    }
    let percent = shared.len() as f64 * 100.0 / defined.len().max(1) as f64;
    println!(
        "{} names of types, {} of them defined in two modules or more ({percent:.1} %)",
        defined.len(),
        shared.len()
    );
    Ok(ExitCode::SUCCESS)
}

/// The sources below `folder` that are no tests.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && name != "tests" {
            collect(&path, files)?;
        } else if name.ends_with(".rs") && name != "tests.rs" {
            files.push(path);
        }
    }
    Ok(())
}

/// The types that the product part of `text` defines at the top of its module.
fn types(text: &str) -> impl Iterator<Item = &str> {
    let product = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    product.lines().filter_map(|line| {
        let line = match line.strip_prefix("pub") {
            Some(rest) if rest.starts_with('(') => rest.split_once(") ")?.1,
            Some(rest) => rest.strip_prefix(' ')?,
            None => line,
        };
        let (kind, rest) = line.split_once(' ')?;
        let is_type = ["struct", "enum", "trait", "type", "union"].contains(&kind);
        let end = rest.find(|letter: char| !letter.is_alphanumeric()).unwrap_or(rest.len());
        is_type.then_some(&rest[..end])
    })
}

#[test]
fn types_are_found_at_the_top_of_a_module_and_not_in_its_tests() {
    let text = "pub struct A;\npub(crate) enum B<T> {\n    C(T),\n}\nfn f() {\n    struct D;\n}\ntrait E {}\n\
        \n#[cfg(test)]\nmod tests {\nstruct F;\n}\n";
    assert_eq!(types(text).collect::<Vec<_>>(), ["A", "B", "E"]);
}
