//! A request on its way to an endpoint: its head, then its body as it comes, framed as RFC 9112 §6 has it.

use std::io::IoSlice;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use hyper::body::Body;
use hyper::header::{CONTENT_LENGTH, HeaderMap, HeaderName, TRAILER};
use hyper::http::uri::PathAndQuery;
use hyper::{Method, Uri};
use tokio::io::AsyncWrite;

use super::request_kind::RequestKind;
use crate::http::request_body::UpstreamBody;
use crate::http::target::Form;

/// The head of a request, as far as it says nothing of its body.
pub(crate) struct RequestHead {
    bytes: BytesMut,
    pub(super) asks: RequestKind,
    says_length: bool,
    /// Trailers that may follow (RFC 9110 §6.6.2).
    announced: Vec<HeaderName>,
}

impl RequestHead {
    /// Begins one for `target`, of which the endpoint is told what belongs to its `form`.
    pub(crate) fn begin(method: &Method, target: &Uri, form: Form) -> RequestHead {
        let mut bytes = BytesMut::with_capacity(USUAL_BYTES);
        bytes.extend_from_slice(method.as_str().as_bytes());
        bytes.extend_from_slice(b" ");
        let (path, authority) =
            (target.path_and_query().map_or("/", PathAndQuery::as_str), target.authority());
        match authority.filter(|_| form != Form::Origin) {
            Some(authority) if form == Form::Absolute => {
                bytes.extend_from_slice(b"http://");
                bytes.extend_from_slice(authority.as_str().as_bytes());
            }
            Some(authority) => bytes.extend_from_slice(authority.as_str().as_bytes()),
            None => {}
        }
        let path = if form == Form::Authority { "" } else { path };
        if form != Form::Authority && !path.starts_with(['/', '*']) {
            bytes.extend_from_slice(b"/"); // `http://a?b` has a query and no path
        }
        bytes.extend_from_slice(path.as_bytes());
        bytes.extend_from_slice(b" HTTP/1.1\r\n");
        let asks = match *method {
            Method::HEAD => RequestKind::Head,
            Method::CONNECT => RequestKind::Tunnel,
            _ => RequestKind::Content,
        };
        RequestHead { bytes, asks, says_length: false, announced: Vec::new() }
    }

    #[cfg(test)]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Adds a header. The body's length is said when the body is known.
    pub(crate) fn field(&mut self, name: &HeaderName, value: &[u8]) {
        if *name == CONTENT_LENGTH {
            self.says_length = true;
            return;
        }
        if *name == TRAILER {
            let names = value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
            self.announced.extend(names.filter_map(|name| HeaderName::from_bytes(name).ok()));
        }
        put_field(&mut self.bytes, name.as_str(), value);
    }
}

/// With some headers of the client's and those of ours. What is longer grows.
const USUAL_BYTES: usize = 1024;

fn put_field(bytes: &mut BytesMut, name: &str, value: &[u8]) {
    for part in [name.as_bytes(), b": ", value, b"\r\n"] {
        bytes.extend_from_slice(part);
    }
}

/// What is still to be written of a request. Small parts are gathered, large ones are written from where they are.
#[derive(Default)]
pub(super) struct RequestWriter {
    /// Goes first.
    small: BytesMut,
    /// Goes next, before anything is gathered again.
    large: Bytes,
    /// What was written may still be held back, by TLS.
    unflushed: bool,
    body: Option<Content>,
}

/// A body that has not ended.
struct Content {
    body: UpstreamBody,
    coding: BodyCoding,
    announced: Vec<HeaderName>,
}

/// How the endpoint learns where the body ends.
enum BodyCoding {
    /// After so many bytes more.
    Length(u64),
    /// At the last chunk. The line after the data of the one before may be still to come.
    Chunked { owes_line_end: bool },
}

/// Why a request cannot be sent to its end.
#[derive(Debug)]
pub(super) enum SendError {
    /// Its body has no end, or not where it said.
    Body,
    /// The endpoint takes no more. It may have answered all the same.
    Refused,
}

impl RequestWriter {
    /// Begins a request.
    pub(super) fn begin(head: RequestHead, body: UpstreamBody) -> RequestWriter {
        let mut small = head.bytes;
        let coding = match (body.is_end_stream(), body.size_hint().exact()) {
            (true, _) => None,
            (false, Some(bytes)) => Some(BodyCoding::Length(bytes)),
            (false, None) => Some(BodyCoding::Chunked { owes_line_end: false }),
        };
        match &coding {
            None if head.says_length => put_field(&mut small, "content-length", b"0"),
            None => {}
            Some(BodyCoding::Length(bytes)) => {
                put_field(&mut small, "content-length", bytes.to_string().as_bytes());
            }
            Some(BodyCoding::Chunked { .. }) => put_field(&mut small, "transfer-encoding", b"chunked"),
        }
        small.extend_from_slice(b"\r\n");
        let body = coding.map(|coding| Content { body, coding, announced: head.announced });
        RequestWriter { small, large: Bytes::new(), unflushed: true, body }
    }

    /// Whether all of it was written.
    pub(super) fn is_empty(&self) -> bool {
        self.body.is_none() && self.has_room() && !self.unflushed
    }

    fn has_room(&self) -> bool {
        self.small.is_empty() && self.large.is_empty()
    }

    /// Lets the body go that waited to be asked for.
    pub(super) fn invite(&self) {
        if let Some(content) = &self.body {
            content.body.invite();
        }
    }

    /// Writes as much as there is and as the endpoint takes; ready at the end of the request.
    pub(super) fn poll_send(
        &mut self,
        io: &mut (impl AsyncWrite + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), SendError>> {
        loop {
            self.gather(cx)?;
            if self.has_room() {
                break;
            }
            let parts = [IoSlice::new(&self.small), IoSlice::new(&self.large)];
            let parts = if self.large.is_empty() { &parts[..1] } else { &parts[..] };
            match ready!(Pin::new(&mut *io).poll_write_vectored(cx, parts)) {
                Ok(0) | Err(_) => return Poll::Ready(Err(SendError::Refused)),
                Ok(written) => self.advance(written),
            }
        }
        if self.unflushed {
            ready!(Pin::new(io).poll_flush(cx)).map_err(|_| SendError::Refused)?;
            self.unflushed = false;
        }
        if self.body.is_none() { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    fn advance(&mut self, written: usize) {
        let of_small = written.min(self.small.len());
        self.small.advance(of_small);
        if self.small.is_empty() {
            self.small = BytesMut::new(); // a long head, or much that was gathered, would be held to the end of the body
        }
        self.large.advance(written - of_small);
        self.unflushed = true;
    }

    /// Takes what is there of the body, as long as it is not worth a write.
    fn gather(&mut self, cx: &mut Context<'_>) -> Result<(), SendError> {
        while let Some(content) = &mut self.body {
            if !self.large.is_empty() || self.small.len() >= GATHERED_BYTES_MAX {
                break;
            }
            match Pin::new(&mut content.body).poll_frame(cx) {
                Poll::Pending => break,
                Poll::Ready(None) => self.end(None)?,
                Poll::Ready(Some(Err(_))) => return Err(SendError::Body),
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => self.put(data)?,
                    Err(frame) => self.end(frame.into_trailers().ok())?,
                },
            }
        }
        Ok(())
    }

    fn put(&mut self, data: Bytes) -> Result<(), SendError> {
        let Some(content) = self.body.as_mut().filter(|_| !data.is_empty()) else { return Ok(()) };
        let is_large = data.len() > COPIED_BYTES_MAX;
        match &mut content.coding {
            BodyCoding::Length(left) => *left = left.checked_sub(data.len() as u64).ok_or(SendError::Body)?,
            BodyCoding::Chunked { owes_line_end } => {
                let line_end = if mem::replace(owes_line_end, true) { "\r\n" } else { "" };
                self.small.extend_from_slice(format!("{line_end}{:x}\r\n", data.len()).as_bytes());
            }
        }
        if matches!(content.coding, BodyCoding::Length(0)) {
            self.body = None;
        }
        match is_large {
            true => self.large = data,
            false => self.small.extend_from_slice(&data),
        }
        Ok(())
    }

    fn end(&mut self, trailers: Option<HeaderMap>) -> Result<(), SendError> {
        let Some(Content { coding, announced, .. }) = self.body.take() else { return Ok(()) };
        match coding {
            BodyCoding::Length(0) => {}
            BodyCoding::Length(1..) => return Err(SendError::Body),
            BodyCoding::Chunked { owes_line_end } => {
                self.small.extend_from_slice(if owes_line_end { b"\r\n0\r\n" } else { b"0\r\n" });
                for (name, value) in trailers.iter().flatten().filter(|(name, _)| announced.contains(name)) {
                    put_field(&mut self.small, name.as_str(), value.as_bytes());
                }
                self.small.extend_from_slice(b"\r\n");
            }
        }
        Ok(())
    }
}

/// A part that is larger is not copied. Two pages: to copy them costs about what a second part of a `writev` costs.
const COPIED_BYTES_MAX: usize = 8 * 1024;

/// What is written at once, when there is more. With one more part that is copied, a buffer of 16 KiB.
const GATHERED_BYTES_MAX: usize = 8 * 1024;
