//! A connection to an endpoint, as whoever speaks over it has it.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::conn_table::{ConnGuard, ConnHandle};
use crate::metrics::{Closed, Series};
use crate::net::stream::Stream;

/// A connection to an endpoint, which counts itself.
pub(crate) struct UpstreamIo {
    /// A message on it has begun and not ended: dropped now, it is broken off.
    pub(super) unfinished: bool,
    /// A write has met its reset. The kernel tells that once: a read behind it finds an end like any other.
    pub(super) was_reset: bool,
    /// Shared with its line, and borrowed only while it is polled.
    pub(crate) stream: Rc<RefCell<Stream>>,
    pub(super) entry: ConnGuard,
    pub(super) series: Arc<Series>,
    pub(crate) closed: Closed,
}

impl UpstreamIo {
    pub(crate) fn line(&self) -> &Rc<ConnHandle> {
        self.entry.line()
    }

    fn note_reset(&mut self, polled: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Err(error)) = polled {
            // Where its end had come before, which was one then, the kernel says "broken pipe".
            self.was_reset |= error.kind() != io::ErrorKind::BrokenPipe;
        }
    }

    /// Makes a reset of what happens when it is dropped, for who carries what may end with its connection.
    pub(crate) fn break_when_dropped(&self) {
        self.stream.borrow().break_when_dropped();
    }

    /// Makes an end of it again.
    pub(crate) fn end_when_dropped(&self) {
        self.stream.borrow().end_when_dropped();
    }
}

impl Drop for UpstreamIo {
    fn drop(&mut self) {
        let is_cut = self.line().is_cut();
        if is_cut || self.unfinished {
            self.break_when_dropped(); // to an end it may still answer, and work for nobody
        }
        let how = if is_cut { Closed::Cut } else { self.closed };
        self.series.closed(how);
    }
}

impl AsyncRead for UpstreamIo {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut *self.stream.borrow_mut()).poll_read(cx, buf);
        let heard_bytes = buf.filled().len() - before;
        self.line().heard(heard_bytes);
        if heard_bytes == 0 && polled.is_ready() && (self.line().is_cut() || self.was_reset) {
            // A response that lasts until its connection ends would seem to be whole.
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        polled
    }
}

impl AsyncWrite for UpstreamIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.line().sent()?;
        let polled = Pin::new(&mut *self.stream.borrow_mut()).poll_write(cx, buf);
        self.note_reset(&polled);
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.line().sent()?;
        let polled = Pin::new(&mut *self.stream.borrow_mut()).poll_write_vectored(cx, bufs);
        self.note_reset(&polled);
        polled
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream.borrow_mut()).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream.borrow_mut()).poll_shutdown(cx)
    }
}
