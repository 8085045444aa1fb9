//! Heads and orders of events that nobody should send, and somebody will. Whatever is done with them, the VM goes on.

use super::fields::{Fields, fields};
use super::hand_over::running;
use super::host::{Outcome, Passed, Request, Vm};
use super::proxy::Proxy;

fn with_headers(headers: Fields) -> Request<'static> {
    Request { headers, ..Request::get("web") }
}

/// The VM still does what it is there for.
fn still_works(vm: &mut Vm) {
    assert!(matches!(vm.exchange(Request::get("web")), Outcome::Continued(_)));
}

#[test]
fn a_head_may_be_anything() {
    let mut vm = running(r#", "unknown": "refuse", "trustedProxies": ["127.0.0.0/8"]"#);
    let long = "x".repeat(300_000);
    let many: Fields = (0..10_000).map(|index| (format!("x-{index}"), b"1".to_vec())).collect();
    let bytes: Vec<u8> = (0..=255).collect();
    let whole = |name: &str, value: &[u8]| {
        let mut headers = Request::get("web").headers;
        headers.push((name.to_owned(), value.to_vec()));
        headers
    };
    for headers in [
        Vec::new(),
        fields(&[("", "")]),
        fields(&[(":authority", "")]),
        fields(&[(":authority", "web"), (":authority", "nobody")]),
        fields(&[(":authority", &long)]),
        fields(&[("x-forwarded-for", "203.0.113.1")]),
        vec![(":authority".into(), bytes.clone())],
        vec![(":method".into(), bytes.clone()), (":authority".into(), b"web".to_vec())],
        [Request::get("web").headers, many].concat(),
        whole("x-forwarded-for", &bytes),
        whole("x-forwarded-for", long.as_bytes()),
        whole("x-forwarded-for", ",".repeat(100_000).as_bytes()),
        whole("forwarded", "for=\"".repeat(50_000).as_bytes()),
        whole("forwarded", &bytes),
        whole("via", "(".repeat(100_000).as_bytes()),
        whole("via", &bytes),
        whole("x-forwarded-host", &bytes),
        whole(&long, b"1"),
        whole("\u{0}\u{ffff}", b"\0"),
    ] {
        vm.exchange(with_headers(headers));
        still_works(&mut vm);
    }
}

#[test]
fn an_answer_may_be_anything() {
    let mut vm = running("");
    for (status, headers) in [
        (0, &[][..]),
        (65535, &[]),
        (503, &[("retry-after", "99999999999999999999999")]),
        (429, &[("retry-after", "Thu, 99 Foo 2026 99:99:99 GMT")]),
        (200, &[("grpc-status", "-1"), ("grpc-retry-pushback-ms", "9999999999999999999")]),
    ] {
        let (id, _) = vm.request(
            Request { protocol: "HTTP/2", ..Request::get("web") }
                .with(&[("content-type", "application/grpc")]),
        );
        vm.respond(id, status, headers);
        vm.respond(id, status, headers); // twice, which is once too often
        vm.end(id);
        still_works(&mut vm);
    }
    let (unanswered, _) = vm.request(Request::get("web"));
    vm.end(unanswered);
    still_works(&mut vm);
}

#[test]
fn a_connection_may_be_anything() {
    let mut vm = Vm::running(
        r#"{"filter": "tcp", "proxyProtocol": "require", "trustedProxies": ["127.0.0.0/8"]}"#,
        Proxy::default(),
    );
    let zeros = vec![0; 200_000];
    for bytes in [&b""[..], b"\0", b"PROXY", b"PROXY \r\n", b"\r\n\r\n\0\r\nQUIT\n\xff\xff\xff\xff", &zeros] {
        for ended in [false, true] {
            let (id, _) = vm.connect("127.0.0.1:4711", "127.0.0.1:80");
            vm.data(id, bytes, ended);
            vm.data(id, bytes, true);
            vm.answer_data(id, &zeros);
            vm.hang_up(id);
        }
    }
    let (id, held) = vm.connect("127.0.0.1:4711", "127.0.0.1:80");
    assert_eq!(held, Passed::Held);
    assert_eq!(vm.data(id, b"PROXY UNKNOWN\r\nabc", false), Passed::On(b"abc".to_vec()));
    vm.hang_up(id);
}
