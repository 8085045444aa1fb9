//! Reads an answer as we do and as hyper's client does, for tests and for fuzz targets.

use std::future::poll_fn;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Frame;
use hyper::client::conn::http1;
use hyper::{HeaderMap, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::runtime::{Builder, Runtime};
use tokio::task::LocalSet;

use super::read_error::ReadError;
use super::request_kind::RequestKind;
use super::response_reader::ResponseReader;

/// A whole answer: what is left of its head, and its body.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Whole {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    pub(super) trailers: HeaderMap,
}

/// What an endpoint's `bytes` say that come in pieces of such sizes, the last again and again, to one that asked with `method`.
pub(super) fn heard(method: &str, bytes: &[u8], sizes: &[usize]) -> Result<Whole, ReadError> {
    block_on(async {
        let mut inbox = ResponseReader::default();
        let mut io = said(bytes, sizes, false);
        let head = loop {
            let head = poll_fn(|cx| inbox.poll_head(&mut io, asks(method), cx)).await?;
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

fn asks(method: &str) -> RequestKind {
    match method {
        "HEAD" => RequestKind::Head,
        "CONNECT" => RequestKind::Tunnel,
        _ => RequestKind::Content,
    }
}

/// What hyper's client makes of the same; nothing where it finds a mistake.
pub(super) fn heard_by_hyper(method: &str, bytes: &[u8]) -> Option<Whole> {
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

/// Panics where the pieces that `bytes` come in change what they say, or where hyper reads them otherwise. What only hyper takes is no
/// mistake: we are the stricter one.
#[cfg(feature = "fuzzing")]
pub(crate) fn check(bytes: &[u8]) {
    for method in ["GET", "HEAD"] {
        let whole = heard(method, bytes, &[8192]);
        for sizes in [&[1][..], &[2, 3, 7], &[40, 1]] {
            let pieces = heard(method, bytes, sizes);
            assert_eq!(pieces.as_ref().ok(), whole.as_ref().ok(), "in pieces of {sizes:?} bytes");
        }
        let Ok(mut ours) = whole else { continue };
        let Some(theirs) = heard_by_hyper(method, bytes) else { continue };
        ours.headers = theirs.headers.clone(); // those of the hop are left to it
        assert_eq!(ours, theirs);
    }
}
