//! What the fuzzer found, and what it starts from, must stay right: every committed input through its target's body.

use std::fs;
use std::path::Path;

#[path = "../../fuzz/src/authority.rs"]
mod authority;
#[path = "../../fuzz/src/document.rs"]
mod document;
#[path = "../../fuzz/src/environment.rs"]
mod environment;
#[path = "../../fuzz/src/forwarding.rs"]
mod forwarding;
#[path = "../../fuzz/src/kubernetes.rs"]
mod kubernetes;
#[path = "../../fuzz/src/retry_after.rs"]
mod retry_after;
#[path = "../../fuzz/src/sniff.rs"]
mod sniff;

#[test]
fn authorities() {
    replay("authority", authority::check);
}

#[test]
fn documents() {
    replay("document", document::check);
}

#[test]
fn environments() {
    replay("environment", environment::check);
}

#[test]
fn hearsay() {
    replay("forwarding", forwarding::check);
}

#[test]
fn api_servers() {
    replay("kubernetes", kubernetes::check);
}

#[test]
fn pleas() {
    replay("retry_after", retry_after::check);
}

#[test]
fn beginnings() {
    replay("sniff", sniff::check);
}

fn replay(target: &str, check: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let inputs = fs::read_dir(corpus).expect("each target has a corpus");
    let inputs: Vec<_> = inputs.map(|entry| entry.expect("it can be listed").path()).collect();
    assert!(!inputs.is_empty());
    for input in inputs {
        eprintln!("{}", input.display()); // shown when the check fails
        check(&fs::read(&input).expect("inputs are files"));
    }
}
