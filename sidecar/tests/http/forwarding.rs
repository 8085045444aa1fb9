//! Who a request came from: what the client says about it, and what the endpoint is told.

use std::net::{TcpListener, TcpStream};

use bytes::Bytes;
use h2::client::SendRequest;
use hyper::Request;

use super::backend::Backend;
use super::http2::{Does, answer_of, connect, speaks_http2};
use super::support::until;
use super::wire::{ADDED, Message, Wire};
use super::world::World;

/// What an endpoint is told, in the order of [`ADDED`]; of headers that are none of these, what is left of what was said.
struct Told {
    told: [&'static str; 6],
    left: &'static str,
}

const fn told(told: [&'static str; 6]) -> Told {
    Told { told, left: "" }
}

/// Of a client of which nothing is believed.
const UNTRUSTED: Told =
    told(["127.0.0.1", "http", "web", "for=127.0.0.1;host=web;proto=http", "127.0.0.1", "1.1 svcmesh"]);

/// What untrusted peers try.
const MADE_UP: &[&[(&str, &str)]] = &[
    &[],
    &[("X-Forwarded-For", "203.0.113.9"), ("X-Forwarded-For", "203.0.113.8"), ("X-FORWARDED-PROTO", "https")],
    &[("X-Forwarded-Host", "evil"), ("X-Forwarded-Port", "1"), ("X-Real-IP", "203.0.113.9")],
    &[("Forwarded", "for=203.0.113.9"), ("Forwarded", "for=_hidden;host=evil")],
    &[
        ("X-Forwarded-Prefix", "/admin"),
        ("X-Forwarded-User", "root"),
        ("X-Forwarded-Server", "evil"),
        ("X-Forwarded-Ssl", "on"),
    ],
    &[("X-Forwarded-Client-Cert", "By=evil"), ("X-Forwarded-Whatever", "1"), ("X-Forwarded-", "1")],
    // CGI and WSGI have one name for both.
    &[("X_Forwarded_For", "203.0.113.9"), ("x_real_ip", "203.0.113.9"), ("X-Forwarded_Proto", "https")],
    &[("X-Forwarded-For", ""), ("X-Forwarded-For", "\u{e9}"), ("Forwarded", ";;,"), ("Forwarded", "\"")],
];

/// What proxies say, and what becomes of it when they are trusted.
const SAID: &[(&[(&str, &str)], Told)] = &[
    (&[], UNTRUSTED),
    (
        &[("X-Forwarded-For", "203.0.113.9"), ("X-Forwarded-For", "203.0.113.8, 127.0.0.9")],
        told([
            "203.0.113.9, 203.0.113.8, 127.0.0.9, 127.0.0.1",
            "http",
            "web",
            "for=127.0.0.1;host=web;proto=http",
            "203.0.113.8",
            "1.1 svcmesh",
        ]),
    ),
    // A client of our own network says that it is another.
    (
        &[("X-Forwarded-For", "127.0.0.8, 127.0.0.9")],
        told([
            "127.0.0.8, 127.0.0.9, 127.0.0.1",
            "http",
            "web",
            "for=127.0.0.1;host=web;proto=http",
            "127.0.0.9",
            "1.1 svcmesh",
        ]),
    ),
    (
        &[("X-Forwarded-For", "203.0.113.9, unknown"), ("X-Real-IP", "203.0.113.9")],
        told([
            "203.0.113.9, unknown, 127.0.0.1",
            "http",
            "web",
            "for=127.0.0.1;host=web;proto=http",
            "127.0.0.1",
            "1.1 svcmesh",
        ]),
    ),
    // Empty and unreadable entries.
    (
        &[("X-Forwarded-For", ""), ("X-Forwarded-For", "\u{e9}, [2001:db8::1]:4711, ,")],
        told([
            "\u{e9}, [2001:db8::1]:4711, ,, 127.0.0.1",
            "http",
            "web",
            "for=127.0.0.1;host=web;proto=http",
            "2001:db8::1",
            "1.1 svcmesh",
        ]),
    ),
    (
        &[("X-Forwarded-Proto", "HTTPS"), ("X-Forwarded-Host", "shop.example:8443")],
        told([
            "127.0.0.1",
            "https",
            "shop.example:8443",
            "for=127.0.0.1;host=web;proto=http",
            "127.0.0.1",
            "1.1 svcmesh",
        ]),
    ),
    (
        &[("X-Forwarded-Proto", "wss"), ("X-Forwarded-Host", "a, b")],
        told(["127.0.0.1", "https", "web", "for=127.0.0.1;host=web;proto=http", "127.0.0.1", "1.1 svcmesh"]),
    ),
    (
        &[("X-Forwarded-Proto", "https, http"), ("X-Forwarded-Host", "a/b"), ("X-Forwarded-Port", "443x")],
        UNTRUSTED,
    ),
    (
        &[
            ("X-Forwarded-Proto", "https"),
            ("X-Forwarded-Proto", "http"),
            ("X-Forwarded-Host", "a"),
            ("X-Forwarded-Host", "a"),
        ],
        UNTRUSTED,
    ),
    (
        &[
            ("X-Forwarded-Port", "8443"),
            ("X-Forwarded-Prefix", "/shop"),
            ("X_Forwarded_For", "203.0.113.9"),
            ("X_Real_IP", "1"),
        ],
        Told { told: UNTRUSTED.told, left: " | x-forwarded-port: 8443 | x-forwarded-prefix: /shop" },
    ),
    (
        &[
            ("Forwarded", "for=203.0.113.9;proto=https, for=\"[2001:db8::1]:4711\""),
            ("Forwarded", "For=127.0.0.9;by=_x"),
        ],
        told([
            "127.0.0.1",
            "http",
            "web",
            "for=203.0.113.9;proto=https, for=\"[2001:db8::1]:4711\", For=127.0.0.9;by=_x, for=127.0.0.1;host=web;proto=http",
            "2001:db8::1",
            "1.1 svcmesh",
        ]),
    ),
    (
        &[("Forwarded", "for=203.0.113.9, for=unknown")],
        told([
            "127.0.0.1",
            "http",
            "web",
            "for=203.0.113.9, for=unknown, for=127.0.0.1;host=web;proto=http",
            "127.0.0.1",
            "1.1 svcmesh",
        ]),
    ),
    // An open quote would swallow what we add; what its proxy says of whoever left it open holds.
    (
        &[("Forwarded", "for=\", for=203.0.113.9")],
        told(["127.0.0.1", "http", "web", "for=127.0.0.1;host=web;proto=http", "203.0.113.9", "1.1 svcmesh"]),
    ),
    (
        &[("Via", "1.0 fred, 1.1 p.example (nginx)"), ("Via", "2 x")],
        told([
            "127.0.0.1",
            "http",
            "web",
            "for=127.0.0.1;host=web;proto=http",
            "127.0.0.1",
            "1.0 fred, 1.1 p.example (nginx), 2 x, 1.1 svcmesh",
        ]),
    ),
];

const TRUSTED: &[&str] = &["--trusted-proxies", "127.0.0.0/8"];

#[test]
fn what_an_untrusted_peer_says_is_dropped_and_set_anew() {
    let backend = Backend::answering(OK);
    let world = World::of(&[&backend], &[]);
    for said in MADE_UP {
        check(&sent_by_http1(&world, &backend, said, ""), &UNTRUSTED, said);
    }
}

#[test]
fn what_a_trusted_proxy_says_is_continued() {
    let backend = Backend::answering(OK);
    let world = World::of(&[&backend], TRUSTED);
    for (said, told) in SAID {
        check(&sent_by_http1(&world, &backend, said, ""), told, said);
    }
}

#[test]
fn nobody_can_have_it_stripped() {
    let backend = Backend::answering(OK);
    let nominated = "Connection: close, X-Real-IP, x-forwarded-for, Forwarded\r\n\
                     Connection: x-forwarded-host,X-Forwarded-Proto,X-Forwarded-Port,X-Forwarded-Prefix,via\r\n";
    let untrusted = World::of(&[&backend], &[]);
    for said in MADE_UP {
        check(&sent_by_http1(&untrusted, &backend, said, nominated), &UNTRUSTED, said);
    }
    let trusted = World::of(&[&backend], TRUSTED);
    for (said, told) in SAID {
        check(&sent_by_http1(&trusted, &backend, said, nominated), told, said);
    }
}

#[tokio::test]
async fn the_same_holds_over_http2() {
    let backend = Backend::start(|talk| speaks_http2(talk, 100, |_, _| Does::Answer));
    let untrusted = World::at("kubernetes.io/h2c", &[backend.address()], &[]);
    let mut client = connect(&untrusted).await;
    for said in MADE_UP {
        check(&sent_by_http2(&mut client, &backend, said).await, &UNTRUSTED, said);
    }
    let trusted = World::at("kubernetes.io/h2c", &[backend.address()], TRUSTED);
    let mut client = connect(&trusted).await;
    for (said, told) in SAID {
        check(&sent_by_http2(&mut client, &backend, said).await, told, said);
    }
}

#[test]
fn a_second_request_of_a_connection_has_its_own() {
    let backend = Backend::answering(OK);
    let world = World::of(&[&backend], TRUSTED);
    let mut client = world.client();
    client.send(
        "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.1\r\n\r\nGET / HTTP/1.1\r\nHost: b\r\n\r\n",
    );
    for _ in 0..2 {
        assert_eq!(client.response("GET").unwrap().status(), 200);
    }
    let told = |request: &Message| {
        ["x-forwarded-host", "x-real-ip"].map(|name| request.header(name).unwrap_or_default())
    };
    let told: Vec<_> = backend.take_requests().iter().map(told).collect();
    assert_eq!(told, [["a", "192.0.2.1"], ["b", "127.0.0.1"]]);
}

#[test]
fn every_attempt_is_told_the_same() {
    let backends = [(); 2].map(|()| Backend::start(|talk| drop(talk.request())));
    let world = World::of(&backends.each_ref(), TRUSTED);
    let mut client = world.client();
    client.send("GET / HTTP/1.1\r\nHost: web\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n");
    assert_eq!(client.response("GET").map(|response| response.status()), Ok(502));
    let seen: Vec<Message> = backends.iter().flat_map(Backend::take_requests).collect();
    let told = |request: &Message| ADDED.map(|name| request.header(name).unwrap_or_default());
    let expected = [
        "203.0.113.9, 127.0.0.1",
        "http",
        "web",
        "for=127.0.0.1;host=web;proto=http",
        "203.0.113.9",
        "1.1 svcmesh",
    ];
    assert_eq!(seen.iter().map(told).collect::<Vec<_>>(), [expected; 2]);
}

/// A load balancer of bytes says whom it speaks for (PROXY), and passes on what that one says of itself.
#[test]
fn headers_behind_a_proxy_header_are_the_clients_own() {
    let backend = Backend::answering(OK);
    let port = TcpListener::bind("[::]:0")
        .and_then(|listener| listener.local_addr())
        .expect("some port is free")
        .port();
    let map = format!("{port}={}", backend.address());
    let required = ["--proxy-protocol-in", "require", "--inbound-map", &map];
    let _world = World::of(&[&backend], &[TRUSTED, &required].concat());
    for (client, told) in
        [("203.0.113.7", ["203.0.113.7", "http"]), ("127.0.0.7", ["198.51.100.1, 127.0.0.7", "https"])]
    {
        let mut balancer =
            Wire::new(until("the port is mapped", || TcpStream::connect(("127.0.0.1", port)).ok()));
        balancer.send(format!(
            "PROXY TCP4 {client} 10.0.0.1 1 80\r\nGET / HTTP/1.1\r\nHost: web\r\n\
             X-Forwarded-For: 198.51.100.1\r\nX-Forwarded-Proto: https\r\n\r\n"
        ));
        assert_eq!(balancer.response("GET").map(|response| response.status()), Ok(200), "{client}");
        let seen = backend.take_requests().remove(0);
        assert_eq!(
            ["x-forwarded-for", "x-forwarded-proto"].map(|name| seen.header(name).unwrap_or_default()),
            told
        );
    }
}

/// What the endpoint sees of an HTTP/1.1 request.
fn sent_by_http1(world: &World, backend: &Backend, said: &[(&str, &str)], lines: &str) -> Message {
    let said: String = said.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let mut client = world.client();
    client.send(format!("GET / HTTP/1.1\r\nHost: web\r\n{said}{lines}\r\n"));
    assert_eq!(client.response("GET").map(|response| response.status()), Ok(200), "{said}");
    backend.take_requests().remove(0)
}

async fn sent_by_http2(client: &mut SendRequest<Bytes>, backend: &Backend, said: &[(&str, &str)]) -> Message {
    let request = said.iter().fold(Request::get("http://web/"), |request, (name, value)| {
        request.header(name.to_lowercase(), value.as_bytes())
    });
    let (response, _, _) = answer_of(client, request.body(()).expect("a request")).await;
    assert_eq!(response.status(), 200, "{said:?}");
    let mut seen = backend.take_requests().remove(0);
    for (name, value) in &mut seen.headers {
        if name == "via" {
            *value = value.replace("2.0 svcmesh", "1.1 svcmesh");
        }
    }
    seen
}

#[track_caller]
fn check(seen: &Message, expected: &Told, said: &[(&str, &str)]) {
    assert_eq!(ADDED.map(|name| seen.header(name).unwrap_or_default()), expected.told, "{said:?}");
    let left = seen.to_string();
    let left = ["GET /", "GET http://web/"].iter().find_map(|start| left.strip_prefix(start));
    assert_eq!(left, Some(expected.left), "{said:?}");
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
