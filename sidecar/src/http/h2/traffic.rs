//! What passes on a client's connection, frame by frame, as far as h2 does not tell: which heads it has refused, and whether a client
//! sends what no message needs.
//!
//! Only frame heads are looked at (RFC 9113 §4.1); the frames themselves are h2's.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use h2::Reason;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::intake::{SMALL_FRAME_BYTES, TURN_BYTES_MAX};
use crate::clock;

/// What is known of a connection's traffic.
pub(crate) struct Traffic {
    heard_ms: Cell<u32>,
    /// Since it was asked last: bytes, and small frames of bodies.
    heard: Cell<(usize, usize)>,
    credit: RefCell<Credit>,
    heads: RefCell<Heads>,
    /// It was told that it sends too much (GOAWAY).
    sent_away: Cell<bool>,
}

/// A head that h2 has refused, so that no request came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RefusedByH2 {
    /// It is malformed (RFC 9113 §8.1.1).
    Malformed,
    /// It is longer than any may be: answered with 431.
    TooLarge,
}

impl Default for Traffic {
    fn default() -> Traffic {
        Traffic {
            heard_ms: Cell::new(clock::coarse_ms()),
            heard: Cell::default(),
            credit: RefCell::default(),
            heads: RefCell::default(),
            sent_away: Cell::default(),
        }
    }
}

impl Traffic {
    /// How long ago the client said something, in ms.
    pub(crate) fn silent_ms(&self) -> u32 {
        clock::coarse_since(self.heard_ms.get())
    }

    /// Whether the client has sent so much that no message needs that it may send nothing any more.
    pub(crate) fn is_flood(&self) -> bool {
        self.credit.borrow().frames == 0
    }

    /// A request came of the head of `stream`. It may have been reset by then, where h2 has read a body that breaks the rules, too.
    pub(crate) fn accepts(&self, stream: u32) {
        let mut heads = self.heads.borrow_mut();
        heads.unseen.retain(|&unseen| unseen != stream);
        heads.refused.retain(|&(refused, _)| refused != stream);
    }

    /// What h2 has refused since this was asked last. Asked when all requests that there are have been accepted.
    pub(crate) fn refused(&self) -> impl Iterator<Item = RefusedByH2> + use<> {
        let refused = std::mem::take(&mut self.heads.borrow_mut().refused);
        refused.into_iter().map(|(_, refused)| refused)
    }

    /// How many bytes, and how many small frames of bodies among them, have come since this was asked last.
    pub(crate) fn take_heard(&self) -> (usize, usize) {
        self.heard.take()
    }

    fn hears(&self, frame: &Frame) {
        if frame.kind == DATA && frame.payload_bytes < SMALL_FRAME_BYTES {
            let (bytes, small_frames) = self.heard.get();
            self.heard.set((bytes, small_frames + 1));
        }
        match frame.kind {
            HEADERS => {
                self.credit.borrow_mut().earn(CREDIT_PER_HEAD);
                self.heads.borrow_mut().opens(frame.stream);
            }
            DATA => {}         // windows bound it
            CONTINUATION => {} // h2 does
            WINDOW_UPDATE => self.credit.borrow_mut().acknowledge(),
            _ => self.credit.borrow_mut().spend(),
        }
    }

    fn says(&self, frame: &Frame) {
        if frame.kind == DATA {
            let mut credit = self.credit.borrow_mut();
            credit.earn(CREDIT_PER_DATA);
            credit.unacknowledged_bytes += frame.payload_bytes as u64;
        }
        if frame.kind == GOAWAY && frame.code == Reason::ENHANCE_YOUR_CALM {
            self.sent_away.set(true);
        }
        let mut heads = self.heads.borrow_mut();
        if !heads.unseen.is_empty() {
            heads.answers(frame);
        }
    }
}

/// How many frames a client may send that are no part of a message: PING, SETTINGS, PRIORITY and the like, their acknowledgements, and
/// types that nobody knows (CVE-2019-9512, -9513 and -9515 are floods of them). WINDOW_UPDATEs are paid for by what they acknowledge.
struct Credit {
    frames: u32,
    since_ms: u32,
    /// Bytes in DATA that we have sent, less those that WINDOW_UPDATEs were paid with. Without a bound: a client takes its time.
    unacknowledged_bytes: u64,
}

/// With the connection. h2 writes a line to the log for each PING that it did not ask to be acknowledged.
const CREDIT_AT_FIRST: u32 = 1_000;

/// For each head from the client: a larger window for its stream, a few changes of its priority, its reset, and a PING behind that.
const CREDIT_PER_HEAD: u32 = 8;

/// For each DATA frame that the client gets: with gRPC a PING that measures the way, and now and then SETTINGS for what came of that.
const CREDIT_PER_DATA: u32 = 2;

/// What a WINDOW_UPDATE has to acknowledge. A client of gRPC sends one for each message, however many of them are in a frame, and one for
/// the connection; the shortest message has 5 bytes.
const UPDATE_BYTES_MIN: u64 = 2;

/// In case somebody measures the way, or keeps it open, all the time.
const CREDIT_PER_SECOND: u32 = 100;

/// No more is saved.
const CREDIT_MAX: u32 = 10_000;

impl Default for Credit {
    fn default() -> Credit {
        Credit { frames: CREDIT_AT_FIRST, since_ms: clock::coarse_ms(), unacknowledged_bytes: 0 }
    }
}

impl Credit {
    fn earn(&mut self, frames: u32) {
        if self.frames > 0 {
            self.frames = (self.frames + frames).min(CREDIT_MAX);
        }
    }

    fn acknowledge(&mut self) {
        match self.unacknowledged_bytes.checked_sub(UPDATE_BYTES_MIN) {
            Some(left) => self.unacknowledged_bytes = left,
            None => self.spend(),
        }
    }

    fn spend(&mut self) {
        let earned = u64::from(clock::coarse_since(self.since_ms)) * u64::from(CREDIT_PER_SECOND) / 1000;
        if earned > 0 && self.frames > 0 {
            self.since_ms = clock::coarse_ms();
            self.frames = (u64::from(self.frames) + earned).min(CREDIT_MAX.into()) as u32; // at most CREDIT_MAX
        }
        self.frames = self.frames.saturating_sub(1);
    }
}

/// The heads that no request has come of, yet.
#[derive(Default)]
struct Heads {
    last: u32,
    unseen: VecDeque<u32>,
    /// On which streams.
    refused: Vec<(u32, RefusedByH2)>,
}

/// More than a client may have open; beyond that, what a client sends after it was told to go (GOAWAY) is forgotten.
const UNSEEN_MAX: usize = 256;

impl Heads {
    fn opens(&mut self, stream: u32) {
        if stream <= self.last {
            return; // trailers
        }
        self.last = stream;
        if self.unseen.len() >= UNSEEN_MAX {
            self.unseen.pop_front();
        }
        self.unseen.push_back(stream);
    }

    fn answers(&mut self, frame: &Frame) {
        let refused = match frame.kind {
            HEADERS => Some(RefusedByH2::TooLarge),
            RST_STREAM if frame.code == Reason::PROTOCOL_ERROR => Some(RefusedByH2::Malformed),
            RST_STREAM => None, // more streams than it may have
            _ => return,
        };
        if let Some(index) = self.unseen.iter().position(|&unseen| unseen == frame.stream) {
            self.unseen.remove(index);
            self.refused.extend(refused.map(|refused| (frame.stream, refused)));
        }
    }
}

const DATA: u8 = 0x0; // RFC 9113 §6.1
const HEADERS: u8 = 0x1; // §6.2
const RST_STREAM: u8 = 0x3; // §6.4
const GOAWAY: u8 = 0x7; // §6.8
const WINDOW_UPDATE: u8 = 0x8; // §6.9
const CONTINUATION: u8 = 0x9; // §6.10

/// What the head of a frame says.
struct Frame {
    kind: u8,
    stream: u32,
    payload_bytes: usize,
    /// Of RST_STREAM and GOAWAY.
    code: Reason,
}

/// Finds the frames in a stream of bytes.
struct Frames {
    head: [u8; CODE_END_MAX],
    /// So much of a head is there.
    filled: usize,
    /// So many bytes come before the next head.
    skip: usize,
}

const HEAD_BYTES: usize = 9;

/// The head of a GOAWAY, its last stream, and the code.
const CODE_END_MAX: usize = HEAD_BYTES + 4 + CODE_BYTES;

const CODE_BYTES: usize = 4;

const PREFACE_BYTES: usize = 24;

impl Frames {
    /// Those behind so many bytes.
    fn behind(skip: usize) -> Frames {
        Frames { head: [0; CODE_END_MAX], filled: 0, skip }
    }

    fn feed(&mut self, mut bytes: &[u8], mut each: impl FnMut(&Frame)) {
        while !bytes.is_empty() {
            if self.skip > 0 {
                let skipped = self.skip.min(bytes.len());
                self.skip -= skipped;
                bytes = &bytes[skipped..];
                continue;
            }
            let taken = (self.wanted() - self.filled).min(bytes.len());
            self.head[self.filled..self.filled + taken].copy_from_slice(&bytes[..taken]);
            self.filled += taken;
            bytes = &bytes[taken..];
            self.end_head(&mut each);
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

    fn payload_bytes(&self) -> usize {
        let [a, b, c, ..] = self.head;
        u32::from_be_bytes([0, a, b, c]) as usize
    }

    fn end_head(&mut self, each: &mut impl FnMut(&Frame)) {
        let wanted = self.wanted();
        if self.filled < wanted {
            return;
        }
        let [_, _, _, kind, _flags, e, f, g, h, ..] = self.head;
        let stream = u32::from_be_bytes([e, f, g, h]) & 0x7fff_ffff; // the first bit is reserved
        let code = self.head[HEAD_BYTES..wanted].last_chunk().map_or(0, |code| u32::from_be_bytes(*code));
        let payload_bytes = self.payload_bytes();
        self.skip = payload_bytes - (wanted - HEAD_BYTES);
        self.filled = 0;
        each(&Frame { kind, stream, payload_bytes, code: code.into() });
    }
}

/// A connection whose frames are noted.
pub(crate) struct Watched<I> {
    io: I,
    heard: Frames,
    said: Frames,
    traffic: Rc<Traffic>,
}

impl<I> Watched<I> {
    pub(crate) fn new(io: I, traffic: Rc<Traffic>) -> Watched<I> {
        Watched { io, heard: Frames::behind(PREFACE_BYTES), said: Frames::behind(0), traffic }
    }

    fn note_said(&mut self, bytes: &[u8]) {
        self.said.feed(bytes, |frame| self.traffic.says(frame));
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Watched<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Watched { io, heard, traffic, .. } = &mut *self;
        if traffic.is_flood() {
            return Poll::Pending; // whoever polls ends the connection
        }
        if traffic.heard.get().0 >= TURN_BYTES_MAX {
            cx.waker().wake_by_ref(); // and asks what was heard
            return Poll::Pending;
        }
        let before = buf.filled().len();
        let polled = Pin::new(io).poll_read(cx, buf);
        let read = &buf.filled()[before..];
        if !read.is_empty() {
            traffic.heard_ms.set(clock::coarse_ms());
            heard.feed(read, |frame| traffic.hears(frame));
            let (bytes, small_frames) = traffic.heard.get();
            traffic.heard.set((bytes + read.len(), small_frames));
        }
        polled
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Watched<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write(cx, buf);
        if let Poll::Ready(Ok(written)) = &polled {
            self.note_said(&buf[..*written]);
        }
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        if let Poll::Ready(Ok(written)) = &polled {
            let mut left = *written;
            for buf in bufs {
                let of_this = left.min(buf.len());
                self.note_said(&buf[..of_this]);
                left -= of_this;
            }
        }
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    /// A client that was told that it sends too much is not listened to any more.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.traffic.sent_away.get() {
            return Poll::Ready(Ok(())); // what was written is sent when the turn ends
        }
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
