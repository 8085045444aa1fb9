//! Requests that two programs could read in two ways: the endpoint sees exactly one request, or nothing.

use super::backend::Backend;
use super::wire::Broken;
use super::world::World;

/// What becomes of the bytes of a client.
enum Becomes {
    /// The endpoint sees these requests, and each is answered.
    Requests(&'static [&'static str]),
    /// The endpoint sees nothing; the client gets this status and the connection is closed.
    Refused(u16),
}

use Becomes::{Refused, Requests};

struct Row {
    why: &'static str,
    sent: String,
    becomes: Becomes,
}

fn row(why: &'static str, sent: impl Into<String>, becomes: Becomes) -> Row {
    Row { why, sent: sent.into(), becomes }
}

#[test]
fn a_length_is_said_once_and_in_one_way() {
    let post = |length: &str| format!("POST / HTTP/1.1\r\nHost: web\r\n{length}\r\n\r\nhello");
    let chunks =
        |coding: &str| format!("POST / HTTP/1.1\r\nHost: web\r\n{coding}\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
    check(&[
        row(
            "RFC 9112 §6.2: a length",
            post("Content-Length: 5"),
            Requests(&["POST / | content-length: 5 | hello"]),
        ),
        row("§6.1: a coding", chunks("Transfer-Encoding: chunked"), Requests(&[CHUNKED])),
        row(
            "RFC 9110 §5.6.2: codings have no case",
            chunks("Transfer-Encoding: CHUNKED"),
            Requests(&[CHUNKED]),
        ),
        row(
            "RFC 9112 §6.3: the coding overrides the length",
            chunks("Content-Length: 3\r\nTransfer-Encoding: chunked"),
            Requests(&[CHUNKED]),
        ),
        row(
            "§6.3: in either order",
            chunks("Transfer-Encoding: chunked\r\nContent-Length: 3"),
            Requests(&[CHUNKED]),
        ),
        row(
            "§6.3: the same length twice is that length",
            post("Content-Length: 5\r\nContent-Length: 5"),
            Requests(&["POST / | content-length: 5 | hello"]),
        ),
        row("§6.3: two lengths are none", post("Content-Length: 5\r\nContent-Length: 6"), Refused(400)),
        row("§6.3: nor in one line", post("Content-Length: 5, 6"), Refused(400)),
        row("RFC 9110 §8.6: digits only, no sign", post("Content-Length: +5"), Refused(400)),
        row("§8.6: nothing below zero", post("Content-Length: -1"), Refused(400)),
        row("§8.6: no space within", post("Content-Length: 1 5"), Refused(400)),
        row("§8.6: not nothing", post("Content-Length: "), Refused(400)),
        row("§8.6: no number that overflows", post("Content-Length: 18446744073709551621"), Refused(400)),
        row("§8.6: no hexadecimal", post("Content-Length: 0x5"), Refused(400)),
        row(
            "RFC 9112 §6.3: chunked comes last",
            chunks("Transfer-Encoding: chunked, identity"),
            Refused(400),
        ),
        row("§6.3: it is `chunked`, not almost", chunks("Transfer-Encoding: xchunked"), Refused(400)),
        row("§6.1: chunked once", chunks("Transfer-Encoding: chunked, chunked"), Refused(400)),
        row(
            "§6.1: nor in two lines",
            chunks("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
            Refused(400),
        ),
        row(
            "§6.1: HTTP/1.0 knows no codings",
            chunks("Transfer-Encoding: chunked").replace("1.1", "1.0"),
            Refused(400),
        ),
    ]);
}

#[test]
fn chunks_have_sizes_that_all_read_alike() {
    let head = "POST / HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\n";
    let chunks = |body: &str| format!("{head}\r\n{body}");
    let announced = |names: &str, trailers: &str| {
        format!("{head}Trailer: {names}\r\n\r\n5\r\nhello\r\n0\r\n{trailers}\r\n")
    };
    check(&[
        row(
            "RFC 9112 §7.1.1: extensions end at this hop",
            chunks("5;a=b\r\nhello\r\n0\r\n\r\n"),
            Requests(&[CHUNKED]),
        ),
        row(
            "§7.1: sizes in either case",
            chunks("0000A\r\nhellohello\r\n0\r\n\r\n"),
            Requests(&["POST / | transfer-encoding: chunked | hellohello"]),
        ),
        row(
            "§7.1.2: announced trailers stay trailers",
            announced("x-sum", "x-sum: 1\r\n"),
            Requests(&["POST / | trailer: x-sum | transfer-encoding: chunked | hello | x-sum: 1"]),
        ),
        row(
            "RFC 9110 §6.5.1: others may be dropped, and are",
            chunks("5\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n"),
            Requests(&[CHUNKED]),
        ),
        row(
            "§6.5.1: a trailer neither frames nor routes, nor says who asks",
            announced(
                "content-length, host, x-forwarded-for, x-sum",
                "Content-Length: 9\r\nHost: a\r\nTransfer-Encoding: x\r\nX-Forwarded-For: 1\r\nx-sum: 1\r\n",
            ),
            Requests(&[
                "POST / | trailer: content-length, host, x-forwarded-for, x-sum | transfer-encoding: chunked | hello | x-sum: 1",
            ]),
        ),
    ]);
}

#[test]
fn a_chunk_that_is_none_breaks_the_connection_off() {
    let head = "POST / HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\n\r\n";
    for body in [
        "10000000000000005\r\nhello\r\n0\r\n\r\n", // overflows 64 bits to 5
        "+5\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "5\r\nhelloXX0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\n0\r\n\0: x\r\n\r\n",
    ] {
        let backend = Backend::answering(OK);
        let world = World::of(&[&backend], &[]);
        let mut client = world.client();
        client.send(format!("{head}{body}GET /smuggled HTTP/1.1\r\nHost: web\r\n\r\n"));
        let answer = client.rest(); // to the end of the connection
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{body:?}: {answer}");
        assert_eq!(texts(&backend), [""; 0], "{body:?}");
    }
}

#[test]
fn a_head_has_lines_that_all_read_alike() {
    let get = |lines: &str| format!("GET / HTTP/1.1\r\n{lines}\r\n\r\n");
    let folded = "GET / HTTP/1.1\r\nHost: web\r\nX: a\r\n b\r\n\r\n";
    check(&[
        row(
            "RFC 9112 §2.2: a bare LF may end a line, and is mended",
            "GET / HTTP/1.1\nHost: web\nX: a\n\n",
            Requests(&["GET / | x: a"]),
        ),
        row(
            "§2.2: empty lines before are no request",
            "\r\n\r\nGET / HTTP/1.1\r\nHost: web\r\n\r\n",
            Requests(&["GET /"]),
        ),
        row("§2.2: a bare CR is no line end", get("Host: web\r\nX: a\rY: b"), Refused(400)),
        row("RFC 9110 §5.5: no NUL in a value", get("Host: web\r\nX: a\0b"), Refused(400)),
        row("§5.1: nor in a name", get("Host: web\r\nX\0: a"), Refused(400)),
        row("RFC 9112 §5.2: no folded lines", folded, Refused(400)),
        row("§5.2: not the first either", get(" Host: web"), Refused(400)),
        row("§5.1: no space before the colon", get("Host: web\r\nX : a"), Refused(400)),
        row(
            "§5.1: not before the one that matters",
            "POST / HTTP/1.1\r\nHost: web\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
            Refused(400),
        ),
        row("RFC 9110 §5.1: a header has a name", get("Host: web\r\n: a"), Refused(400)),
        row("§5.1: and a colon", get("Host: web\r\nfoo"), Refused(400)),
        row("RFC 9112 §2.3: a version we know", "GET / HTTP/1.2\r\nHost: web\r\n\r\n", Refused(400)),
        row("§3: one space between", "GET  / HTTP/1.1\r\nHost: web\r\n\r\n", Refused(400)),
        row(
            "RFC 6585 §5: too many lines",
            get(&format!("Host: web{}", "\r\nX: a".repeat(120))),
            Refused(431),
        ),
        row(
            "RFC 6585 §5: too large",
            get(&format!("Host: web\r\nX: {}", "a".repeat(100 * 1024))),
            Refused(431),
        ),
    ]);
}

#[test]
fn a_request_is_for_one_host() {
    let get = |target: &str, hosts: &str| format!("GET {target} HTTP/1.1\r\n{hosts}\r\n\r\n");
    check(&[
        row("RFC 9112 §3.2: no two hosts", get("/", "Host: web\r\nHost: other"), Refused(400)),
        row("§3.2: not even the same", get("/", "Host: web\r\nHost: web"), Refused(400)),
        row("§3.2: not none", get("/", "X: a"), Refused(400)),
        row("RFC 1945: HTTP/1.0 needs none", "GET / HTTP/1.0\r\n\r\n", Requests(&["GET / | host: "])),
        row("RFC 9110 §7.2: no spaces", get("/", "Host: we b"), Refused(400)),
        row("RFC 9110 §4.2.4: no user information", get("/", "Host: user@web"), Refused(400)),
        row("RFC 3986 §3.2.3: one port", get("/", "Host: a:1:2"), Refused(400)),
        row("§3.2.2: no path", get("/", "Host: web/x"), Refused(400)),
        row("§3.2.2: no list", get("/", "Host: web, other"), Refused(400)),
        row(
            "RFC 9112 §3.2.2: the target wins",
            get("http://target/a?b", "Host: other"),
            Requests(&["GET /a?b | host: target"]),
        ),
        row(
            "§3.2.1: an empty path is /",
            get("http://target", "Host: target"),
            Requests(&["GET / | host: target"]),
        ),
        row(
            "RFC 9110 §4.2.4: no user information in a target",
            get("http://user@target/", "Host: target"),
            Refused(400),
        ),
        row(
            "RFC 9112 §3.2.4: the server as a whole",
            "OPTIONS * HTTP/1.1\r\nHost: web\r\n\r\n",
            Requests(&["OPTIONS *"]),
        ),
        row(
            "RFC 9110 §4.2.1: what comes in clear text is for http",
            get("https://target/", "Host: target"),
            Refused(400),
        ),
        row("§3.2.4: `*` is for OPTIONS alone", get("*", "Host: web"), Refused(400)),
        row("§3.2.3: an authority is for CONNECT alone", get("web:80", "Host: web:80"), Refused(400)),
        row("RFC 9112 §3.2: not an empty one", get("/", "Host: "), Refused(400)),
        row("§3.2: a fragment is not sent, or ends here", get("/a#b", "Host: web"), Requests(&["GET /a"])),
    ]);
}

#[test]
fn what_belongs_to_the_clients_hop_ends_here() {
    let get = |lines: &str| format!("GET / HTTP/1.1\r\nHost: web\r\n{lines}\r\n\r\n");
    check(&[
        row(
            "RFC 9110 §7.6.1: what Connection names",
            get("Connection: keep-alive, Foo\r\nFoo: 1\r\nBar: 2"),
            Requests(&["GET / | bar: 2"]),
        ),
        row("§7.6.1: in any case", get("CONNECTION: FOO\r\nfoo: 1"), Requests(&["GET /"])),
        row(
            "§7.6.1: in several lines",
            get("Connection: a\r\nConnection: b\r\nA: 1\r\nB: 2"),
            Requests(&["GET /"]),
        ),
        row(
            "§7.6.1: and what it should have named",
            get("Keep-Alive: 5\r\nProxy-Connection: close\r\nTE: trailers\r\nProxy-Authorization: x"),
            Requests(&["GET /"]),
        ),
        row(
            "§7.6.1: but not what all recipients need",
            get("Connection: host, cookie, authorization\r\nCookie: a\r\nAuthorization: b"),
            Requests(&["GET / | authorization: b | cookie: a"]),
        ),
        row(
            "RFC 9113 §3.1: h2c upgrades are withdrawn",
            get(
                "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",
            ),
            Requests(&["GET /"]),
        ),
        row(
            "RFC 9110 §9.3.1: GET may have a body",
            "GET / HTTP/1.1\r\nHost: web\r\nContent-Length: 5\r\n\r\nhello",
            Requests(&["GET / | content-length: 5 | hello"]),
        ),
        row(
            "RFC 9112 §9.3.2: requests may come together",
            "GET /1 HTTP/1.1\r\nHost: web\r\n\r\nGET /2 HTTP/1.1\r\nHost: web\r\n\r\n",
            Requests(&["GET /1", "GET /2"]),
        ),
        row(
            "§9.3.2: also behind a body",
            "POST /1 HTTP/1.1\r\nHost: web\r\nContent-Length: 5\r\n\r\nhelloGET /2 HTTP/1.1\r\nHost: web\r\n\r\n",
            Requests(&["POST /1 | content-length: 5 | hello", "GET /2"]),
        ),
    ]);
}

#[track_caller]
fn check(rows: &[Row]) {
    let backend = Backend::answering(OK);
    let world = World::of(&[&backend], &[]);
    let wrong: Vec<String> = rows.iter().filter_map(|row| wrong(row, &backend, &world)).collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// What is wrong with a row.
fn wrong(row: &Row, backend: &Backend, world: &World) -> Option<String> {
    let mut client = world.client();
    client.send(&row.sent);
    let (expected, answered): (&[&str], _) = match row.becomes {
        Requests(requests) => (requests, requests.iter().all(|_| is(client.response("GET"), 200))),
        Refused(status) => (&[], is(client.response("GET"), status) && client.is_closed()),
    };
    let seen = texts(backend);
    let sent = row.sent.chars().take(200).collect::<String>();
    (seen != expected || !answered)
        .then(|| format!("{}\n  {sent:?}\n  became {seen:?}, answered {answered}", row.why))
}

fn is(response: Result<super::wire::Message, Broken>, status: u16) -> bool {
    response.is_ok_and(|response| response.status() == status)
}

fn texts(backend: &Backend) -> Vec<String> {
    backend.take_requests().iter().map(ToString::to_string).collect()
}

const CHUNKED: &str = "POST / | transfer-encoding: chunked | hello";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
