//! The body of an endpoint's answer: where it ends (RFC 9112 §6.3), and what is inside its chunks (§7.1).

use bytes::{Buf, Bytes};
use httparse::Status;
use hyper::HeaderMap;
use hyper::body::Frame;

use super::field::header;
use super::read_error::ReadError::{self, Malformed};
use crate::http::guard::has_bare_line_feed;

/// What is still to come of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ResponseFraming {
    /// So many bytes.
    Length(u64),
    Chunks(ChunkReader),
    /// Whatever comes until the connection ends.
    Rest,
}

/// What comes next of a body in chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChunkReader {
    Size,
    /// So many bytes of one.
    Data(u64),
    DataEnd,
    Trailers,
    Nothing,
}

/// What a step found.
#[derive(Debug)]
pub(super) enum BodyStep {
    Frame(Frame<Bytes>),
    /// Nothing whole: more has to be read.
    More,
    End,
}

impl Default for ResponseFraming {
    fn default() -> ResponseFraming {
        ResponseFraming::NOTHING
    }
}

impl ResponseFraming {
    /// No body, or nothing more of it.
    pub(super) const NOTHING: ResponseFraming = ResponseFraming::Length(0);

    pub(super) fn is_end(self) -> bool {
        matches!(self, ResponseFraming::NOTHING | ResponseFraming::Chunks(ChunkReader::Nothing))
    }

    /// How many bytes of it are to come, where that is known.
    pub(super) fn left(self) -> Option<u64> {
        match self {
            ResponseFraming::Length(bytes) => Some(bytes),
            ResponseFraming::Chunks(ChunkReader::Nothing) => Some(0),
            ResponseFraming::Chunks(_) | ResponseFraming::Rest => None,
        }
    }

    /// Takes the next part off what was read.
    ///
    /// # Errors
    /// [`Malformed`] where it is not in the form of chunks, or what is between them is too long.
    pub(super) fn step(&mut self, bytes: &mut Bytes) -> Result<BodyStep, ReadError> {
        match self {
            ResponseFraming::Length(0) => Ok(BodyStep::End),
            ResponseFraming::Length(left) => Ok(data(bytes, left)),
            ResponseFraming::Rest if bytes.is_empty() => Ok(BodyStep::More),
            ResponseFraming::Rest => Ok(BodyStep::Frame(Frame::data(std::mem::take(bytes)))),
            ResponseFraming::Chunks(chunks) => chunks.step(bytes),
        }
    }
}

/// Takes of `left` bytes those that are there.
fn data(bytes: &mut Bytes, left: &mut u64) -> BodyStep {
    let there = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
    if there == 0 {
        return BodyStep::More;
    }
    *left -= there as u64;
    BodyStep::Frame(Frame::data(bytes.split_to(there)))
}

impl ChunkReader {
    fn step(&mut self, bytes: &mut Bytes) -> Result<BodyStep, ReadError> {
        loop {
            match self {
                ChunkReader::Size => match size(bytes)? {
                    None => return Ok(BodyStep::More),
                    Some(0) => *self = ChunkReader::Trailers,
                    Some(size) => *self = ChunkReader::Data(size),
                },
                ChunkReader::Data(left) => {
                    let step = data(bytes, left);
                    if *left == 0 {
                        *self = ChunkReader::DataEnd;
                    }
                    return Ok(step);
                }
                ChunkReader::DataEnd => match bytes.get(..2) {
                    None => return Ok(BodyStep::More),
                    Some(b"\r\n") => {
                        bytes.advance(2);
                        *self = ChunkReader::Size;
                    }
                    Some(_) => return Err(Malformed),
                },
                ChunkReader::Trailers => {
                    let Some(trailers) = trailers(bytes)? else { return Ok(BodyStep::More) };
                    *self = ChunkReader::Nothing;
                    if !trailers.is_empty() {
                        return Ok(BodyStep::Frame(Frame::trailers(trailers)));
                    }
                }
                ChunkReader::Nothing => return Ok(BodyStep::End),
            }
        }
    }
}

/// Takes the line before a chunk. An extension means nothing to us, but may not hide a line.
fn size(bytes: &mut Bytes) -> Result<Option<u64>, ReadError> {
    match httparse::parse_chunk_size(bytes).map_err(|_| Malformed)? {
        Status::Partial if bytes.len() < SIZE_BYTES_MAX => Ok(None),
        Status::Partial => Err(Malformed),
        Status::Complete((end, size)) => {
            let line = bytes.split_to(end);
            let inside = line.strip_suffix(b"\r\n").ok_or(Malformed)?;
            let is_one = inside.first().is_some_and(u8::is_ascii_hexdigit)
                && inside.iter().all(|&byte| byte == b'\t' || !byte.is_ascii_control());
            if is_one { Ok(Some(size)) } else { Err(Malformed) }
        }
    }
}

/// Takes the trailers, with the empty line behind them.
fn trailers(bytes: &mut Bytes) -> Result<Option<HeaderMap>, ReadError> {
    let mut fields = [httparse::EMPTY_HEADER; TRAILERS_MAX];
    match httparse::parse_headers(bytes, &mut fields).map_err(|_| Malformed)? {
        Status::Partial if bytes.len() < TRAILER_BYTES_MAX => Ok(None),
        Status::Partial => Err(Malformed),
        Status::Complete((end, _)) if has_bare_line_feed(&bytes[..end]) || bytes[0] == b'\n' => {
            Err(Malformed)
        }
        Status::Complete((end, fields)) => {
            let mut trailers = HeaderMap::with_capacity(fields.len());
            for field in fields {
                let (name, value) = header(bytes, field)?;
                trailers.append(name, value);
            }
            bytes.advance(end);
            Ok(Some(trailers))
        }
    }
}

/// 16 hexadecimal digits, and an extension.
const SIZE_BYTES_MAX: usize = 1024;

/// gRPC and the like have two or three.
const TRAILERS_MAX: usize = 32;

/// As hyper has it. They are parsed again with each piece of them that comes.
const TRAILER_BYTES_MAX: usize = 16 * 1024;
