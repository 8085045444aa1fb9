//! A connection's bytes: as they are on the wire, or inside of TLS. Whatever moves passes the match, so it is inlined.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;

use super::ending;

/// One end of a connection.
#[derive(Debug)]
pub(crate) enum Stream {
    Plain(TcpStream),
    /// Boxed: a session takes a kilobyte, which connections without one would hold too.
    Tls(Box<TlsStream<TcpStream>>),
}

/// What a session encrypts ahead of a peer that does not read: two records of the greatest size (RFC 8446 §5.1). rustls would keep 64 KiB, beside the
/// 64 KiB that a connection may hold.
const RECORDS_BYTES_MAX: usize = 32 * 1024;

impl Stream {
    /// A connection that is inside of TLS from here on.
    pub(crate) fn secured(mut tls: TlsStream<TcpStream>) -> Stream {
        match &mut tls {
            TlsStream::Server(stream) => stream.get_mut().1.set_buffer_limit(Some(RECORDS_BYTES_MAX)),
            TlsStream::Client(stream) => stream.get_mut().1.set_buffer_limit(Some(RECORDS_BYTES_MAX)),
        }
        Stream::Tls(Box::new(tls))
    }

    /// What may wait to be sent beside what was not taken, in bytes.
    pub(crate) fn unsent_bytes(&self) -> usize {
        match self {
            Stream::Plain(_) => 0, // a socket holds nothing back
            Stream::Tls(tls) => match &**tls {
                TlsStream::Server(stream) if stream.get_ref().1.wants_write() => RECORDS_BYTES_MAX,
                TlsStream::Client(stream) if stream.get_ref().1.wants_write() => RECORDS_BYTES_MAX,
                TlsStream::Server(_) | TlsStream::Client(_) => 0,
            },
        }
    }

    /// The socket.
    pub(crate) fn tcp(&self) -> &TcpStream {
        match self {
            Stream::Plain(tcp) => tcp,
            Stream::Tls(tls) => tls.get_ref().0,
        }
    }

    /// What was agreed on within TLS that is to be spoken (ALPN).
    pub(crate) fn agreed(&self) -> Option<&[u8]> {
        match self {
            Stream::Plain(_) => None,
            Stream::Tls(tls) => tls.get_ref().1.alpn_protocol(),
        }
    }

    /// Looks for the end of a peer that is waited with, without reading. One that has said its last waits, too; one that has broken
    /// the connection off does not.
    ///
    /// # Errors
    /// The connection is broken.
    pub(crate) fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut byte = [0];
        match self.tcp().poll_peek(cx, &mut ReadBuf::new(&mut byte)) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(_)) | Poll::Pending => Poll::Ready(Ok(())), // pending: woken when there is news
        }
    }

    /// Makes a reset of what happens when it is dropped.
    pub(crate) fn break_when_dropped(&self) {
        ending::break_when_dropped(self.tcp());
    }

    /// Makes an end of it again.
    pub(crate) fn end_when_dropped(&self) {
        ending::end_when_dropped(self.tcp());
    }

    /// The socket, where what it carries is what the connection says: the kernel may then move the bytes.
    pub(crate) fn plain(&self) -> Option<&TcpStream> {
        match self {
            Stream::Plain(tcp) => Some(tcp),
            Stream::Tls(_) => None,
        }
    }
}

impl From<TcpStream> for Stream {
    fn from(tcp: TcpStream) -> Stream {
        Stream::Plain(tcp)
    }
}

impl AsyncRead for Stream {
    #[inline]
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Stream::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    #[inline]
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Stream::Tls(tls) => Pin::new(tls).poll_write(cx, buf),
        }
    }

    #[inline]
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(tcp) => poll_write_gathered(tcp, cx, bufs),
            Stream::Tls(tls) => Pin::new(tls).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    #[inline]
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(_) => Poll::Ready(Ok(())), // a socket holds nothing back
            Stream::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Stream::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}

/// Writes several buffers at once. A head with a short body is copied together: one `send` of a kilobyte costs less than a `writev` of
/// its two parts.
fn poll_write_gathered(
    stream: &mut TcpStream,
    cx: &mut Context<'_>,
    bufs: &[io::IoSlice<'_>],
) -> Poll<io::Result<usize>> {
    if let [buf] = bufs {
        return Pin::new(stream).poll_write(cx, buf);
    }
    let bytes = bufs.iter().map(|buf| buf.len()).sum();
    if bytes > GATHERED_BYTES_MAX {
        return Pin::new(stream).poll_write_vectored(cx, bufs);
    }
    let mut gathered = [0; GATHERED_BYTES_MAX];
    let mut end = 0;
    for buf in bufs {
        gathered[end..end + buf.len()].copy_from_slice(buf);
        end += buf.len();
    }
    Pin::new(stream).poll_write(cx, &gathered[..bytes])
}

/// A usual head and a body of one kilobyte. On the stack: nothing is kept.
const GATHERED_BYTES_MAX: usize = 2048;
