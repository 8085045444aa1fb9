//! What passes on a client's connection, frame by frame, as far as h2 does not tell: which heads it has refused, and whether a client
//! sends what no message needs.
//!
//! Only frame heads are looked at (RFC 9113 §4.1); the frames themselves are h2's.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use h2::Reason;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::frames::{
    CONTINUATION, DATA, Frame, FrameReader, Frames, GOAWAY, HEADERS, PREFACE_BYTES, Passes, RST_STREAM,
    WINDOW_UPDATE,
};
use super::intake::{SMALL_FRAME_BYTES, TURN_BYTES_MAX};
use crate::clock;

/// What is known of a connection's traffic.
pub(crate) struct Traffic {
    heard_ms: Cell<u32>,
    /// Since it was asked last: bytes, and small frames of bodies.
    heard: Cell<(usize, usize)>,
    credit: RefCell<Credit>,
    heads: RefCell<Heads>,
    uploads: RefCell<Uploads>,
    /// The client does not take what h2 has to say.
    blocked: Cell<bool>,
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
            uploads: RefCell::default(),
            blocked: Cell::default(),
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

    /// The turn is over: what h2 had to say is said, unless the client does not take it.
    pub(crate) fn ends_turn(&self, cx: &Context<'_>) {
        let mut uploads = self.uploads.borrow_mut();
        if !self.blocked.get() {
            if uploads.owes_much() {
                cx.waker().wake_by_ref(); // reading goes on
            }
            uploads.late.clear();
        }
    }

    fn hears(&self, frame: &Frame) -> Passes {
        match frame.kind {
            HEADERS => {
                self.credit.borrow_mut().earn(CREDIT_PER_HEAD);
                let begins = self.heads.borrow_mut().opens(frame.stream);
                self.uploads.borrow_mut().hears_head(frame, begins);
            }
            DATA => return self.hears_data(frame),
            CONTINUATION => {} // h2 bounds it
            WINDOW_UPDATE => self.credit.borrow_mut().acknowledge(),
            RST_STREAM => {
                self.credit.borrow_mut().spend(1);
                self.uploads.borrow_mut().ends(frame.stream);
            }
            _ => self.credit.borrow_mut().spend(1),
        }
        Passes::On
    }

    /// Windows bound how many bytes there are.
    fn hears_data(&self, frame: &Frame) -> Passes {
        let mut credit = self.credit.borrow_mut();
        let in_time = self.uploads.borrow_mut().hears_data(frame);
        if frame.is_empty_data() {
            credit.pause();
        } else {
            credit.unpaused_frames += 1;
        }
        if !in_time {
            credit.come_late();
        } else if frame.is_empty_data() {
            return Passes::Hidden;
        }
        if frame.payload_bytes < SMALL_FRAME_BYTES {
            let (bytes, small_frames) = self.heard.get();
            self.heard.set((bytes, small_frames + 1));
        }
        Passes::On
    }

    fn says(&self, frame: &Frame) {
        let mut credit = self.credit.borrow_mut();
        if frame.kind == DATA {
            credit.earn(CREDIT_PER_DATA);
            credit.unacknowledged_bytes += frame.payload_bytes as u64;
        }
        if frame.kind == RST_STREAM && self.uploads.borrow_mut().ends(frame.stream) {
            credit.late_frames += LATE_FRAMES_PER_RESET;
        }
        if frame.kind == GOAWAY && frame.code == Reason::ENHANCE_YOUR_CALM {
            self.sent_away.set(true);
        }
        let mut heads = self.heads.borrow_mut();
        if !heads.unseen.is_empty() && heads.answers(frame) {
            credit.spend(CREDIT_PER_HEAD + 1);
        }
    }
}

/// How many frames a client may send that are no part of a message: PING, SETTINGS, PRIORITY and the like, their acknowledgements, and
/// types that nobody knows (CVE-2019-9512, -9513 and -9515 are floods of them); and heads that are refused. Some frames are paid for by
/// others, however much later they come: a client takes its time.
struct Credit {
    frames: u32,
    since_ms: u32,
    /// Bytes in DATA that we have sent, less those that WINDOW_UPDATEs were paid with.
    unacknowledged_bytes: u64,
    /// DATA frames with bytes, less those that ones without were paid with (CVE-2019-9518).
    unpaused_frames: u64,
    /// How much of bodies may be on its way that we wanted no more of.
    late_frames: u64,
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

/// For each body that we break off: as many of the shortest messages of gRPC as its window has. Many more come late only of who does
/// not look at our resets, or wants them (CVE-2019-9514).
const LATE_FRAMES_PER_RESET: u64 = 64 * 1024 / 5;

/// In case somebody measures the way, or keeps it open, all the time.
const CREDIT_PER_SECOND: u32 = 100;

/// No more is saved.
const CREDIT_MAX: u32 = 10_000;

impl Default for Credit {
    fn default() -> Credit {
        Credit {
            frames: CREDIT_AT_FIRST,
            since_ms: clock::coarse_ms(),
            unacknowledged_bytes: 0,
            unpaused_frames: 0,
            late_frames: 0,
        }
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
            None => self.spend(1),
        }
    }

    fn pause(&mut self) {
        match self.unpaused_frames.checked_sub(1) {
            Some(left) => self.unpaused_frames = left,
            None => self.spend(1),
        }
    }

    fn come_late(&mut self) {
        match self.late_frames.checked_sub(1) {
            Some(left) => self.late_frames = left,
            None => self.spend(1),
        }
    }

    fn spend(&mut self, frames: u32) {
        let earned = u64::from(clock::coarse_since(self.since_ms)) * u64::from(CREDIT_PER_SECOND) / 1000;
        if earned > 0 && self.frames > 0 {
            self.since_ms = clock::coarse_ms();
            self.frames = (u64::from(self.frames) + earned).min(CREDIT_MAX.into()) as u32; // at most CREDIT_MAX
        }
        self.frames = self.frames.saturating_sub(frames);
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
    /// Whether it is no head of trailers.
    fn opens(&mut self, stream: u32) -> bool {
        if stream <= self.last {
            return false;
        }
        self.last = stream;
        if self.unseen.len() >= UNSEEN_MAX {
            self.unseen.pop_front();
        }
        self.unseen.push_back(stream);
        true
    }

    /// Whether it answers a head of which no request came.
    fn answers(&mut self, frame: &Frame) -> bool {
        let refused = match frame.kind {
            HEADERS => Some(RefusedByH2::TooLarge),
            RST_STREAM if frame.code == Reason::PROTOCOL_ERROR => Some(RefusedByH2::Malformed),
            RST_STREAM => None, // more streams than it may have
            _ => return false,
        };
        let Some(index) = self.unseen.iter().position(|&unseen| unseen == frame.stream) else { return false };
        self.unseen.remove(index);
        self.refused.extend(refused.map(|refused| (frame.stream, refused)));
        true
    }
}

/// The streams whose bodies the client may go on with, and what it sends on others.
#[derive(Default)]
struct Uploads {
    open: VecDeque<u32>,
    /// Those on which something came that nobody wants, since h2 last said all that it had to say: for each of them it keeps a reset,
    /// half a KiB.
    late: BTreeSet<u32>,
}

/// Nothing more is read before the client takes what h2 has to say. One that looks at our resets sends late on as many as it may have open.
const LATE_STREAMS_MAX: usize = 1024;

impl Uploads {
    fn hears_head(&mut self, frame: &Frame, begins: bool) {
        if frame.ends_stream() {
            self.ends(frame.stream);
        } else if begins {
            if self.open.len() >= UNSEEN_MAX {
                self.open.pop_front();
            }
            self.open.push_back(frame.stream);
        }
    }

    /// Whether more of that body is expected.
    fn hears_data(&mut self, frame: &Frame) -> bool {
        let expected = match frame.ends_stream() {
            true => self.ends(frame.stream),
            false => self.open.contains(&frame.stream),
        };
        if !expected {
            self.late.insert(frame.stream);
        }
        expected
    }

    /// No more of that body will come, or is wanted: whether it was expected.
    fn ends(&mut self, stream: u32) -> bool {
        let index = self.open.iter().position(|&open| open == stream);
        index.and_then(|index| self.open.remove(index)).is_some()
    }

    fn owes_much(&self) -> bool {
        self.late.len() >= LATE_STREAMS_MAX
    }
}

/// A connection whose frames are noted.
pub(crate) struct Watched<I> {
    io: I,
    heard: FrameReader,
    said: Frames,
    traffic: Rc<Traffic>,
}

impl<I> Watched<I> {
    pub(crate) fn new(io: I, traffic: Rc<Traffic>) -> Watched<I> {
        Watched { io, heard: FrameReader::behind(PREFACE_BYTES), said: Frames::behind(0), traffic }
    }

    fn note_said(&mut self, bytes: &[u8]) {
        self.said.feed(bytes, |frame, _| self.traffic.says(frame));
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
        if traffic.uploads.borrow().owes_much() {
            return Poll::Pending; // until the turn ends that says it all
        }
        let before = buf.filled().len();
        let polled = heard.poll_read(io, cx, buf, |frame| traffic.hears(frame));
        let read_bytes = buf.filled().len() - before;
        if read_bytes > 0 {
            traffic.heard_ms.set(clock::coarse_ms());
            let (bytes, small_frames) = traffic.heard.get();
            traffic.heard.set((bytes + read_bytes, small_frames));
        }
        polled
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Watched<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write(cx, buf);
        self.traffic.blocked.set(polled.is_pending());
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
        self.traffic.blocked.set(polled.is_pending());
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
