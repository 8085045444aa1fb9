//! Whom a request is for: one host, in one way.

use super::backend::Backend;
use super::table::Becomes::{Refused, Requests};
use super::table::{OK, check, row};
use super::world::{MANIFESTS_ONLY, World};

#[test]
fn a_request_is_for_one_host() {
    let get = |target: &str, hosts: &str| format!("GET {target} HTTP/1.1\r\n{hosts}\r\n\r\n");
    check(&[
        row("RFC 9112 §3.2: no two hosts", get("/", "Host: web\r\nHost: other"), Refused(400)),
        row("§3.2: not even the same", get("/", "Host: web\r\nHost: web"), Refused(400)),
        row("§3.2: not none", get("/", "X: a"), Refused(400)),
        row(
            "§3.2: an empty one says that the client does not know it",
            get("/", "Host: "),
            Requests(&["GET / | host: ADDRESS"]),
        ),
        row(
            "RFC 3986 §3.2.2: names that DNS has not",
            get("/", "Host: a!$&'()*+,;=~b"),
            Requests(&["GET / | host: a!$&'()*+,;=~b"]),
        ),
        row("§3.2.2: and escapes", get("/", "Host: w%65b:80"), Requests(&["GET / | host: w%65b:80"])),
        row("§2.1: whole ones", get("/", "Host: w%6"), Refused(400)),
        row("§3.2.2: a port has a host", get("/", "Host: :80"), Refused(400)),
        row("RFC 1945: HTTP/1.0 needs none", "GET / HTTP/1.0\r\n\r\n", Requests(&["GET / | host: ADDRESS"])),
        row("RFC 9110 §7.2: no spaces", get("/", "Host: we b"), Refused(400)),
        row("RFC 9110 §4.2.4: no user information", get("/", "Host: user@web"), Refused(400)),
        row("RFC 3986 §3.2.3: one port", get("/", "Host: a:1:2"), Refused(400)),
        row("§3.2.3: a number", get("/", "Host: a:x"), Refused(400)),
        row("§3.2.2: no path", get("/", "Host: web/x"), Refused(400)),
        row("§3.2.2: no other separators", get("/", "Host: web\\x"), Refused(400)),
        row("§3.2.2: no query, no fragment", get("/", "Host: web?x#y"), Refused(400)),
        row("§3.2.2: no list", get("/", "Host: web, other"), Refused(400)),
        row("§3.2.2: no brackets without an address", get("/", "Host: [web]"), Refused(400)),
        row("§3.2.2: no address without brackets", get("/", "Host: ::1"), Refused(400)),
        row("RFC 9110 §7.2: no bytes that are no letters", get("/", "Host: w\u{e9}b"), Refused(400)),
    ]);
}

#[test]
fn a_target_has_one_of_four_forms() {
    let get = |target: &str, hosts: &str| format!("GET {target} HTTP/1.1\r\n{hosts}\r\n\r\n");
    check(&[
        row(
            "RFC 9112 §3.2.2: the target wins",
            get("http://target/a?b", "Host: other"),
            Requests(&["GET http://target/a?b | host: target"]),
        ),
        row(
            "§3.2.1: an empty path is /",
            get("http://target", "Host: target"),
            Requests(&["GET http://target/ | host: target"]),
        ),
        row(
            "§3.2.1: before a query too",
            get("http://target?a", "Host: target"),
            Requests(&["GET http://target/?a | host: target"]),
        ),
        row(
            "§3.2.2: of the Service itself it is asked for what it has",
            get("http://web/a?b", "Host: other"),
            Requests(&["GET /a?b"]),
        ),
        row(
            "RFC 3986 §2.1: what everybody types goes on, encoded where no URI has it",
            get("/a?q=up{job=\"a\"}>1|b\\c^`<", "Host: web"),
            Requests(&["GET /a?q=up{job=%22a%22}%3E1|b\\c^`%3C"]),
        ),
        row("§2.1: in a path too", get("/\"<>{}|^`\\", "Host: web"), Requests(&["GET /\"%3C%3E{}|^%60\\"])),
        row(
            "RFC 9110 §4.2.4: no user information in a target",
            get("http://user@target/", "Host: target"),
            Refused(400),
        ),
        row(
            "§4.2.1: what comes in clear text is for http",
            get("https://target/", "Host: target"),
            Refused(400),
        ),
        row("§4.2.1: a target has a host", get("http:///a", "Host: web"), Refused(400)),
        row("RFC 9112 §3.2.1: or begins with /", get("a", "Host: web"), Refused(400)),
        row("§3.2.1: two of which are a path", get("//other/a", "Host: web"), Requests(&["GET //other/a"])),
        row("§3.2: a fragment is not sent, or ends here", get("/a#b", "Host: web"), Requests(&["GET /a"])),
        row("§3.2: no control characters", get("/a\x0bb", "Host: web"), Refused(400)),
        row(
            "§3.2.4: the server as a whole",
            "OPTIONS * HTTP/1.1\r\nHost: web\r\n\r\n",
            Requests(&["OPTIONS *"]),
        ),
        row(
            "§3.2.4: also by its name",
            "OPTIONS http://web HTTP/1.1\r\nHost: other\r\nX: a\r\n\r\n",
            Requests(&["OPTIONS * | x: a"]),
        ),
        row(
            "RFC 9110 §10.1.1: nothing to expect without a body",
            get("/", "Host: web\r\nExpect: 100-continue"),
            Requests(&["GET /"]),
        ),
        row(
            "§3.2.4: with a path it is a resource",
            "OPTIONS http://web/ HTTP/1.1\r\nHost: web\r\n\r\n",
            Requests(&["OPTIONS /"]),
        ),
        row("§3.2.4: `*` is for OPTIONS alone", get("*", "Host: web"), Refused(400)),
        row("§3.2.3: an authority is for CONNECT alone", get("web:80", "Host: web:80"), Refused(400)),
        row(
            "RFC 9931: behind a CONNECT that is refused there may be anything",
            "CONNECT web:80 HTTP/1.1\r\nHost: web:80\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: web\r\n\r\n",
            Refused(501),
        ),
    ]);
}

#[test]
fn what_follows_a_refused_connect_is_not_read_by_the_forward_proxy_either() {
    let backend = Backend::answering(OK);
    let world = World::of(&[&backend], &MANIFESTS_ONLY);
    for (target, status) in [("nobody:80", 502), ("web:81", 502), ("web", 502), ("a@web:8080", 400)] {
        let mut client = world.proxy_client();
        client.send(format!(
            "CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\nGET http://web:8080/smuggled HTTP/1.1\r\nHost: web:8080\r\n\r\n"
        ));
        assert_eq!(client.response("CONNECT").map(|response| response.status()), Ok(status), "{target}");
        assert!(client.is_closed(), "{target}");
    }
    assert_eq!(backend.connections(), 0);
}
