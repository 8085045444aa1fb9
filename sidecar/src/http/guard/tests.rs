//! Requests in any pieces; hyper alone is the oracle of where they end, a list of rules that of which are none.

use std::cell::RefCell;
use std::convert::Infallible;
use std::rc::Rc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream};
use tokio::runtime::Builder;
use tokio::task::LocalSet;

use super::{Guarded, Rule};
use crate::http::limits::HEADERS_MAX;
use crate::http::pulse::Pulse;

/// A request as a service has it. No body: it has no end.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    head: String,
    body: Option<(Vec<u8>, HeaderMap)>,
}

/// What is seen of such bytes: the requests, and the rule that ended them.
type Heard = (Vec<Seen>, Option<Rule>);

/// What comes through of `bytes` in pieces of such sizes, the last again and again.
fn through(bytes: &[u8], sizes: &[usize]) -> Heard {
    let pulse = Pulse::new();
    block_on(async { serve(Guarded::new(said(bytes, sizes), pulse.clone()), &pulse).await })
}

/// What hyper makes of them alone.
fn to_hyper(bytes: &[u8]) -> Vec<Seen> {
    block_on(async { serve(said(bytes, &[usize::MAX]), &Pulse::new()).await }).0
}

async fn serve(io: impl AsyncRead + AsyncWrite + Unpin + 'static, pulse: &std::sync::Arc<Pulse>) -> Heard {
    let seen: Rc<RefCell<Vec<Seen>>> = Rc::default();
    let rule: Rc<RefCell<Option<Rule>>> = Rc::default();
    let service = service_fn(|request: Request<Incoming>| {
        let (seen, rule, pulse) = (seen.clone(), rule.clone(), pulse.clone());
        async move {
            pulse.turns.next();
            let mut response = Response::new(Empty::<Bytes>::new());
            if let Some(refused) = pulse.turns.refused() {
                *rule.borrow_mut() = Some(refused.rule);
                *response.status_mut() = StatusCode::BAD_REQUEST;
                response.headers_mut().insert("connection", "close".parse().unwrap());
                return Ok::<_, Infallible>(response);
            }
            if request.method() == Method::CONNECT {
                *response.status_mut() = StatusCode::BAD_REQUEST;
                response.headers_mut().insert("connection", "close".parse().unwrap());
            }
            let head = format!("{} {} {:?}", request.method(), request.uri(), request.headers());
            let body = request.into_body().collect().await.ok();
            let body = body.map(|body| {
                let trailers = body.trailers().cloned().unwrap_or_default();
                (body.to_bytes().to_vec(), trailers)
            });
            seen.borrow_mut().push(Seen { head, body });
            pulse.turns.end();
            Ok(response)
        }
    });
    let _ended = http1::Builder::new()
        .half_close(true)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(io), service)
        .await;
    let (seen, rule) = (seen.borrow().clone(), *rule.borrow());
    (seen, rule)
}

/// A client that says this, and nothing more.
fn said(bytes: &[u8], sizes: &[usize]) -> DuplexStream {
    let (near, far) = tokio::io::duplex(256 * 1024);
    let (bytes, sizes) = (bytes.to_vec(), sizes.to_vec());
    let (mut reads, mut writes) = tokio::io::split(far);
    tokio::task::spawn_local(async move { reads.read_to_end(&mut Vec::new()).await.ok() });
    tokio::task::spawn_local(async move {
        let mut rest = &bytes[..];
        let mut sizes = sizes.iter().chain(std::iter::repeat(sizes.last().unwrap_or(&1)));
        while let (false, Some(&size)) = (rest.is_empty(), sizes.next()) {
            let (piece, later) = rest.split_at(size.clamp(1, rest.len()));
            writes.write_all(piece).await.ok();
            tokio::task::yield_now().await;
            rest = later;
        }
        writes.shutdown().await.ok();
    });
    near
}

fn block_on<T>(what: impl Future<Output = T>) -> T {
    LocalSet::new().block_on(&Builder::new_current_thread().build().expect("a runtime"), what)
}

/// Breaks this rule, in whatever pieces, behind a request that is in order.
#[track_caller]
fn breaks(rule: Rule, head: &str) {
    let sent = format!("GET /before HTTP/1.1\r\nHost: a\r\n\r\n{head}");
    for size in [8192, 1, 2, 3, 7, 36] {
        let (seen, broken) = through(sent.as_bytes(), &[size]);
        assert_eq!((seen.len(), broken), (1, Some(rule)), "{head:?} by {size}");
    }
}

/// Has a body that breaks off: nobody sees all of it.
#[track_caller]
fn is_cut(body: &str) {
    let sent = format!("{CHUNKED}{body}");
    for size in [8192, 1, 2, 3, 7] {
        let (seen, _) = through(sent.as_bytes(), &[size]);
        assert_eq!(seen.first().map(|seen| seen.body.is_none()), Some(true), "{body:?} by {size}");
        assert_eq!(seen.len(), 1, "{body:?} by {size}");
    }
}

#[test]
fn a_line_of_a_head_ends_with_crlf() {
    for head in [
        "GET / HTTP/1.1\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\n",
        "GET / HTTP/1.1\nHost: a\n\n",
        "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\n\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\nHost: a, and it waits for what we say",
    ] {
        breaks(Rule::LineEnd, head);
    }
}

#[test]
fn each_rule_is_told() {
    let get = |lines: &str| format!("GET / HTTP/1.1\r\n{lines}\r\n\r\n");
    breaks(Rule::Method, "GE(T / HTTP/1.1\r\n\r\n");
    breaks(Rule::Target, "GET /\0 HTTP/1.1\r\n\r\n");
    breaks(Rule::Target, "GET a/b HTTP/1.1\r\n\r\n");
    breaks(Rule::Version, "GET / HTTP/1.2\r\n\r\n");
    breaks(Rule::Version, "GET / HTTP/11\r\n\r\n");
    breaks(Rule::FieldName, &get("A : b"));
    breaks(Rule::FieldName, &get("A: b\r\n c"));
    breaks(Rule::FieldValue, &get("A: b\0"));
    breaks(Rule::Length, &get("Content-Length: 1, 1"));
    breaks(Rule::Length, &get("Content-Length: +1"));
    breaks(Rule::Length, &get("Content-Length: 18446744073709551615"));
    breaks(Rule::Lengths, &get("Content-Length: 1\r\nContent-Length: 2"));
    breaks(Rule::Coding, &get("Transfer-Encoding: gzip, chunked"));
    breaks(Rule::Coding, &get("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"));
    breaks(Rule::CodingOfHttp10, "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n");
    breaks(Rule::ContentOfConnect, "CONNECT a:1 HTTP/1.1\r\nContent-Length: 1\r\n\r\n");
    breaks(Rule::TooManyFields, &get(&"A: b\r\n".repeat(HEADERS_MAX + 1)));
    breaks(Rule::HeadTooLarge, &get(&format!("A: {}", "b".repeat(64 * 1024))));
    breaks(Rule::TargetTooLong, &format!("GET /{} HTTP/1.1\r\n\r\n", "b".repeat(64 * 1024)));
    breaks(Rule::CutShort, "GET / HTTP/1.1\r\nHos");
    breaks(Rule::CutShort, "GE");
}

#[test]
fn many_fields_are_no_fault() {
    let sent = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(HEADERS_MAX));
    assert_eq!(through(sent.as_bytes(), &[8192]).0.len(), 1);
}

#[test]
fn nothing_is_left_of_a_client_that_says_nothing() {
    for sent in ["", "\r\n", "\r\n\r\n", "\r"] {
        assert_eq!(through(sent.as_bytes(), &[8192]), (Vec::new(), None), "{sent:?}");
    }
}

#[test]
fn the_lines_of_a_body_end_with_crlf_and_have_no_control_characters() {
    for body in [
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5;a\n\r\nhello\r\n0\r\n\r\n",
        "5;a\0\r\nhello\r\n0\r\n\r\n",
        "5;a=\"\x07\"\r\nhello\r\n0\r\n\r\n",
        "5;a\x7f\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\n0\n\r\n",
        "5\r\nhello\r\n0\r\n\n",
        "5\r\nhello\r\n0\r\nX: a\n\r\n",
        "5\r\nhello\r\n0\r\nX: a\nY: b\r\n\r\n",
        "5\r\nhello\r\n0\r\nX: a\rY: b\r\n\r\n",
        "5\r\nhello\r\n0\r\nX: a\r\n b\r\n\r\n",
        "5\r\nhello\r\n0\r\nX: \0\r\n\r\n",
    ] {
        is_cut(body);
    }
}

#[test]
fn what_everybody_types_goes_on_percent_encoded_where_no_uri_has_it() {
    for (target, seen) in [
        ("/a?q=up{job=\"a\"}>1", "/a?q=up{job=%22a%22}%3E1"),
        ("/<a>?b<c|d^e`f", "/%3Ca%3E?b%3Cc|d^e`f"),
        ("/{a}`\"\\|^", "/{a}%60\"\\|^"),
        ("/plain", "/plain"),
        ("http://a/b?\"", "http://a/b?%22"),
    ] {
        let sent = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\nGET /behind HTTP/1.1\r\nHost: a\r\n\r\n");
        for size in [8192, 1, 7] {
            let (heads, _) = through(sent.as_bytes(), &[size]);
            let targets: Vec<_> = heads.iter().filter_map(|seen| seen.head.split(' ').nth(1)).collect();
            assert_eq!(targets, [seen, "/behind"], "{target} by {size}");
        }
    }
}

#[test]
fn behind_an_upgrade_that_is_none_are_requests() {
    let sent = "POST /1 HTTP/1.1\r\nUpgrade: x\r\nContent-Length: 5\r\n\r\nhelloGET /2 HTTP/1.1\r\n\r\nGET /3 HTTP/1.1\r\n\r\n";
    for size in [8192, 1, 2, 3, 7] {
        assert_eq!(through(sent.as_bytes(), &[size]).0.len(), 3, "by {size}");
    }
}

const CHUNKED: &str = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

/// Something like requests: parts of them, in any order.
fn requests() -> impl Strategy<Value = String> {
    let part = proptest::sample::select(PARTS);
    let message = proptest::sample::select(MESSAGES);
    proptest::collection::vec(prop_oneof![1 => part, 1 => message], 0..10).prop_map(|parts| parts.concat())
}

const MESSAGES: &[&str] = &[
    CHUNKED,
    "GET /a HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /a\"?\"<> HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST /b HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
    "POST /c HTTP/1.1\r\nUpgrade: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n",
    "POST /d HTTP/1.0\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\n",
];
const PARTS: &[&str] = &[
    "GET /e HTTP/1.1\r\n",
    "POST /f HTTP/1.1\r\n",
    "GET /g HTTP/1.0\r\n",
    "CONNECT a:1 HTTP/1.1\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "Content-Length: 5\r\n",
    "Content-Length: 3\r\n",
    "Content-Length: 03\r\n",
    "content-length: 99999999999999999999\r\n",
    "Transfer-Encoding: chunked\r\n",
    "transfer-encoding: identity\r\n",
    "Connection: close\r\n",
    "Upgrade: x\r\n",
    "Expect: 100-continue\r\n",
    "A: b\r\n",
    "A: b\n",
    "\r\n",
    "\n",
    "\r",
    " ",
    "\0",
    "é",
    "5\r\nhello\r\n",
    "3;x\r\nabc\r\n",
    "3 ;x=\"y\"\r\nabc\r\n",
    "3;\0\r\nabc\r\n",
    "0\r\n\r\n",
    "0\r\nX: y\r\n\r\n",
    "0\r\nX: y\n\r\n",
    "hello",
    "abc",
];

proptest! {
    #[test]
    fn the_pieces_that_requests_come_in_change_nothing(
        text in requests(),
        sizes in proptest::collection::vec(1..60_usize, 1..8),
    ) {
        let ((pieces, rule), (whole, other)) = (through(text.as_bytes(), &sizes), through(text.as_bytes(), &[usize::MAX]));
        prop_assert_eq!(pieces, whole);
        prop_assert_eq!(rule.is_some(), other.is_some()); // which comes first, where two are broken, may differ
    }

    /// We are the stricter one; what goes on, hyper has alone too, and where a message ends both agree on.
    #[test]
    fn hyper_sees_the_same_until_a_rule_is_broken(text in requests()) {
        let ((ours, rule), theirs) = (through(text.as_bytes(), &[usize::MAX]), to_hyper(text.as_bytes()));
        let cut = ours.last().is_some_and(|last| last.body.is_none());
        if rule.is_none() && !cut && !text.contains('"') {
            prop_assert_eq!(&ours, &theirs);
        }
        let whole = ours.iter().take_while(|seen| seen.body.is_some() && !seen.head.contains("%22"));
        for (ours, theirs) in whole.zip(&theirs) {
            prop_assert_eq!(ours, theirs);
        }
        if !text.contains('"') {
            prop_assert!(ours.len() <= theirs.len(), "{:?} {:?}", ours, theirs);
        }
    }
}
