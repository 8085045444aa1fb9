//! What the documents name exists.

use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn every_path_that_a_document_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut checked = 0;
    for document in documents(root) {
        let text = fs::read_to_string(&document).unwrap();
        let folder = document.parent().unwrap();
        for path in paths(&text) {
            let exists = root.join(path).exists() || folder.join(path).exists();
            assert!(exists, "{}: `{path}` does not exist", document.display());
            checked += 1;
        }
    }
    assert!(checked > 20, "only {checked} paths found: the documents are not read as they are written");
}

#[test]
fn paths_are_told_from_other_words() {
    let text = "`core/src/lib.rs` and [a](LICENSE), [b](README.md#what) [c](#here), but `kubernetes.io/h2c`, `/readyz`, `http/1.1`, `a b/c`, `~/.cache`, `clippy.toml`,\n\
        [web](https://x.example/y), `text/*`, `application/json`, `NAMESPACE/NAME`, `sidecar/` and `no`.\n```text\n`core/not/looked/at`\n```\n";
    assert_eq!(paths(text), ["LICENSE", "README.md", "core/src/lib.rs", "clippy.toml", "sidecar/"]);
}

/// The documents at the top of the repository, in `docs`, and beside the files for Envoy.
fn documents(root: &Path) -> Vec<PathBuf> {
    let files = |folder| fs::read_dir(folder).expect("the sources are readable").flatten();
    let entries = ["", "docs", "deploy/envoy"]
        .into_iter()
        .flat_map(|folder| files(root.join(folder)))
        .map(|entry| entry.path());
    entries.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect()
}

/// The targets of links within the repository, then the words in code style that look like paths of it.
fn paths(text: &str) -> Vec<&str> {
    let prose: Vec<&str> = text.split("```").step_by(2).collect();
    let links = prose
        .iter()
        .flat_map(|part| part.split("](").skip(1))
        .filter_map(|rest| rest.split([')', '#']).next());
    let links = links.filter(|link| !link.contains("://") && !link.is_empty()); // to a heading of its own
    let words = prose.iter().flat_map(|part| part.split('`').skip(1).step_by(2));
    links.chain(words.filter(|word| looks_like_a_path(word))).collect()
}

fn looks_like_a_path(word: &str) -> bool {
    let plain = word.chars().all(|letter| letter.is_ascii_alphanumeric() || "._-/".contains(letter));
    let first = word.split('/').next().unwrap_or_default();
    let within = word.contains('/') && !first.is_empty() && !first.trim_start_matches('.').contains('.');
    let version = word.rsplit('/').next().is_some_and(|last| {
        !last.is_empty() && last.chars().all(|letter| letter.is_ascii_digit() || letter == '.')
    });
    let media_type = ["application", "text"].contains(&first);
    let placeholder = first.chars().all(|letter| letter.is_ascii_uppercase());
    plain
        && !version
        && !media_type
        && ((within && !placeholder) || [".md", ".toml", ".rs"].iter().any(|ending| word.ends_with(ending)))
}
