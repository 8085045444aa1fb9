//! What endpoints say, in any pieces; hyper's client is the oracle.

use std::future::poll_fn;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Frame;
use hyper::client::conn::http1;
use hyper::{HeaderMap, Request, StatusCode};
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::runtime::{Builder, Runtime};
use tokio::task::LocalSet;

use super::inbox::{Inbox, Unheard};

/// A whole answer: what is left of its head, and its body.
#[derive(Debug, PartialEq, Eq)]
struct Whole {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
    trailers: HeaderMap,
}

/// What an endpoint's `bytes` say that come in pieces of such sizes, the last again and again, to one that asked with `method`.
fn heard(method: &str, bytes: &[u8], sizes: &[usize]) -> Result<Whole, Unheard> {
    block_on(async {
        let mut inbox = Inbox::default();
        let mut io = said(bytes, sizes, false);
        let head = loop {
            let head = poll_fn(|cx| inbox.poll_head(&mut io, method == "HEAD", cx)).await?;
            if !head.parts.status.is_informational() || head.parts.status == StatusCode::SWITCHING_PROTOCOLS {
                break head;
            }
        };
        let (mut body, mut trailers) = (Vec::new(), HeaderMap::new());
        while let Some(frame) = poll_fn(|cx| inbox.poll_frame(&mut io, cx)).await {
            match frame?.into_data() {
                Ok(data) => body.extend_from_slice(&data),
                Err(frame) => trailers = frame.into_trailers().unwrap_or_default(),
            }
        }
        Ok(Whole { status: head.parts.status, headers: head.parts.headers, body, trailers })
    })
}

/// What hyper's client makes of the same; nothing where it finds a mistake.
fn heard_by_hyper(method: &str, bytes: &[u8]) -> Option<Whole> {
    block_on(async {
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(said(bytes, &[8192], true))).await.ok()?;
        tokio::task::spawn_local(connection);
        let request = Request::builder().method(method).uri("/").header("host", "a");
        let response = sender.send_request(request.body(Empty::<Bytes>::new()).ok()?).await.ok()?;
        let (head, mut incoming) = response.into_parts();
        let (mut body, mut trailers) = (Vec::new(), HeaderMap::new());
        while let Some(frame) = incoming.frame().await {
            let frame: Frame<Bytes> = frame.ok()?;
            match frame.into_data() {
                Ok(data) => body.extend_from_slice(&data),
                Err(frame) => trailers = frame.into_trailers().unwrap_or_default(),
            }
        }
        Some(Whole { status: head.status, headers: head.headers, body, trailers })
    })
}

/// An endpoint that says this and leaves; to who speaks first once it has heard something.
fn said(bytes: &[u8], sizes: &[usize], hears_first: bool) -> DuplexStream {
    let (near, mut far) = tokio::io::duplex(64 * 1024);
    let (bytes, sizes) = (bytes.to_vec(), sizes.to_vec());
    tokio::task::spawn_local(async move {
        if hears_first {
            far.read_u8().await.ok();
        }
        let mut rest = &bytes[..];
        let mut sizes = sizes.iter().chain(std::iter::repeat(sizes.last().unwrap_or(&1)));
        while let (false, Some(&size)) = (rest.is_empty(), sizes.next()) {
            let (piece, later) = rest.split_at(size.clamp(1, rest.len()));
            far.write_all(piece).await.ok();
            tokio::task::yield_now().await;
            rest = later;
        }
        far.shutdown().await.ok();
        far.read_to_end(&mut Vec::new()).await.ok();
    });
    near
}

fn block_on<T>(what: impl Future<Output = T>) -> T {
    let runtime: Runtime = Builder::new_current_thread().build().expect("a runtime");
    LocalSet::new().block_on(&runtime, what)
}

const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

#[track_caller]
fn is(method: &str, text: &str, status: u16, body: &str) {
    let whole = heard(method, text.as_bytes(), &[8192]);
    assert_eq!(
        whole.as_ref().map(|whole| (whole.status.as_u16(), &whole.body[..])),
        Ok((status, body.as_bytes()))
    );
    for size in [1, 2, 3, 7] {
        assert_eq!(heard(method, text.as_bytes(), &[size]), whole, "in pieces of {size} bytes");
    }
}

#[track_caller]
fn is_not(text: &str, because: Unheard) {
    for size in [8192, 1, 2, 3, 7] {
        assert_eq!(heard("GET", text.as_bytes(), &[size]).err(), Some(because), "{text:?} by {size}");
    }
}

#[test]
fn a_body_ends_where_rfc_9112_says() {
    is("GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "hello");
    is("GET", "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\nContent-Length: 5\r\n\r\nhello", 200, "hello");
    is("GET", "HTTP/1.1 200 OK\r\n\r\nhello", 200, "hello");
    is("GET", "HTTP/1.0 200 OK\r\n\r\nhello", 200, "hello");
    is("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", 200, "");
    is("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 304, "");
    is("GET", "HTTP/1.1 204 No Content\r\n\r\n", 204, "");
    is("GET", &format!("{CHUNKED}5\r\nhello\r\n1;a=b\r\n!\r\n0\r\n\r\n"), 200, "hello!");
    is(
        "GET",
        &format!("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 x\r\nA: b\r\n\r\n{CHUNKED}0\r\n\r\n"),
        200,
        "",
    );
}

#[test]
fn what_could_be_read_in_two_ways_is_not_read() {
    let head = |lines: &str| format!("HTTP/1.1 200 OK\r\n{lines}\r\n\r\nhello");
    is_not(&head("Content-Length: 5\r\nContent-Length: 4"), Unheard::Malformed);
    is_not(&head("Content-Length: +5"), Unheard::Malformed);
    is_not(&head("Content-Length: 5, 4"), Unheard::Malformed);
    is_not(&head("Content-Length: 18446744073709551616"), Unheard::Malformed);
    is_not(&head("Content-Length:"), Unheard::Malformed);
    is_not(&head("Transfer-Encoding: gzip, chunked"), Unheard::Malformed);
    is_not(&head("Transfer-Encoding: gzip"), Unheard::Malformed);
    is_not(&head("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"), Unheard::Malformed);
    is_not("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Unheard::Malformed);
    is_not(&head("A: b\r\n c: d"), Unheard::Malformed);
    is_not(&head("A : b"), Unheard::Malformed);
    is_not("HTTP/2 200 OK\r\n\r\n", Unheard::Malformed);
    is_not("hello\r\n", Unheard::Malformed);
    for chunks in [
        "\r\nx",
        "0x5\r\nhello",
        "5 5\r\nhello",
        "-1\r\n",
        "5;a\nb\r\nhello",
        "5\r\nhello!\n",
        "10000000000000000\r\n",
    ] {
        is_not(&format!("{CHUNKED}{chunks}\r\n0\r\n\r\n"), Unheard::Malformed);
    }
}

#[test]
fn what_breaks_off_is_not_whole() {
    is_not("", Unheard::CutShort);
    is_not("HTTP/1.1 200 OK\r\nContent-Le", Unheard::CutShort);
    is_not("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello", Unheard::CutShort);
    for chunks in ["", "5\r\nhel", "5\r\nhello\r\n", "5\r\nhello\r\n0\r\n", "0\r\nA: b\r\n"] {
        is_not(&format!("{CHUNKED}{chunks}"), Unheard::CutShort);
    }
}

#[test]
fn a_head_a_line_and_trailers_have_limits() {
    let long = "a".repeat(64 * 1024);
    is_not(&format!("HTTP/1.1 200 OK\r\nA: {long}"), Unheard::Malformed);
    is_not(&format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(101)), Unheard::Malformed);
    is_not(&format!("{CHUNKED}5;{long}"), Unheard::Malformed);
    is_not(&format!("{CHUNKED}0\r\nA: {long}"), Unheard::Malformed);
}

#[test]
fn what_belongs_to_the_hop_ends_here_and_trailers_come_last() {
    let text = "HTTP/1.1 200 OK\r\nConnection: X-Hop, keep-alive\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nContent-Length: 9\r\n\
                Transfer-Encoding: chunked\r\nA: 1\r\nA: 2\r\n\r\n0\r\nX-Sum: 1\r\n\r\n";
    let whole = heard("GET", text.as_bytes(), &[1]).unwrap();
    let lines: Vec<_> = whole.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    assert_eq!(lines, [("a", &b"1"[..]), ("a", b"2")]);
    assert_eq!(whole.trailers["x-sum"], "1");
}

/// Something like an answer: parts of answers, in any order.
fn answer() -> impl Strategy<Value = String> {
    let first = proptest::sample::select(vec![START, ""]);
    let parts = proptest::collection::vec(proptest::sample::select(PARTS), 0..8);
    (first, parts).prop_map(|(first, parts)| first.to_owned() + &parts.concat())
}

const START: &str = "HTTP/1.1 200 OK\r\n";
const PARTS: &[&str] = &[
    START,
    "HTTP/1.1 100 Continue\r\n\r\n",
    "HTTP/1.0 404 x\r\n",
    "Content-Length: 5\r\n",
    "Content-Length: 3\r\n",
    "Transfer-Encoding: chunked\r\n",
    "A: b\r\n",
    "\r\n",
    "\n",
    "5\r\nhello\r\n",
    "3;x\r\nabc\r\n",
    "0\r\n\r\n",
    "0\r\nX: y\r\n\r\n",
    "hello",
    "é",
];

proptest! {
    #[test]
    fn the_pieces_that_an_answer_comes_in_change_nothing(
        text in answer(),
        sizes in proptest::collection::vec(1..40_usize, 1..8),
        method in proptest::sample::select(vec!["GET", "HEAD"]),
    ) {
        let [pieces, whole] = [&sizes[..], &[8192]].map(|sizes| heard(method, text.as_bytes(), sizes).ok());
        prop_assert_eq!(pieces, whole);
    }

    /// We are the stricter one; what both take, both take alike.
    #[test]
    fn hyper_hears_the_same(text in answer(), method in proptest::sample::select(vec!["GET", "HEAD"])) {
        if let Ok(mut ours) = heard(method, text.as_bytes(), &[8192]) {
            let Some(theirs) = heard_by_hyper(method, text.as_bytes()) else {
                return Err(TestCaseError::fail("hyper does not take it"));
            };
            ours.headers = theirs.headers.clone(); // those of the hop are left to it
            prop_assert_eq!(ours, theirs);
        }
    }
}
