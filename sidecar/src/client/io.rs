//! A client's connection as hyper reads it: first the bytes that detection has seen, then the rest.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

use super::clients::Admission;
use crate::http::pulse::Pulse;
use crate::memory::Held;
use crate::net::linger::Linger;
use crate::net::stream::Stream;

/// A client's connection. Every byte that moves is a beat of its [`Pulse`].
pub(crate) struct ClientIo {
    pub(crate) stream: Stream,
    /// Read from it already, not yet handed on.
    pub(crate) prefix: Bytes,
    pub(crate) pulse: Arc<Pulse>,
    /// How long nothing may happen on it, where its Service says so; zero is for ever.
    pub(crate) idle: Option<Duration>,
    /// All was said that was to be said.
    pub(crate) ended: bool,
    /// How it ends where its client may have more to say.
    pub(crate) linger: Option<Box<Linger>>,
    /// What TLS has encrypted and not sent.
    pub(crate) records: Held,
    /// Kept as long as the stream, also when hyper hands it out for a tunnel: a drain waits for that too.
    pub(crate) admission: Admission,
}

impl AsyncRead for ClientIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.prefix.is_empty() {
            let count = self.prefix.len().min(buf.remaining());
            buf.put_slice(&self.prefix[..count]);
            self.prefix.advance(count);
            if self.prefix.is_empty() {
                self.prefix = Bytes::new(); // an empty remainder would keep its whole buffer
            }
            self.pulse.received(count);
            return Poll::Ready(Ok(()));
        }
        if self.pulse.is_pausable() {
            ready!(self.admission.holder.poll_resumed(cx));
        }
        self.pulse.look(self.stream.tcp())?;
        let before = buf.filled().len();
        let mut limited = (&mut self.stream).take(READ_BYTES_MAX);
        let polled = Pin::new(&mut limited).poll_read(cx, buf);
        let count = buf.filled().len() - before;
        if count > 0 {
            self.pulse.acks.heard();
            self.pulse.pace.unsaid.end();
            self.pulse.received(count);
        } else if polled.is_pending() && self.pulse.owes_body() {
            self.pulse.pace.unsaid.begin();
        }
        polled
    }
}

impl AsyncWrite for ClientIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.sends()?;
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.note_sent(polled.is_pending());
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.sends()?;
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.note_sent(polled.is_pending());
        polled
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// hyper flushes at each turn, and while a request is under way it does not read: here a client is seen that has gone.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.pulse.look(self.stream.tcp())?;
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        if self.stream.plain().is_none() {
            self.note_sent(flushed.is_pending()); // a socket holds nothing back that could be flushed
        }
        ready!(flushed)?;
        if self.pulse.waits() { self.stream.poll_gone(cx) } else { Poll::Ready(Ok(())) }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ClientIo { stream, ended, linger, pulse, .. } = &mut *self;
        if linger.is_none() {
            *ended = true;
            ready!(Pin::new(&mut *stream).poll_shutdown(cx))?;
            *linger = Some(Box::new(Linger::new(pulse.may_say_more())));
            pulse.busy(); // a head that is under way is not waited for any more
        }
        let polled = linger.as_mut().map_or(Poll::Ready(()), |linger| linger.poll(stream.tcp(), cx));
        polled.map(Ok)
    }
}

impl ClientIo {
    /// The socket has taken something, or is full.
    #[inline]
    fn note_sent(&mut self, is_full: bool) {
        self.records.resize(self.stream.unsent_bytes());
        let untaken = &self.pulse.pace.untaken;
        if is_full { untaken.begin() } else { untaken.end() }
    }

    /// Something is about to be sent.
    fn sends(&self) -> io::Result<()> {
        self.pulse.look(self.stream.tcp())?;
        self.pulse.acks.sent();
        self.pulse.wrote();
        Ok(())
    }
}

impl Drop for ClientIo {
    /// A client of HTTP/1.0 takes the end of its connection for the end of the answer. For one that has to make room, the kernel keeps nothing either.
    fn drop(&mut self) {
        let ends_answer = !self.ended && self.pulse.ends_answers();
        if ends_answer || self.admission.holder.must_end() {
            self.stream.break_when_dropped();
        }
    }
}

/// What is read at once, as HAProxy does by default. hyper doubles its buffer, up to the longest head, when a read fills it: this one never fills
/// 16 KiB. An endpoint that does not read an upload makes us hold two of those, one on its way and one that waits, beside as much that was
/// gathered and hyper's buffers of 8 KiB.
const READ_BYTES_MAX: u64 = 16 * 1024 - 1;
