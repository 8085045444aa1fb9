//! Every input of the fuzz target's corpus, without a fuzzer: what one found once is tested for ever.

use std::fs;
use std::path::Path;

#[path = "../../fuzz/src/manifests.rs"]
mod manifests;

#[test]
fn manifests_hold_what_the_fuzzer_demands() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/manifests");
    let inputs: Vec<_> = fs::read_dir(corpus).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!inputs.is_empty());
    for input in inputs {
        eprintln!("{}", input.display()); // shown when the check fails
        manifests::check(&fs::read(&input).unwrap());
    }
}
