//! What belongs to one hop, and what counts them: `Connection`, `Via`, `Max-Forwards`.

use super::backend::Backend;
use super::table::Becomes::{Answered, Refused, Requests};
use super::table::{OK, check, row};
use super::world::World;

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
            "§7.6.1: beside what is no name",
            get("Connection: \u{e9}, a,, b c\r\nA: 1\r\nB: 2"),
            Requests(&["GET / | b: 2"]),
        ),
        row(
            "§7.6.1: and what it should have named",
            get("Keep-Alive: 5\r\nProxy-Connection: close\r\nTE: trailers\r\nProxy-Authorization: x"),
            Requests(&["GET /"]),
        ),
        row(
            "§7.6.1: but not what all recipients need",
            get(
                "Connection: host, cookie, authorization, origin, content-type, via, max-forwards\r\nCookie: a\r\nAuthorization: b\r\nOrigin: c\r\nContent-Type: d\r\nMax-Forwards: 1",
            ),
            Requests(&[
                "GET / | authorization: b | content-type: d | cookie: a | max-forwards: 1 | origin: c",
            ]),
        ),
        row(
            "§7.6.1: nor what says how long it is",
            "POST / HTTP/1.1\r\nHost: web\r\nConnection: content-length, close\r\nContent-Length: 5\r\n\r\nhello",
            Requests(&["POST / | content-length: 5 | hello"]),
        ),
        row(
            "RFC 9113 §3.1: h2c upgrades are withdrawn",
            get(
                "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",
            ),
            Requests(&["GET /"]),
        ),
    ]);
}

#[test]
fn max_forwards_counts_down_for_those_that_ask_about_the_way() {
    let asking = |method: &str, lines: &str| format!("{method} / HTTP/1.1\r\nHost: web\r\n{lines}\r\n\r\n");
    let refused = "the request is malformed";
    check(&[
        row(
            "RFC 9110 §7.6.2: one less",
            asking("OPTIONS", "Max-Forwards: 10"),
            Requests(&["OPTIONS / | max-forwards: 9"]),
        ),
        row(
            "§7.6.2: down to nothing",
            asking("TRACE", "Max-Forwards: 1"),
            Requests(&["TRACE / | max-forwards: 0"]),
        ),
        row(
            "§7.6.2: or our largest",
            asking("OPTIONS", "Max-Forwards: 99999999999"),
            Requests(&["OPTIONS / | max-forwards: 4294967294"]),
        ),
        row("§7.6.2: without it there is no end", asking("OPTIONS", "X: a"), Requests(&["OPTIONS / | x: a"])),
        row(
            "§7.6.2: other methods have none",
            asking("GET", "Max-Forwards: 0"),
            Requests(&["GET / | max-forwards: 0"]),
        ),
        row(
            "§7.6.2: whatever they say",
            asking("DELETE", "Max-Forwards: x"),
            Requests(&["DELETE / | max-forwards: x"]),
        ),
        row(
            "§7.6.2: who has none left is answered here",
            asking("OPTIONS", "Max-Forwards: 0"),
            Answered(HERE),
        ),
        row(
            "§7.6.2: of the server as a whole too",
            "OPTIONS * HTTP/1.1\r\nHost: web\r\nMax-Forwards: 0\r\n\r\n",
            Answered(HERE),
        ),
        row(
            "§9.3.8: but not with what it sent",
            asking("TRACE", "Max-Forwards: 0\r\nCookie: secret"),
            Answered(NO_TRACE),
        ),
        row(refused, asking("OPTIONS", "Max-Forwards: -1"), Refused(400)),
        row(refused, asking("OPTIONS", "Max-Forwards: "), Refused(400)),
        row(refused, asking("TRACE", "Max-Forwards: 1, 2"), Refused(400)),
        row(refused, asking("TRACE", "Max-Forwards: 1\r\nMax-Forwards: 1"), Refused(400)),
        row(
            "RFC 9112 §3.2: a host is one here too",
            asking("OPTIONS", "Max-Forwards: 0\r\nHost: web"),
            Refused(400),
        ),
        row(
            "§6.1: so is a coding",
            asking("OPTIONS", "Max-Forwards: 0\r\nTransfer-Encoding: gzip, chunked"),
            Refused(400),
        ),
        row(
            "RFC 9110 §9.3.8: TRACE has no content",
            asking("TRACE", "Content-Length: 5") + "hello",
            Refused(400),
        ),
    ]);
}

const HERE: &str = "HTTP/1.1 204 No Content | proxy-status: svcmesh; details=\"Max-Forwards is spent\"";
const NO_TRACE: &str = "HTTP/1.1 405 Method Not Allowed | allow: OPTIONS | content-length: 58 | content-type: text/plain; charset=utf-8 \
    | proxy-status: svcmesh; error=http_request_denied; details=\"the way ends here, and nobody here answers TRACE\" \
    | svcmesh: the way ends here, and nobody here answers TRACE\n";

#[test]
fn who_asks_a_proxy_hears_of_it_and_who_asks_a_service_does_not() {
    let backend = Backend::answering(
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nVia: 1.0 cache\r\nConnection: via\r\n\r\nok",
    );
    let world = World::of(&[&backend], &[]);
    for (mut client, via) in [(world.client(), "1.0 cache"), (world.proxy_client(), "1.0 cache, 1.1 svcmesh")]
    {
        client.send("GET / HTTP/1.1\r\nHost: web:8080\r\n\r\n");
        let response = client.response("GET").expect("it is answered");
        assert_eq!(response.header("via").as_deref(), Some(via));
    }
}

#[test]
fn the_version_that_an_endpoint_spoke_is_told() {
    let backend = Backend::start(|talk| {
        let _request = talk.request();
        talk.wire.send("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
    let world = World::of(&[&backend], &[]);
    let mut client = world.proxy_client();
    client.send("GET / HTTP/1.0\r\nHost: web:8080\r\n\r\n");
    let response = client.response("GET").expect("it is answered");
    assert_eq!(response.header("via").as_deref(), Some("1.0 svcmesh"));
    let asked: Vec<_> = backend.take_requests().iter().map(|request| request.header("via")).collect();
    assert_eq!(asked, [Some("1.0 svcmesh".to_owned())]);
}

#[test]
fn a_request_that_goes_in_a_circle_ends() {
    let backend = Backend::answering(OK);
    let world = World::of(&[&backend], &[]);
    for (passes, status) in [(9, 200), (10, 502), (11, 502)] {
        let via = vec!["1.1 svcmesh"; passes].join(", ");
        let mut client = world.client();
        client.send(format!("GET / HTTP/1.1\r\nHost: web\r\nVia: {via}\r\nConnection: via\r\n\r\n"));
        let response = client.response("GET").expect("it is answered");
        let error = response.header("proxy-status").unwrap_or_default();
        assert_eq!(
            (response.status(), error.contains("error=proxy_loop_detected;")),
            (status, status == 502),
            "{passes}"
        );
    }
    assert_eq!(backend.take_requests().len(), 1);
    world.records(&["-", "MV", "MV"]);
}

/// RFC 9209 §2: each proxy speaks of itself.
#[test]
fn what_another_proxy_says_of_itself_passes() {
    let backend = Backend::answering(
        "HTTP/1.1 504 Gateway Timeout\r\nContent-Length: 2\r\nProxy-Status: cdn; error=connection_timeout\r\nConnection: proxy-status\r\n\r\nno",
    );
    let world = World::of(&[&backend], &[]);
    let mut client = world.client();
    client.send("GET / HTTP/1.1\r\nHost: web\r\n\r\n");
    let response = client.response("GET").map(|response| response.to_string());
    let passed =
        "HTTP/1.1 504 Gateway Timeout | content-length: 2 | proxy-status: cdn; error=connection_timeout | no";
    assert_eq!(response.as_deref(), Ok(passed));
}
