//! What was read from an endpoint and is not understood yet: the one buffer of a connection.

use std::pin::pin;
use std::task::{Context, Poll, ready};
use std::{io, mem};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Bytes that were read. An empty one holds no buffer.
#[derive(Default)]
pub(super) struct Unread {
    pub(super) bytes: Bytes,
    /// What is being read into; holds what is unread meanwhile.
    filling: BytesMut,
    /// How much is made room for, as long as nobody knows how much comes: more when the last read took all of it.
    room: usize,
}

impl Unread {
    /// In bytes.
    pub(super) fn len(&self) -> usize {
        self.bytes.len() + self.filling.len()
    }

    /// Reads more, behind what is there: the `wanted` bytes, where it is known how many are to come. False when nothing comes any more.
    pub(super) fn poll_more(
        &mut self,
        io: &mut (impl AsyncRead + Unpin),
        wanted: Option<u64>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<bool>> {
        if !self.bytes.is_empty() {
            // Nothing is copied as long as nobody has a part of it; else it is part of a line.
            let unread = mem::take(&mut self.bytes).try_into_mut();
            self.filling = unread.unwrap_or_else(|shared| BytesMut::from(&shared[..]));
        }
        let room = match wanted {
            Some(bytes) => usize::try_from(bytes).unwrap_or(usize::MAX).min(ROOM_MAX),
            None => self.room.clamp(ROOM_MIN, ROOM_OF_PARTS_MAX),
        };
        self.filling.reserve(room);
        let polled = pin!(io.read_buf(&mut self.filling)).poll(cx);
        if polled.is_pending() && self.filling.is_empty() {
            self.filling = BytesMut::new(); // nothing is held for an endpoint that is silent
        }
        let read = ready!(polled)?;
        self.room = if read >= room { 2 * room } else { room / 2 };
        self.bytes = mem::take(&mut self.filling).freeze();
        Poll::Ready(Ok(read > 0))
    }
}

/// A head with a short body.
const ROOM_MIN: usize = 8 * 1024;

/// With hyper's own two buffers of 8 KiB, a client that does not read holds 64 KiB. 10_000 of them × 64 KiB = 640 MiB: `--memory-max` is the
/// tighter bound.
const ROOM_MAX: usize = 48 * 1024;

/// The same of a body in chunks: small ones are gathered into a buffer of 16 KiB more.
const ROOM_OF_PARTS_MAX: usize = 32 * 1024;
