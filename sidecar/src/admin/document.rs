//! `/services`: a document that may be larger than the sidecar's memory, and its entity tag.
//!
//! It is written twice, to a hash and to the peer, and is in memory never. Both happen on threads of their
//! own, because a large one takes a second each time.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hasher};
use std::io::{self, BufWriter, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use svc_core::describe::{ServiceFilter, describe};
use svc_core::endpoints::EndpointId;
use svc_core::inventory::Rejection;
use svc_core::table::Table;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::spawn_blocking;

/// What tells one document from another, and how long it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tag {
    /// A strong entity tag (RFC 9110 §8.8.3).
    pub(super) etag: String,
    /// In bytes.
    pub(super) length: u64,
}

/// One state of the world, and which part of it is asked for.
#[derive(Clone)]
pub(super) struct ServicesView {
    pub(super) table: Arc<Table>,
    pub(super) rejections: Arc<Vec<Rejection>>,
    /// Who is out at the moment.
    pub(super) ejected: Arc<BTreeSet<EndpointId>>,
    pub(super) query: ServicesQuery,
}

/// `?namespace=&name=`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ServicesQuery {
    namespace: Option<String>,
    name: Option<String>,
}

impl ServicesQuery {
    /// Reads a query string; `Err` is the parameter that does not exist. Names need no percent-encoding.
    pub(super) fn parse(raw: &str) -> Result<ServicesQuery, &str> {
        let mut query = ServicesQuery::default();
        for pair in raw.split('&').filter(|pair| !pair.is_empty()) {
            let (parameter, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = (!value.is_empty()).then(|| value.to_owned());
            match parameter {
                "namespace" => query.namespace = value,
                "name" => query.name = value,
                _ => return Err(parameter),
            }
        }
        Ok(query)
    }
}

impl ServicesView {
    /// Writes it to a hash.
    pub(super) async fn measure(&self) -> Tag {
        let document = self.clone();
        let measured = spawn_blocking(move || {
            let mut digest = BufWriter::with_capacity(CHUNK_BYTES, Digest::default());
            document.write(&mut digest).expect("a hash takes every byte");
            digest.into_inner().unwrap_or_else(|_| unreachable!("a hash takes every byte"))
        });
        let Digest { hasher, length } = measured.await.expect("writing a document does not panic");
        Tag { etag: format!("\"{:016x}-{length:x}\"", hasher.finish()), length }
    }

    /// Its bytes, of which [`ServicesView::measure`] told the number.
    pub(super) fn stream(self, length: u64) -> Streamed {
        let (sender, chunks) = channel(CHUNKS_WAITING);
        // Ends when the document does, or with an error when the peer has gone; in both cases the sender is dropped.
        spawn_blocking(move || self.write(&mut BufWriter::with_capacity(CHUNK_BYTES, ChunkSender(sender))));
        Streamed { chunks, left: length }
    }

    fn write(&self, mut out: impl Write) -> io::Result<()> {
        let filter =
            ServiceFilter { namespace: self.query.namespace.as_deref(), name: self.query.name.as_deref() };
        serde_json::to_writer(
            &mut out,
            &describe(&self.table, self.rejections.iter(), filter, &self.ejected),
        )?;
        out.flush()
    }
}

#[derive(Default)]
struct Digest {
    hasher: DefaultHasher,
    length: u64,
}

impl Write for Digest {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hasher.write(bytes);
        self.length += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Hands chunks to the connection's thread, and waits while it cannot take them.
struct ChunkSender(Sender<Bytes>);

impl Write for ChunkSender {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Bytes::copy_from_slice(bytes));
        sent.map(|()| bytes.len()).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A body that is written while it is read.
pub(super) struct Streamed {
    chunks: Receiver<Bytes>,
    left: u64,
}

impl Body for Streamed {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let chunk = std::task::ready!(self.chunks.poll_recv(cx));
        self.left -= chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
        Poll::Ready(chunk.map(|chunk| Ok(Frame::data(chunk))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// Large enough that a chunk costs little beside its bytes.
const CHUNK_BYTES: usize = 64 * 1024;

/// With the one being filled and the one being sent: 256 KiB for each connection.
const CHUNKS_WAITING: usize = 2;
