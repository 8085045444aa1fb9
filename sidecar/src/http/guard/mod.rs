//! What stands between a client's bytes and hyper: heads and the framing of bodies are held to the letter of RFC 9112 here, so that no
//! parser behind it gets what it would be lenient with.
//!
//! A head is handed on when all of it is there and in order. One that is not is replaced by a request of our own, to which the answer is
//! the refusal: it comes in its turn, and has a record, as every answer does. Bodies pass without being copied; of chunks, the lines
//! between the data are read. httparse is what hyper reads heads with, too, so that both see the same message.

mod chunks;
mod head;
mod rule;
#[cfg(test)]
mod tests;
mod turns;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::pulse::Pulse;
use crate::memory::Held;

use chunks::ChunkGuard;
use head::RequestFraming;
use rule::Rule;

pub(crate) use head::has_bare_line_feed;
pub(crate) use rule::refused;
pub(crate) use turns::{RefusedHead, RequestTurns};

/// A connection whose requests are in order.
pub(crate) struct Guarded<I> {
    io: I,
    /// Where the requests' turns are told; its beats are the connection's own business.
    pulse: Arc<Pulse>,
    phase: Phase,
    /// How many heads went on.
    heads: u32,
    /// What follows the message under way may be a tunnel.
    upgrades: bool,
    /// Goes on next.
    ready: Bytes,
    /// Read, and not to be handed on yet: part of a head, or what follows a request for a tunnel.
    held: BytesMut,
    /// What `held` has allocated.
    counted: Held,
    /// How much of the part of a head has been looked at; nothing when it is not known to be one.
    seen: usize,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Head,
    /// So many bytes of a body.
    Body(u64),
    Chunks(ChunkGuard),
    /// A tunnel or a head: the answer decides.
    Undecided,
    /// Nothing: a head was refused.
    Refused,
    /// A body that cannot be read on.
    Broken(Rule),
}

/// What came of some bytes.
#[derive(Default)]
struct Scanned {
    /// So many of them go on.
    passed: usize,
    /// This goes on behind those.
    insert: Bytes,
    /// So many of them are dealt with: what follows is held.
    used: usize,
}

impl<I> Guarded<I> {
    pub(crate) fn new(io: I, pulse: Arc<Pulse>) -> Guarded<I> {
        let counted = pulse.holder().hold(0);
        Guarded {
            io,
            pulse,
            phase: Phase::Head,
            heads: 0,
            upgrades: false,
            ready: Bytes::new(),
            held: BytesMut::new(),
            counted,
            seen: 0,
        }
    }

    /// The connection, and what was read of it that no message had.
    pub(crate) fn into_parts(self) -> (I, Bytes) {
        (self.io, self.held.freeze())
    }

    /// Notes what can be read of a head that is under way and comes no further.
    pub(crate) fn break_off(&self) {
        if self.phase == Phase::Head && self.seen > 0 {
            self.pulse.turns.break_off(&self.held);
        }
    }

    /// Goes through bytes that nothing is held before.
    fn scan(&mut self, bytes: &[u8]) -> Scanned {
        let mut at = 0;
        loop {
            let rest = &bytes[at..];
            if rest.is_empty() {
                return Scanned { passed: at, used: at, ..Scanned::default() };
            }
            match &mut self.phase {
                Phase::Body(left) => {
                    let there = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                    at += there;
                    *left -= there as u64;
                    if *left == 0 {
                        self.end_message();
                    }
                }
                Phase::Chunks(chunks) => match chunks.pass(rest) {
                    Ok(there) => {
                        at += there;
                        if *chunks == ChunkGuard::End {
                            self.end_message();
                        }
                    }
                    Err(rule) => {
                        rule.tell("a body");
                        self.phase = Phase::Broken(rule);
                        return Scanned { passed: at, used: bytes.len(), ..Scanned::default() };
                    }
                },
                Phase::Head => match head::read(rest, self.seen) {
                    Ok(None) => {
                        self.seen = rest.len();
                        return Scanned { passed: at, used: at, ..Scanned::default() };
                    }
                    Ok(Some(head)) => {
                        self.begin_message(&head);
                        if let Some(mended) = head.mended {
                            return Scanned { passed: at, insert: mended, used: at + head.bytes };
                        }
                        at += head.bytes;
                    }
                    Err(rule) => {
                        let insert = self.refuse(rule, rest);
                        return Scanned { passed: at, insert, used: bytes.len() };
                    }
                },
                Phase::Undecided | Phase::Refused | Phase::Broken(_) => {
                    return Scanned { passed: at, used: at, ..Scanned::default() };
                }
            }
        }
    }

    fn begin_message(&mut self, head: &head::GuardedHead) {
        self.seen = 0;
        self.heads = self.heads.wrapping_add(1);
        self.upgrades = head.upgrades;
        match head.framing {
            RequestFraming::Length(0) => self.end_message(),
            RequestFraming::Length(bytes) => self.phase = Phase::Body(bytes),
            RequestFraming::Chunked => self.phase = Phase::Chunks(ChunkGuard::START),
        }
    }

    fn end_message(&mut self) {
        self.phase = Phase::Head;
        if self.upgrades {
            self.phase = Phase::Undecided;
        }
    }

    /// Refuses the head that `bytes` begin with: what hyper reads instead, and the account of it.
    fn refuse(&mut self, rule: Rule, bytes: &[u8]) -> Bytes {
        rule.tell("a request head");
        self.phase = Phase::Refused;
        self.heads = self.heads.wrapping_add(1);
        let refused = RefusedHead::new(self.heads, rule, bytes);
        let instead = if refused.asks_for_head() { HEAD_INSTEAD } else { GET_INSTEAD };
        self.pulse.turns.refuse(refused);
        Bytes::from_static(instead)
    }

    /// Goes through what is held.
    fn scan_held(&mut self) {
        let mut held = std::mem::take(&mut self.held);
        let Scanned { passed, insert, used } = self.scan(&held);
        let going_on = held.split_to(passed);
        held.advance(used - passed);
        self.ready =
            if insert.is_empty() { going_on.freeze() } else { [&going_on[..], &insert[..]].concat().into() };
        // An empty one would keep its whole buffer.
        self.held = if held.is_empty() { BytesMut::new() } else { held };
        self.counted.resize(self.held.capacity());
    }
}

impl<I: AsyncRead + Unpin> Guarded<I> {
    /// Reads straight into the reader's buffer; what may not go on yet is taken out again. Ready without a byte at the end.
    fn poll_pass(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<bool>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        let read = &buf.filled()[before..];
        if read.is_empty() {
            return Poll::Ready(Ok(false));
        }
        let Scanned { passed, insert, used } = self.scan(read);
        self.ready = insert;
        if used < read.len() {
            self.held.extend_from_slice(&read[used..]);
            self.counted.resize(self.held.capacity());
        }
        buf.set_filled(before + passed);
        Poll::Ready(Ok(true))
    }

    /// Reads more behind what is held. False at the end.
    fn poll_hold(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        self.held.reserve(HELD_READ_BYTES);
        let room = self.held.capacity().min(self.held.len() + HELD_READ_BYTES);
        let before = self.held.len();
        self.held.resize(room, 0);
        let mut buf = ReadBuf::new(&mut self.held[before..]);
        let polled = Pin::new(&mut self.io).poll_read(cx, &mut buf);
        let read = buf.filled().len();
        self.held.truncate(before + read);
        self.counted.resize(self.held.capacity());
        polled.map_ok(|()| read > 0)
    }

    /// Waits for the answer to a request for a tunnel. What comes meanwhile is kept, as much as fits into one read: then a client
    /// that leaves is noticed only by who writes to it.
    fn poll_decision(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if self.pulse.turns.poll_end(self.heads, cx).is_ready() {
            self.phase = Phase::Head;
            return Poll::Ready(Ok(true));
        }
        if self.held.is_empty() && !ready!(self.poll_hold(cx))? {
            return Poll::Ready(Ok(false));
        }
        Poll::Pending
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Guarded<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let guarded = &mut *self;
        let before = buf.filled().len();
        loop {
            if !guarded.ready.is_empty() {
                let count = guarded.ready.len().min(buf.remaining());
                buf.put_slice(&guarded.ready[..count]);
                guarded.ready.advance(count);
                if guarded.ready.is_empty() {
                    guarded.ready = Bytes::new();
                }
                return Poll::Ready(Ok(()));
            }
            let goes_on = match guarded.phase {
                Phase::Refused => return Poll::Pending, // the refusal ends the connection
                Phase::Broken(rule) => {
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, rule)));
                }
                Phase::Undecided => ready!(guarded.poll_decision(cx))?,
                Phase::Head | Phase::Body(_) | Phase::Chunks(_) if guarded.held.is_empty() => {
                    ready!(guarded.poll_pass(cx, buf))?
                }
                Phase::Head | Phase::Body(_) | Phase::Chunks(_) if guarded.seen < guarded.held.len() => {
                    guarded.scan_held();
                    true
                }
                Phase::Head | Phase::Body(_) | Phase::Chunks(_) => ready!(guarded.poll_hold(cx))?,
            };
            if buf.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
            if !goes_on {
                if guarded.seen == 0 || guarded.held.iter().all(|byte| matches!(byte, b'\r' | b'\n')) {
                    return Poll::Ready(Ok(()));
                }
                let cut = std::mem::take(&mut guarded.held);
                let rule = head::read(&cut, 0).err().unwrap_or(Rule::CutShort);
                guarded.ready = guarded.refuse(rule, &cut);
            }
        }
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Guarded<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// What hyper reads instead of a head that is refused. The answer to HEAD has no body (RFC 9110 §9.3.2).
const GET_INSTEAD: &[u8] = b"GET / HTTP/1.1\r\n\r\n";
const HEAD_INSTEAD: &[u8] = b"HEAD / HTTP/1.1\r\n\r\n";

/// How much is read at once behind part of a head, or instead of a tunnel's first bytes.
const HELD_READ_BYTES: usize = 4 * 1024;
