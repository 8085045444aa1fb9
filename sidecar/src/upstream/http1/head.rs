//! The head of an endpoint's answer (RFC 9112 §4, §5), and what it says of its body (§6.3) and of its connection (§9.3).

use std::mem::MaybeUninit;
use std::time::Duration;

use bytes::{Buf, Bytes};
use httparse::{ParserConfig, Status};
use hyper::header::{CONTENT_LENGTH, HeaderName, HeaderValue, PROXY_AUTHENTICATE};
use hyper::http::response::Parts;
use hyper::{Response, StatusCode, Version};
use svc_core::forwarding::{is_hop_by_hop, nominated};

use super::body::{ChunkReader, ResponseFraming};
use super::field::header;
use super::read_error::ReadError::{self, Malformed};
use super::request_kind::RequestKind;
use crate::http::guard::has_bare_line_feed;
use crate::http::limits::{HEADER_BYTES_MAX, HEADERS_MAX};
use crate::upstream::keep_alive;

/// The head of an answer, without what belonged to the endpoint's hop.
pub(super) struct ResponseHead {
    pub(super) parts: Parts,
    pub(super) framing: ResponseFraming,
    /// Whether the connection may serve another request, and for how long it is kept if the endpoint says so.
    pub(super) persists: bool,
    pub(super) keeps: Option<Duration>,
    /// What the connection is to go on in, with a 101.
    pub(super) upgrade: Option<HeaderValue>,
    /// It has lines that end with LF alone, as old servers send them.
    pub(super) has_bare_line_feed: bool,
}

/// Takes a head off `bytes`, once all of it is there; `seen` of them were not enough.
///
/// # Errors
/// [`Malformed`] when it is no head, or too large, or tells the end of its body in two ways.
pub(super) fn take(
    bytes: &mut Bytes,
    seen: usize,
    asks: RequestKind,
) -> Result<Option<ResponseHead>, ReadError> {
    if seen > 0 && !may_end_after(bytes, seen) {
        return too_large(bytes);
    }
    let Some((head, end)) = read(bytes, asks)? else { return Ok(None) };
    bytes.advance(end);
    Ok(Some(head))
}

fn read(bytes: &Bytes, asks: RequestKind) -> Result<Option<(ResponseHead, usize)>, ReadError> {
    let mut usual = [MaybeUninit::uninit(); HEADERS_USUAL];
    let mut response = httparse::Response::new(&mut []);
    let parsed = ParserConfig::default().parse_response_with_uninit_headers(&mut response, bytes, &mut usual);
    if parsed == Err(httparse::Error::TooManyHeaders) {
        let mut many = vec![MaybeUninit::uninit(); HEADERS_MAX];
        let mut response = httparse::Response::new(&mut []);
        let parsed =
            ParserConfig::default().parse_response_with_uninit_headers(&mut response, bytes, &mut many);
        return conclude(parsed, &response, bytes, asks);
    }
    conclude(parsed, &response, bytes, asks)
}

/// Nearly all heads have no more; those that have are read once more.
const HEADERS_USUAL: usize = 64;

fn conclude(
    parsed: httparse::Result<usize>,
    response: &httparse::Response<'_, '_>,
    bytes: &Bytes,
    asks: RequestKind,
) -> Result<Option<(ResponseHead, usize)>, ReadError> {
    let Status::Complete(end) = parsed.map_err(|_| Malformed)? else { return too_large(bytes) };
    let mut head = ResponseHead::of(response, bytes, asks)?;
    head.has_bare_line_feed = has_bare_line_feed(&bytes[..end]);
    Ok(Some((head, end)))
}

/// Whether a head may end behind the first `seen` bytes: it is looked through once, not for each byte of an endpoint that sends it so.
fn may_end_after(bytes: &[u8], seen: usize) -> bool {
    let unseen = bytes.get(seen.saturating_sub(3)..).unwrap_or_default();
    unseen.windows(2).any(|pair| pair == b"\n\n") || unseen.windows(3).any(|end| end == b"\n\r\n")
}

fn too_large<T>(bytes: &[u8]) -> Result<Option<T>, ReadError> {
    if bytes.len() < HEADER_BYTES_MAX as usize { Ok(None) } else { Err(Malformed) }
}

/// What the headers of an answer say to us: these end here.
#[derive(Default)]
struct ResponseFields {
    closes: bool,
    keeps_alive: bool,
    keeps: Option<Duration>,
    upgrade: Option<HeaderValue>,
    /// Other headers that end here.
    nominated: Vec<String>,
    coding: Option<ResponseCoding>,
    length: Option<Result<u64, ReadError>>,
    /// It was said more than once.
    repeats_length: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ResponseCoding {
    Chunked,
    /// One that belongs to the hop, and that nobody asked for.
    Other,
}

impl ResponseFields {
    /// Listens to a header; whether it ends here.
    fn hears(&mut self, name: &HeaderName, value: &HeaderValue) -> bool {
        match name.as_str() {
            "content-length" => {
                self.repeats_length |= self.length.is_some() || value.as_bytes().contains(&b',');
                self.length = Some(self.agreed(value));
            }
            "connection" => self.hears_connection(value),
            "keep-alive" => self.keeps = keep_alive::timeout(value),
            "upgrade" => self.upgrade = Some(value.clone()),
            "transfer-encoding" => {
                let alone =
                    self.coding.is_none() && value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked");
                self.coding = Some(if alone { ResponseCoding::Chunked } else { ResponseCoding::Other });
            }
            _ => {}
        }
        is_hop_by_hop(name.as_str())
    }

    fn hears_connection(&mut self, value: &HeaderValue) {
        for token in value.as_bytes().split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
            self.closes |= token.eq_ignore_ascii_case(b"close");
            self.keeps_alive |= token.eq_ignore_ascii_case(b"keep-alive");
        }
        self.nominated.extend(nominated([value.as_bytes()]));
    }

    /// A length that agrees with those before: a list of equal ones is one (RFC 9110 §8.6).
    fn agreed(&self, value: &HeaderValue) -> Result<u64, ReadError> {
        let mut lengths =
            value.as_bytes().split(|&byte| byte == b',').map(|digits| length(digits.trim_ascii()));
        let first = self.length.unwrap_or_else(|| lengths.next().unwrap_or(Err(Malformed)));
        if lengths.all(|other| other == first) { first } else { Err(Malformed) }
    }

    /// As RFC 9110 §9.3.6 has it before a tunnel.
    fn frames_nothing(&self) -> bool {
        self.coding.is_none() && self.length.is_none()
    }

    fn framing(&self, version: Version) -> Result<ResponseFraming, ReadError> {
        match (self.coding, self.length) {
            (Some(ResponseCoding::Chunked), _) if version == Version::HTTP_11 => {
                Ok(ResponseFraming::Chunks(ChunkReader::Size))
            }
            (Some(ResponseCoding::Chunked | ResponseCoding::Other), _) => Err(Malformed),
            (None, Some(length)) => length.map(ResponseFraming::Length),
            (None, None) => Ok(ResponseFraming::Rest),
        }
    }
}

fn length(digits: &[u8]) -> Result<u64, ReadError> {
    if !digits.iter().all(u8::is_ascii_digit) {
        return Err(Malformed); // `+1` would be a number, too
    }
    str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()).ok_or(Malformed)
}

impl ResponseHead {
    fn of(
        response: &httparse::Response<'_, '_>,
        bytes: &Bytes,
        asks: RequestKind,
    ) -> Result<ResponseHead, ReadError> {
        let (mut parts, ()) = Response::new(()).into_parts();
        parts.status = response.code.and_then(|code| StatusCode::from_u16(code).ok()).ok_or(Malformed)?;
        parts.version = if response.version == Some(0) { Version::HTTP_10 } else { Version::HTTP_11 };
        let mut said = ResponseFields::default();
        parts.headers.reserve(response.headers.len());
        for field in &*response.headers {
            let (name, value) = header(bytes, field)?;
            let is_challenge =
                parts.status == StatusCode::PROXY_AUTHENTICATION_REQUIRED && name == PROXY_AUTHENTICATE;
            if !said.hears(&name, &value) || is_challenge {
                parts.headers.append(name, value);
            }
        }
        said.nominated.iter().for_each(|name| drop(parts.headers.remove(name)));
        let framing = match parts.status {
            _ if asks == RequestKind::Head => ResponseFraming::NOTHING,
            StatusCode::OK if asks == RequestKind::Tunnel && said.frames_nothing() => {
                ResponseFraming::NOTHING
            }
            // Who takes CONNECT for any other method would take the tunnel for requests.
            status if asks == RequestKind::Tunnel && status.is_success() => return Err(Malformed),
            StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED => ResponseFraming::NOTHING,
            status if status.is_informational() => ResponseFraming::NOTHING,
            _ => said.framing(parts.version)?,
        };
        match (said.length, framing) {
            (_, ResponseFraming::Chunks(_)) => drop(parts.headers.remove(CONTENT_LENGTH)), // overridden by the chunks
            (Some(Err(malformed)), _) => return Err(malformed), // where there is no body, too
            (Some(Ok(bytes)), _) if said.repeats_length => {
                parts.headers.insert(CONTENT_LENGTH, bytes.into()); // said once (RFC 9110 §8.6)
            }
            (Some(Ok(_)) | None, _) => {}
        }
        let persists = !said.closes
            && (parts.version == Version::HTTP_11 || said.keeps_alive)
            && framing != ResponseFraming::Rest;
        let upgrade = said.upgrade;
        Ok(ResponseHead { parts, framing, persists, keeps: said.keeps, upgrade, has_bare_line_feed: false })
    }
}
