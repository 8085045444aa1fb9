use super::*;

const ROWS: &[&[&str]] = &[&["net"], &["client"], &["server", "tunnel"], &["run"]];

/// What is found in a small tree, with `more` put at the end of a file of it.
fn found(file: &str, more: &str) -> Findings {
    let text = |name: &str| {
        let text = match name {
            "lib.rs" => "pub use run::run;\nmod net;\nmod client;\nmod server;\nmod tunnel;\nmod run;",
            "net/mod.rs" => "mod stream;\nmod socket;\npub(crate) use stream::Stream;",
            "net/stream.rs" => "use super::socket;\npub(crate) struct Stream(socket::Socket);",
            "net/socket.rs" => "use tokio::net;\npub(super) struct Socket(net::TcpStream);",
            "client.rs" => {
                "use crate::net::Stream;\nmod facts;\npub(crate) struct Client(Stream, facts::Facts);"
            }
            "client/facts.rs" => {
                "use super::Client;\npub(super) struct Facts;\n#[cfg(test)]\nmod tests { use crate::run; }"
            }
            "server.rs" => "use crate::client::Client;\nfn serve(client: Client) {}",
            "tunnel.rs" => "",
            "run.rs" => "use crate::server::serve;\npub fn run() { serve(crate::net::Stream) }",
            _ => return None,
        };
        Some(if name == file { format!("{text}\n{more}") } else { text.to_owned() })
    };
    Findings::of(&Tree::of(&text).expect("the tree is whole"), ROWS)
}

#[test]
fn a_tree_in_order_passes() {
    let findings = found("", "");
    assert!(findings.is_empty(), "{}", findings.told("x"));
    assert_eq!(findings.circles.len(), 1, "{}", findings.told("x"));
    assert_eq!(findings.circles[0].files, ["client.rs", "client/facts.rs"]);
}

#[test]
fn an_upward_use_is_refused() {
    for (file, more, told) in [
        ("net/socket.rs", "use crate::run;", "x/src/net/socket.rs:3: `net` may not use `run`: crate::run"),
        ("net/socket.rs", "fn a() { crate::run::run() }", "`net` may not use `run`: crate::run::run"),
        ("net/mod.rs", "use super::client::Client;", "`net` may not use `client`: super::client::Client"),
        ("client/facts.rs", "use super::super::server::{self};", "`client` may not use `server`"),
        ("client.rs", "pub(crate) use crate::run::run as go;", "`client` may not use `run`"),
        ("net/stream.rs", "use crate::{client as c, net};\nfn a(b: c::Client) {}", "crate::client"),
        ("server.rs", "use crate::tunnel::dig;", "`server` may not use `tunnel`"),
        ("client.rs", "use crate::VERSION;", "`client` may not use the root: crate::VERSION"),
        ("client.rs", "use crate::run::{self};", "`client` may not use `run`"),
    ] {
        let findings = found(file, more);
        assert!(!findings.is_empty(), "{more}");
        assert!(findings.told("x").contains(told), "{more}\n{}", findings.told("x"));
    }
}

#[test]
fn a_module_is_named_through_all_that_pass_it_on() {
    let findings = found("net/socket.rs", "use crate::run as go;\nfn a() { go::run() }");
    assert_eq!(findings.upward.len(), 2, "{}", findings.told("x"));
    let findings = found("client.rs", "use crate::run::serve;"); // which `run` has of `server`
    assert_eq!(findings.upward[0].used, BTreeSet::from(["run".to_owned(), "server".to_owned()]));
}

#[test]
fn what_is_no_import_is_no_use() {
    for more in [
        "pub(in crate::net) fn a() {}",
        "// use crate::run;",
        "const A: &str = \"crate::run::run\";",
        "#[cfg(test)] use crate::run;",
        "use run::Options; // another crate's",
    ] {
        let findings = found("net/socket.rs", more);
        assert!(findings.is_empty(), "{more}\n{}", findings.told("x"));
    }
}

#[test]
fn a_circle_within_a_module_may_have_three_files() {
    let circle = |count: usize| {
        let text = |name: &str| match name {
            "lib.rs" => Some("mod net;".to_owned()),
            "net/mod.rs" => Some((0..count).map(|at| format!("mod n{at};")).collect()),
            _ => {
                let own: usize = name.strip_prefix("net/n")?.strip_suffix(".rs")?.parse().ok()?;
                let next = (own + 1) % count;
                Some(format!("use super::n{next}::N{next};\npub(super) struct N{own};"))
            }
        };
        Findings::of(&Tree::of(&text).expect("the tree is whole"), &[&["net"]])
    };
    assert!(circle(3).is_empty() && circle(3).circles[0].files.len() == 3);
    assert!(!circle(4).is_empty(), "{}", circle(4).told("x"));
    assert!(circle(4).told("x").contains("    net/n3.rs uses net/n0.rs (N0)\n"), "{}", circle(4).told("x"));
}

#[test]
fn a_circle_through_two_modules_is_refused() {
    let findings = found("net/stream.rs", "fn a(b: crate::client::Client) {}");
    let circle = findings.circles.iter().find(|circle| !circle.is_allowed).expect("a circle");
    assert_eq!(circle.files, ["client.rs", "client/facts.rs", "net/stream.rs"]);
}

#[test]
fn each_module_has_a_place_and_each_place_a_module() {
    let findings = found("lib.rs", "mod extra {}");
    assert_eq!(findings.without_place, ["extra"]);
    let tree = Tree::of(&|name| (name == "lib.rs").then(|| "mod net {}".to_owned())).expect("a tree");
    assert_eq!(Findings::of(&tree, ROWS).missing, ["client", "server", "tunnel", "run"]);
}
