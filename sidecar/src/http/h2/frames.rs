//! The frames in a stream of bytes, by their heads (RFC 9113 §4.1).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use h2::Reason;
use tokio::io::{AsyncRead, ReadBuf};

pub(super) const DATA: u8 = 0x0; // RFC 9113 §6.1
pub(super) const HEADERS: u8 = 0x1; // §6.2
pub(super) const RST_STREAM: u8 = 0x3; // §6.4
pub(super) const GOAWAY: u8 = 0x7; // §6.8
pub(super) const WINDOW_UPDATE: u8 = 0x8; // §6.9
pub(super) const CONTINUATION: u8 = 0x9; // §6.10

/// None that anybody has defined, or will (RFC 9113 §5.5): h2 reads over it.
const HIDDEN: u8 = 0xff;

const END_STREAM: u8 = 0x1; // §6.1
const PADDED: u8 = 0x8;

/// What the head of a frame says.
pub(crate) struct Frame {
    pub(super) kind: u8,
    flags: u8,
    pub(super) stream: u32,
    pub(super) payload_bytes: usize,
    /// Of RST_STREAM and GOAWAY.
    pub(super) code: Reason,
}

impl Frame {
    /// Whether it is the last of a message. Only for those of messages.
    pub(super) fn ends_stream(&self) -> bool {
        self.flags & END_STREAM != 0
    }

    /// Whether it is a part of a body without a byte in it, and says nothing else.
    pub(crate) fn is_empty_data(&self) -> bool {
        self.kind == DATA
            && self.payload_bytes == 0
            && self.flags & (END_STREAM | PADDED) == 0
            && self.stream != 0
    }
}

/// What becomes of a frame that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passes {
    On,
    /// h2 does not see it.
    Hidden,
}

/// Finds the frames in a stream of bytes.
pub(super) struct Frames {
    head: [u8; CODE_END_MAX],
    /// So much of a head is there.
    filled: usize,
    /// So many bytes come before the next head.
    skip: usize,
}

const HEAD_BYTES: usize = 9;

/// The type of a frame stands behind its length.
const TYPE_AT: usize = 3;

/// The head of a GOAWAY, its last stream, and the code.
const CODE_END_MAX: usize = HEAD_BYTES + 4 + CODE_BYTES;

const CODE_BYTES: usize = 4;

pub(super) const PREFACE_BYTES: usize = 24;

impl Frames {
    /// Those behind so many bytes.
    pub(super) fn behind(skip: usize) -> Frames {
        Frames { head: [0; CODE_END_MAX], filled: 0, skip }
    }

    /// Tells of each frame in `bytes`, and where what is looked at of it ends in them.
    pub(super) fn feed(&mut self, bytes: &[u8], mut each: impl FnMut(&Frame, usize)) {
        let mut at = 0;
        while at < bytes.len() {
            if self.skip > 0 {
                let skipped = self.skip.min(bytes.len() - at);
                self.skip -= skipped;
                at += skipped;
                continue;
            }
            let taken = (self.wanted() - self.filled).min(bytes.len() - at);
            self.head[self.filled..self.filled + taken].copy_from_slice(&bytes[at..at + taken]);
            self.filled += taken;
            at += taken;
            self.end_head(|frame| each(frame, at));
        }
    }

    /// How much of the frame is looked at: its head, and a code if it has one.
    fn wanted(&self) -> usize {
        let code_end = match self.head[3] {
            _ if self.filled < HEAD_BYTES => 0,
            RST_STREAM => CODE_BYTES,
            GOAWAY => 4 + CODE_BYTES,
            _ => 0,
        };
        HEAD_BYTES + if code_end <= self.payload_bytes() { code_end } else { 0 }
    }

    /// What is there of the head of an empty DATA frame, from its type on.
    fn begun_empty_data(&self) -> &[u8] {
        match self.filled > TYPE_AT && self.head[TYPE_AT] == DATA && self.payload_bytes() == 0 {
            true => &self.head[TYPE_AT..self.filled],
            false => &[],
        }
    }

    fn payload_bytes(&self) -> usize {
        let [a, b, c, ..] = self.head;
        u32::from_be_bytes([0, a, b, c]) as usize
    }

    fn end_head(&mut self, each: impl FnOnce(&Frame)) {
        let wanted = self.wanted();
        if self.filled < wanted {
            return;
        }
        let [_, _, _, kind, flags, e, f, g, h, ..] = self.head;
        let stream = u32::from_be_bytes([e, f, g, h]) & 0x7fff_ffff; // the first bit is reserved
        let code = self.head[HEAD_BYTES..wanted].last_chunk().map_or(0, |code| u32::from_be_bytes(*code));
        let payload_bytes = self.payload_bytes();
        self.skip = payload_bytes - (wanted - HEAD_BYTES);
        self.filled = 0;
        each(&Frame { kind, flags, stream, payload_bytes, code: code.into() });
    }
}

/// Reads a connection, frame by frame, for h2.
pub(crate) struct FrameReader {
    frames: Frames,
    /// The end of what was read, from the type of a frame on that may have to be hidden: h2 gets it when its head is complete.
    held: Vec<u8>,
}

impl FrameReader {
    /// Of frames that come behind so many bytes.
    pub(crate) fn behind(skip: usize) -> FrameReader {
        FrameReader { frames: Frames::behind(skip), held: Vec::new() }
    }

    /// Reads as [`AsyncRead::poll_read`] does, and asks `each` what becomes of a frame. Only those that are [empty](Frame::is_empty_data) can be
    /// hidden.
    pub(crate) fn poll_read<I: AsyncRead + Unpin>(
        &mut self,
        io: &mut I,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
        mut each: impl FnMut(&Frame) -> Passes,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        loop {
            let held = self.held.len().min(buf.remaining());
            buf.put_slice(&self.held[..held]);
            let at = before + held;
            let polled = Pin::new(&mut *io).poll_read(cx, buf);
            if !matches!(polled, Poll::Ready(Ok(()))) {
                buf.set_filled(before);
                return polled;
            }
            self.held.drain(..held);
            let mut hidden = Vec::new();
            self.frames.feed(&buf.filled()[at..], |frame, end| {
                if each(frame) == Passes::Hidden && frame.is_empty_data() {
                    hidden.push((at + end).checked_sub(HEAD_BYTES - TYPE_AT));
                }
            });
            for type_at in hidden.into_iter().flatten().filter(|&type_at| type_at >= before) {
                buf.filled_mut()[type_at] = HIDDEN;
            }
            let is_end = buf.filled().len() == at;
            if !is_end {
                self.hold(buf, before);
            }
            if is_end || buf.filled().len() > before {
                return polled;
            }
        }
    }

    /// Takes back what cannot be judged yet.
    fn hold(&mut self, buf: &mut ReadBuf<'_>, before: usize) {
        let begun = self.frames.begun_empty_data();
        let filled = buf.filled().len();
        if !begun.is_empty() && filled >= before + begun.len() {
            self.held.extend_from_slice(begun);
            buf.set_filled(filled - begun.len());
        }
    }
}

#[cfg(test)]
mod tests;
