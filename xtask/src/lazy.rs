//! A rule that no lint knows: a predicate only looks. What acts inside a lazy `.filter()` is done when somebody drives the iterator, and
//! not at all when nobody does: idle connections were never closed for that reason.

use crate::place::root;

const PREDICATES: [&str; 3] = [".filter(|", ".take_while(|", ".skip_while(|"];

/// The blocks of the closures that `text` gives to predicates.
fn blocks(text: &str) -> impl Iterator<Item = &str> {
    let starts = PREDICATES.iter().flat_map(|name| text.match_indices(name).map(|(at, _)| at + name.len()));
    starts.filter_map(|start| {
        let rest = text[start..].split_once('|')?.1.trim_start();
        let inside = rest.strip_prefix('{')?;
        let mut depth = 1;
        let end = inside.find(|char: char| {
            depth += i32::from(char == '{') - i32::from(char == '}');
            depth == 0
        });
        Some(&inside[..end?])
    })
}

/// Whether a block has a statement that is no `let`.
fn acts(block: &str) -> bool {
    let mut statements: Vec<&str> = block.split_inclusive(';').collect();
    statements.retain(|statement| statement.ends_with(';'));
    statements.iter().any(|statement| {
        let statement = statement.trim_start_matches(|char: char| char.is_whitespace() || char == '}');
        !["let ", "return ", "const ", "use ", "//"].iter().any(|begin| statement.starts_with(begin))
            && !statement.contains("return ")
    })
}

#[test]
fn a_block_that_acts_is_found() {
    let found = |text: &str| blocks(text).any(acts);
    assert!(found("all.filter(|one| { one.reap(); one.was_used() });"));
    assert!(!found("all.filter(|one| { let used = one.used(); used > 1 });"));
    assert!(!found("all.filter(|one| one.is_used());"));
}

#[test]
fn no_predicate_acts() {
    let acting: Vec<String> = sources()
        .into_iter()
        .filter(|path| std::fs::read_to_string(path).is_ok_and(|text| blocks(&text).any(acts)))
        .map(|path| path.display().to_string())
        .filter(|path| !path.ends_with("lazy.rs"))
        .collect();
    assert!(acting.is_empty(), "a predicate acts in {acting:?}: use a loop");
}

pub(crate) fn sources() -> Vec<std::path::PathBuf> {
    let mut folders: Vec<_> =
        ["core", "proto", "sidecar", "testing", "wasm-filter", "xtask"].map(|name| root().join(name)).into();
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder of the project").flatten() {
            let path = entry.path();
            match path.is_dir() {
                true => folders.push(path),
                false if path.extension().is_some_and(|extension| extension == "rs") => files.push(path),
                false => {}
            }
        }
    }
    assert!(files.len() > 300, "these are the sources");
    files
}
