//! A rule that no lint knows: the sidecar names tokio's sockets and timers in one place each, so that both can be simulated.

use std::fs;

use crate::lazy::sources;
use crate::place::root;

/// Who may: the place of sockets, that of timers, and the demo, which is no part of the data path.
const PLACES: [&str; 3] = ["net/", "clock.rs", "demo/"];

/// Whether what is no test in `text` names tokio's sockets or timers.
fn names_tokio(text: &str) -> bool {
    let product = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    ["tokio::net", "tokio::time"].iter().any(|name| product.contains(name))
}

#[test]
fn a_name_in_the_product_is_found_and_one_in_its_tests_is_not() {
    assert!(names_tokio("use tokio::net::TcpStream;\n"));
    assert!(!names_tokio(
        "use crate::net::TcpStream;\n\n#[cfg(test)]\nmod tests {\n    use tokio::time::pause;\n}\n"
    ));
}

#[test]
fn sockets_and_timers_are_named_in_one_place_each() {
    let source = root().join("sidecar/src");
    let mut naming = Vec::new();
    for path in sources() {
        let Ok(within) = path.strip_prefix(&source) else { continue };
        let name = within.display().to_string();
        let may = PLACES.iter().any(|place| name.starts_with(place)) || name.contains("tests");
        if !may && fs::read_to_string(&path).is_ok_and(|text| names_tokio(&text)) {
            naming.push(name);
        }
    }
    assert!(
        naming.is_empty(),
        "tokio's sockets or timers are named in {naming:?}: use crate::net and crate::clock"
    );
}
