//! Who a request came from: what the client says about it, and what the endpoint is told.

use super::backend::Backend;
use super::wire::ADDED;
use super::world::World;

#[test]
fn what_a_stranger_says_is_dropped_and_set_anew() {
    let backend = Backend::answering(OK);
    let world = World::of(&[&backend], &[]);
    for said in [
        "",
        "X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-For: 203.0.113.8\r\nX-FORWARDED-PROTO: https\r\n",
        "x-forwarded-host: evil\r\nX-Forwarded-Port: 1\r\nX-Real-IP: 203.0.113.9\r\n",
        "Forwarded: for=203.0.113.9\r\nForwarded: for=_hidden;host=evil\r\n",
        "Connection: close, X-Real-IP, x-forwarded-for, Forwarded\r\nX-Real-IP: 203.0.113.9\r\n",
    ] {
        check(&world, &backend, said, ["127.0.0.1", "http", "web", "for=127.0.0.1;host=web;proto=http"]);
    }
}

#[test]
fn what_a_trusted_proxy_says_is_continued() {
    let backend = Backend::answering(OK);
    let world = World::of(&[&backend], &["--trusted-proxies", "127.0.0.0/8"]);
    for (said, told) in [
        ("", ["127.0.0.1", "http", "web", "for=127.0.0.1;host=web;proto=http"]),
        (
            "X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-For: 203.0.113.8, 10.0.0.1\r\n",
            [
                "203.0.113.9, 203.0.113.8, 10.0.0.1, 127.0.0.1",
                "http",
                "web",
                "for=127.0.0.1;host=web;proto=http",
            ],
        ),
        (
            "X-Forwarded-Proto: https\r\nX-Forwarded-Host: shop.example\r\n",
            ["127.0.0.1", "https", "shop.example", "for=127.0.0.1;host=web;proto=http"],
        ),
        (
            "Forwarded: for=_hidden;proto=https, for=\"[2001:db8::1]:4711\"\r\nForwarded: for=unknown\r\n",
            [
                "127.0.0.1",
                "http",
                "web",
                "for=_hidden;proto=https, for=\"[2001:db8::1]:4711\", for=unknown, for=127.0.0.1;host=web;proto=http",
            ],
        ),
        (
            "Connection: x-forwarded-for\r\nX-Forwarded-For: 203.0.113.9\r\n",
            ["203.0.113.9, 127.0.0.1", "http", "web", "for=127.0.0.1;host=web;proto=http"],
        ),
    ] {
        check(&world, &backend, said, told);
    }
}

#[test]
fn a_second_request_of_a_connection_has_its_own() {
    let backend = Backend::answering(OK);
    let world = World::of(&[&backend], &[]);
    let mut client = world.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\nX-Real-IP: 1.2.3.4\r\n\r\nGET / HTTP/1.1\r\nHost: b\r\nX-Forwarded-For: 1\r\n\r\n");
    for _ in 0..2 {
        assert_eq!(client.response("GET").unwrap().status(), 200);
    }
    let hosts: Vec<_> =
        backend.take_requests().iter().map(|request| request.header("x-forwarded-host")).collect();
    assert_eq!(hosts, [Some("a".to_owned()), Some("b".to_owned())]);
}

#[track_caller]
fn check(world: &World, backend: &Backend, said: &str, told: [&str; 4]) {
    let mut client = world.client();
    client.send(format!("GET / HTTP/1.1\r\nHost: web\r\n{said}\r\n"));
    assert_eq!(client.response("GET").map(|response| response.status()), Ok(200), "{said}");
    let requests = backend.take_requests();
    assert_eq!(ADDED.map(|name| requests[0].header(name).unwrap_or_default()), told, "{said}");
    for name in ["x-real-ip", "x-forwarded-port"] {
        assert_eq!(requests[0].header(name), None, "{said}");
    }
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
