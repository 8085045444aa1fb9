//! The head of a request (RFC 9112 §3, §5), and what it says of what follows (§6.3).

use std::mem::MaybeUninit;

use bytes::Bytes;
use httparse::{ParserConfig, Request, Status};
use hyper::Uri;

use super::rule::Rule;
use crate::http::limits::{HEADER_BYTES_MAX, HEADERS_MAX};

/// A head in order.
pub(super) struct GuardedHead {
    /// How long it is.
    pub(super) bytes: usize,
    pub(super) framing: RequestFraming,
    /// It asks for a tunnel.
    pub(super) upgrades: bool,
    /// What goes on instead of it, where that must be in other words.
    pub(super) mended: Option<Bytes>,
}

/// What follows a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RequestFraming {
    Length(u64),
    Chunked,
}

/// Nearly all heads have no more; those that have are read once more.
const HEADERS_USUAL: usize = 64;

/// Reads the head that `bytes` begin with, once all of it is there. `seen` of them were no head yet.
///
/// # Errors
/// The rule that it breaks.
pub(super) fn read(bytes: &[u8], seen: usize) -> Result<Option<GuardedHead>, Rule> {
    if seen > 0 && bytes.len() < 2 * seen && !may_end_after(bytes, seen) {
        return is_partial(bytes, seen);
    }
    let mut usual = [MaybeUninit::uninit(); HEADERS_USUAL];
    let mut request = Request::new(&mut []);
    match ParserConfig::default().parse_request_with_uninit_headers(&mut request, bytes, &mut usual) {
        Err(httparse::Error::TooManyHeaders) => {
            let mut many = vec![MaybeUninit::uninit(); HEADERS_MAX];
            let mut request = Request::new(&mut []);
            let parsed =
                ParserConfig::default().parse_request_with_uninit_headers(&mut request, bytes, &mut many);
            conclude(parsed, &request, bytes, seen)
        }
        parsed => conclude(parsed, &request, bytes, seen),
    }
}

fn conclude(
    parsed: httparse::Result<usize>,
    request: &Request<'_, '_>,
    bytes: &[u8],
    seen: usize,
) -> Result<Option<GuardedHead>, Rule> {
    match parsed {
        Ok(Status::Complete(end)) if end > HEADER_BYTES_MAX as usize => Err(too_large(&bytes[..end])),
        Ok(Status::Complete(end)) if bytes[0] == b'\n' || has_bare_line_feed(&bytes[..end]) => {
            Err(Rule::LineEnd)
        }
        Ok(Status::Complete(end)) => GuardedHead::of(request, &bytes[..end]).map(Some),
        Ok(Status::Partial) => is_partial(bytes, seen),
        Err(error) => Err(broken(error, request)),
    }
}

/// Whether a head may end behind the first `seen` bytes: it is looked through once, not for each byte of a client that sends it so.
fn may_end_after(bytes: &[u8], seen: usize) -> bool {
    let unseen = bytes.get(seen.saturating_sub(3)..).unwrap_or_default();
    let ends = |end: &[u8]| unseen.windows(end.len()).any(|bytes| bytes == end);
    unseen.contains(&b'\n') && (ends(b"\n\n") || ends(b"\n\r\n"))
}

/// Part of a head, all of which `bytes` are, that is in order so far.
fn is_partial(bytes: &[u8], seen: usize) -> Result<Option<GuardedHead>, Rule> {
    let unchecked = &bytes[seen.saturating_sub(1)..];
    if (unchecked.contains(&b'\n') && has_bare_line_feed(unchecked))
        || (seen == 0 && bytes.first() == Some(&b'\n'))
    {
        return Err(Rule::LineEnd);
    }
    if bytes.len() < HEADER_BYTES_MAX as usize { Ok(None) } else { Err(too_large(bytes)) }
}

/// What is too large of a head.
fn too_large(bytes: &[u8]) -> Rule {
    let begin = bytes.trim_ascii_start();
    let line = begin.iter().position(|&byte| byte == b'\n').unwrap_or(begin.len());
    if line > TARGET_BYTES_MAX { Rule::TargetTooLong } else { Rule::HeadTooLarge }
}

/// Whether an LF follows something else than a CR.
pub(crate) fn has_bare_line_feed(bytes: &[u8]) -> bool {
    // No early return, so that it is a few instructions for 16 bytes each.
    bytes.windows(2).fold(false, |bare, pair| bare | ((pair[1] == b'\n') & (pair[0] != b'\r')))
}

fn broken(error: httparse::Error, request: &Request<'_, '_>) -> Rule {
    match error {
        httparse::Error::Token if request.method.is_none() => Rule::Method,
        httparse::Error::Token | httparse::Error::Status => Rule::Target,
        httparse::Error::Version => Rule::Version,
        httparse::Error::HeaderName => Rule::FieldName,
        httparse::Error::HeaderValue => Rule::FieldValue,
        httparse::Error::NewLine => Rule::LineEnd,
        httparse::Error::TooManyHeaders => Rule::TooManyFields,
    }
}

impl GuardedHead {
    fn of(request: &Request<'_, '_>, bytes: &[u8]) -> Result<GuardedHead, Rule> {
        let (is_connect, is_http11) = (request.method == Some("CONNECT"), request.version == Some(1));
        let said = FramingFields::of(request)?;
        let framing = match (said.chunked, said.length) {
            (true, _) if !is_http11 => return Err(Rule::CodingOfHttp10),
            (true, _) => RequestFraming::Chunked,
            (false, length) => RequestFraming::Length(length.unwrap_or(0)),
        };
        if is_connect && framing != RequestFraming::Length(0) {
            return Err(Rule::ContentOfConnect);
        }
        let mended = match whole_server(request, said.hosts) {
            Some(head) => Some(head),
            None => mended(request.path.unwrap_or_default(), bytes)?,
        };
        Ok(GuardedHead {
            bytes: bytes.len(),
            framing,
            upgrades: is_connect || (is_http11 && said.upgrade),
            mended,
        })
    }
}

/// What fields say of what follows the head.
#[derive(Default)]
struct FramingFields {
    chunked: bool,
    length: Option<u64>,
    upgrade: bool,
    hosts: u32,
}

impl FramingFields {
    fn of(request: &Request<'_, '_>) -> Result<FramingFields, Rule> {
        let mut said = FramingFields::default();
        for field in &*request.headers {
            match field.name.len() {
                4 if field.name.eq_ignore_ascii_case("host") => said.hosts += 1,
                7 if field.name.eq_ignore_ascii_case("upgrade") => said.upgrade = true,
                14 if field.name.eq_ignore_ascii_case("content-length") => {
                    let length = length(field.value).ok_or(Rule::Length)?;
                    if said.length.is_some_and(|other| other != length) {
                        return Err(Rule::Lengths);
                    }
                    said.length = Some(length);
                }
                17 if field.name.eq_ignore_ascii_case("transfer-encoding") => {
                    if said.chunked || !field.value.eq_ignore_ascii_case(b"chunked") {
                        return Err(Rule::Coding);
                    }
                    said.chunked = true;
                }
                _ => {}
            }
        }
        Ok(said)
    }
}

fn length(digits: &[u8]) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit); // `+1` would be a number, too
    let number = str::from_utf8(digits).ok().filter(|_| is_number)?.parse().ok()?;
    (number <= LENGTH_MAX).then_some(number)
}

/// hyper has other uses for the last two numbers.
const LENGTH_MAX: u64 = u64::MAX - 2;

/// The head of OPTIONS for a host and no path, which is for the server as a whole (RFC 9112 §3.2.4): `Uri` would give it the path `/`.
fn whole_server(request: &Request<'_, '_>, hosts: u32) -> Option<Bytes> {
    let authority =
        request.path.filter(|_| request.method == Some("OPTIONS") && hosts < 2)?.strip_prefix("http://")?;
    if authority.contains(['/', '?', '#', '@']) || Uri::try_from(authority).is_err() {
        return None;
    }
    let version = request.version?;
    let mut head = format!("OPTIONS * HTTP/1.{version}\r\nHost: {authority}\r\n").into_bytes();
    for field in request.headers.iter().filter(|field| !field.name.eq_ignore_ascii_case("host")) {
        head.extend_from_slice(&[field.name.as_bytes(), b": ", field.value, b"\r\n"].concat());
    }
    head.extend_from_slice(b"\r\n");
    Some(head.into())
}

/// The head with a target as `Uri` takes it, where that has other bytes: some are sent raw by everybody, although RFC 3986 wants them
/// percent-encoded, as browsers do. The other ones that it wants so go on as they came.
fn mended(target: &str, bytes: &[u8]) -> Result<Option<Bytes>, Rule> {
    if target.starts_with('/') && target.len() <= TARGET_BYTES_MAX && target.bytes().all(is_plain) {
        return Ok(None);
    }
    let mut in_query = false;
    let mut encoded = Vec::with_capacity(target.len());
    for byte in target.bytes() {
        in_query |= byte == b'?';
        match byte {
            b'<' | b'>' => encoded.extend_from_slice(if byte == b'<' { b"%3C" } else { b"%3E" }),
            b'"' if in_query => encoded.extend_from_slice(b"%22"),
            b'`' if !in_query => encoded.extend_from_slice(b"%60"),
            _ => encoded.push(byte),
        }
    }
    let changed = encoded.len() != target.len();
    if encoded.len() > TARGET_BYTES_MAX {
        return Err(Rule::TargetTooLong);
    }
    Uri::try_from(&encoded[..]).map_err(|_| Rule::Target)?;
    if !changed {
        return Ok(None);
    }
    let begin = target.as_ptr() as usize - bytes.as_ptr() as usize; // it is a part of them
    let head = [&bytes[..begin], &encoded, &bytes[begin + target.len()..]].concat();
    if head.len() > HEADER_BYTES_MAX as usize { Err(Rule::HeadTooLarge) } else { Ok(Some(head.into())) }
}

/// What `Uri` takes anywhere behind the first `/`, and means nothing but itself.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b'!' | 0x24..=0x3b | b'=' | b'?' | b'@' | 0x41..=0x5f | 0x61..=0x7e)
}

/// As hyper and `Uri` have it.
const TARGET_BYTES_MAX: usize = u16::MAX as usize - 1;
