//! What the fuzzer found, and what it starts from, must stay right: every committed input through its target's body.

use std::fs;
use std::path::Path;

#[path = "../../fuzz/src/plugin.rs"]
mod plugin;
#[path = "../../fuzz/src/proxy_header.rs"]
mod proxy_header;

#[test]
fn plugins() {
    replay("plugin", plugin::check);
}

#[test]
fn proxy_headers() {
    replay("proxy_header", proxy_header::check);
}

fn replay(target: &str, check: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let inputs: Vec<_> = fs::read_dir(corpus).expect("there is a corpus").collect();
    assert!(!inputs.is_empty());
    for input in inputs {
        let path = input.expect("it can be listed").path();
        eprintln!("{}", path.display()); // shown when the check fails
        check(&fs::read(&path).expect("inputs are files"));
    }
}
