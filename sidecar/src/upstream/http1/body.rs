//! The body of an endpoint's answer: where it ends (RFC 9112 §6.3), and what is inside its chunks (§7.1).

use bytes::{Buf, Bytes};
use httparse::Status;
use hyper::HeaderMap;
use hyper::body::Frame;

use super::field::header;
use super::unheard::Unheard::{self, Malformed};
use crate::http::guard::has_bare_line_feed;

/// What is still to come of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// So many bytes.
    Length(u64),
    Chunks(Chunks),
    /// Whatever comes until the connection ends.
    Rest,
}

/// What comes next of a body in chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunks {
    Size,
    /// So many bytes of one.
    Data(u64),
    DataEnd,
    Trailers,
    Nothing,
}

/// What a step found.
#[derive(Debug)]
pub(super) enum Step {
    Frame(Frame<Bytes>),
    /// Nothing whole: more has to be read.
    More,
    End,
}

impl Default for Framing {
    fn default() -> Framing {
        Framing::NOTHING
    }
}

impl Framing {
    /// No body, or nothing more of it.
    pub(super) const NOTHING: Framing = Framing::Length(0);

    pub(super) fn is_end(self) -> bool {
        matches!(self, Framing::NOTHING | Framing::Chunks(Chunks::Nothing))
    }

    /// How many bytes of it are to come, where that is known.
    pub(super) fn left(self) -> Option<u64> {
        match self {
            Framing::Length(bytes) => Some(bytes),
            Framing::Chunks(Chunks::Nothing) => Some(0),
            Framing::Chunks(_) | Framing::Rest => None,
        }
    }

    /// Takes the next part off what was read.
    ///
    /// # Errors
    /// [`Malformed`] where it is not in the form of chunks, or what is between them is too long.
    pub(super) fn step(&mut self, bytes: &mut Bytes) -> Result<Step, Unheard> {
        match self {
            Framing::Length(0) => Ok(Step::End),
            Framing::Length(left) => Ok(data(bytes, left)),
            Framing::Rest if bytes.is_empty() => Ok(Step::More),
            Framing::Rest => Ok(Step::Frame(Frame::data(std::mem::take(bytes)))),
            Framing::Chunks(chunks) => chunks.step(bytes),
        }
    }
}

/// Takes of `left` bytes those that are there.
fn data(bytes: &mut Bytes, left: &mut u64) -> Step {
    let there = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
    if there == 0 {
        return Step::More;
    }
    *left -= there as u64;
    Step::Frame(Frame::data(bytes.split_to(there)))
}

impl Chunks {
    fn step(&mut self, bytes: &mut Bytes) -> Result<Step, Unheard> {
        loop {
            match self {
                Chunks::Size => match size(bytes)? {
                    None => return Ok(Step::More),
                    Some(0) => *self = Chunks::Trailers,
                    Some(size) => *self = Chunks::Data(size),
                },
                Chunks::Data(left) => {
                    let step = data(bytes, left);
                    if *left == 0 {
                        *self = Chunks::DataEnd;
                    }
                    return Ok(step);
                }
                Chunks::DataEnd => match bytes.get(..2) {
                    None => return Ok(Step::More),
                    Some(b"\r\n") => {
                        bytes.advance(2);
                        *self = Chunks::Size;
                    }
                    Some(_) => return Err(Malformed),
                },
                Chunks::Trailers => {
                    let Some(trailers) = trailers(bytes)? else { return Ok(Step::More) };
                    *self = Chunks::Nothing;
                    if !trailers.is_empty() {
                        return Ok(Step::Frame(Frame::trailers(trailers)));
                    }
                }
                Chunks::Nothing => return Ok(Step::End),
            }
        }
    }
}

/// Takes the line before a chunk. An extension means nothing to us, but may not hide a line.
fn size(bytes: &mut Bytes) -> Result<Option<u64>, Unheard> {
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
fn trailers(bytes: &mut Bytes) -> Result<Option<HeaderMap>, Unheard> {
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
