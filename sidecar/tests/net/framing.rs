//! What an endpoint really sees of requests that could be read in two ways: exactly one request, or nothing.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use crate::support::*;
use crate::web::{VIP, web};

#[test]
fn a_plain_request_arrives_once_and_whole() {
    let received = sent("POST /a HTTP/1.1\r\nHost: web\r\nContent-Length: 5\r\n\r\nhello");
    assert_eq!(requests(&received), 1, "{received}");
    assert!(received.ends_with("\r\n\r\nhello"), "{received}");
}

#[test]
fn hop_by_hop_headers_and_what_connection_names_end_here() {
    let received = sent(
        "GET / HTTP/1.1\r\nHost: web\r\nConnection: x-secret, keep-alive\r\nX-Secret: 1\r\nKeep-Alive: 5\r\n\
         Proxy-Authorization: 2\r\nTE: gzip\r\nX-Kept: 3\r\n\r\n",
    );
    let lower = received.to_lowercase();
    for gone in ["x-secret", "keep-alive: 5", "proxy-authorization", "gzip"] {
        assert!(!lower.contains(gone), "{gone} in {received}");
    }
    assert!(lower.contains("x-kept: 3\r\n"), "{received}");
}

#[test]
fn forwarding_headers_of_a_stranger_are_dropped_and_set_anew() {
    let received = sent(
        "GET / HTTP/1.1\r\nHost: web\r\nX-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Host: evil\r\n\
         Forwarded: for=203.0.113.9\r\nX-Real-IP: 203.0.113.9\r\n\r\n",
    );
    assert!(!received.contains("203.0.113.9") && !received.contains("evil"), "{received}");
    assert!(received.to_lowercase().contains("x-forwarded-for: 127.0.0.1\r\n"), "{received}");
}

#[test]
fn an_ambiguous_request_is_refused_or_becomes_exactly_one() {
    isolated(|| {
        let pod = Pod::here();
        let recorder = recorder(&pod);
        for request in AMBIGUOUS {
            let received = sent_to(&recorder, request);
            assert!(requests(&received) <= 1, "{request:?} became {received:?}");
        }
    });
}

/// Each hides a second request from somebody who reads it in one of two ways, or could be read in two ways itself.
const AMBIGUOUS: &[&str] = &[
    // Both lengths (RFC 9112 §6.1), in both orders.
    "POST / HTTP/1.1\r\nHost: web\r\nContent-Length: 45\r\nTransfer-Encoding: chunked\r\n\r\n\
     0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: web\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n\
     2e\r\nGET /smuggled HTTP/1.1\r\nHost: web\r\nX: y\r\n\r\n\r\n0\r\n\r\n",
    // Two different lengths.
    "POST / HTTP/1.1\r\nHost: web\r\nContent-Length: 0\r\nContent-Length: 40\r\n\r\n\
     GET /smuggled HTTP/1.1\r\nHost: web\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: web\r\nContent-Length: 0, 40\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: web\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: web\r\nContent-Length: +4\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: web\r\n\r\n",
    // Codings that are not, or not only, chunked.
    "POST / HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: web\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked, identity\r\n\r\n\
     0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: web\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: web\r\nTransfer-Encoding : chunked\r\nContent-Length: 5\r\n\r\n\
     0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: web\r\n\r\n",
    "POST / HTTP/1.0\r\nHost: web\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: web\r\n\r\n",
    // A chunk size that overflows, and one with a sign.
    "POST / HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\n\r\n\
     10000000000000000\r\nGET /smuggled HTTP/1.1\r\nHost: web\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\n\r\n+1\r\nGET /smuggled HTTP/1.1\r\nHost: web\r\n\r\n",
    // Two hosts, none, and an absolute target that disagrees.
    "GET / HTTP/1.1\r\nHost: web\r\nHost: other\r\n\r\n",
    "GET / HTTP/1.1\r\n\r\n",
    "GET http://web/ HTTP/1.1\r\nHost: other\r\n\r\n",
    // Folded and broken lines.
    "GET / HTTP/1.1\r\nHost: web\r\nX: a\r\n Transfer-Encoding: chunked\r\n\r\n",
    "GET / HTTP/1.1\nHost: web\nX: y\n\n",
    "GET / HTTP/1.1\r\nHost: web\r\nX: a\rContent-Length: 40\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: web\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: web\r\nX\0: a\r\n\r\n",
    "GET / HTTP/1.1\r\n Host: web\r\n\r\n",
];

/// Sends `request` through a sidecar; what the endpoint was sent, on all connections together.
fn sent(request: &str) -> String {
    let mut received = String::new();
    isolated(|| {
        let pod = Pod::here();
        received = sent_to(&recorder(&pod), request);
    });
    received
}

fn recorder(pod: &Pod) -> Recorder {
    let address = format!("{}:80", Pod::backend_v4(1));
    pod.node.enter(|| Recorder::start(&address, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
}

fn sent_to(recorder: &Recorder, request: &str) -> String {
    let connections_before = recorder.received().len(); // a new sidecar has no connection from before
    let _sidecar = Sidecar::start(web("http", 1), VIP);
    let mut client = TcpStream::connect("127.66.0.1:80").expect("the VIP listens");
    client.write_all(request.as_bytes()).expect("a few bytes fit into the socket");
    let answer = [ANSWER_WAIT, MORE_WAIT].map(|wait| read_within(&mut client, wait)).concat();
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1."), "{request:?} is answered with {answer:?}");
    recorder.received()[connections_before..].concat()
}

/// How long a request may take; some of the broken ones leave the sidecar waiting for their end.
const ANSWER_WAIT: Duration = Duration::from_secs(1);

/// How long a second, smuggled request would take at most, once the first is answered.
const MORE_WAIT: Duration = Duration::from_millis(200);

fn read_within(client: &mut TcpStream, wait: Duration) -> Vec<u8> {
    client.set_read_timeout(Some(wait)).expect("a timeout above zero is legal");
    let mut buffer = vec![0; 4096];
    let count = client.read(&mut buffer).unwrap_or(0);
    buffer.truncate(count);
    buffer
}

/// How many requests a strict reader finds in what an endpoint was sent. Panics where a head can be read in two ways.
fn requests(received: &str) -> usize {
    let mut count = 0;
    let mut rest = received;
    while let Some((head, after)) = rest.split_once("\r\n\r\n") {
        count += 1;
        rest = after_body(&head.to_lowercase(), after);
    }
    count
}

fn after_body<'a>(head: &str, body: &'a str) -> &'a str {
    let values =
        |name: &str| head.split("\r\n").filter_map(|line| line.strip_prefix(name)).collect::<Vec<&str>>();
    assert_eq!(values("host:").len(), 1, "{head}");
    match (values("content-length:").as_slice(), values("transfer-encoding:").as_slice()) {
        ([], []) => body,
        ([length], []) => after(body, length.trim().parse().expect("a length is a number")),
        ([], [coding]) => {
            assert_eq!(coding.trim(), "chunked", "{head}");
            after_chunks(body)
        }
        (_, _) => panic!("more than one length: {head}"),
    }
}

/// What follows the last chunk; nothing where the body was broken off.
fn after_chunks(mut body: &str) -> &str {
    loop {
        let Some((size, chunk)) = body.split_once("\r\n") else { return "" };
        match usize::from_str_radix(size, 16).expect("a chunk's size is a hexadecimal number") {
            0 => return after(chunk, "\r\n".len()),
            size => body = after(chunk, size + "\r\n".len()),
        }
    }
}

fn after(text: &str, bytes: usize) -> &str {
    text.get(bytes..).unwrap_or_default()
}

#[test]
fn the_strict_reader_counts() {
    let plain = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let chunked =
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n\r\n\r\n\r\n0\r\n\r\n";
    let sized = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n\r\n\r\n";
    assert_eq!(requests(&[plain, chunked, sized, plain].concat()), 4);
}
