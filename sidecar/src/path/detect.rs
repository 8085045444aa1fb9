//! What a client speaks, by its first bytes.

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use svc_core::sniff::{Sniffed, sniff};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// What was found out, and the bytes that it took.
pub(crate) struct Detected {
    pub(crate) protocol: Sniffed,
    pub(crate) read: Bytes,
    /// The client said nothing, or not enough, in time.
    pub(crate) timed_out: bool,
}

/// Reads until the protocol is known. A client that has not said enough when `limit` is over, or when it ends, speaks
/// something opaque: its server may be the one to speak first.
pub(crate) async fn detect(stream: &mut TcpStream, limit: Option<Duration>) -> io::Result<Detected> {
    let mut read = BytesMut::new();
    let detecting = read_until_known(stream, &mut read);
    let (protocol, timed_out) = match limit {
        None => (detecting.await?, false),
        Some(limit) => match tokio::time::timeout(limit, detecting).await {
            Ok(protocol) => (protocol?, false),
            Err(_elapsed) => (Sniffed::Opaque, true),
        },
    };
    Ok(Detected { protocol, read: read.freeze(), timed_out })
}

async fn read_until_known(stream: &mut TcpStream, read: &mut BytesMut) -> io::Result<Sniffed> {
    loop {
        stream.readable().await?; // hold no buffer for a client that is silent
        read.reserve(FIRST_READ_BYTES);
        if stream.read_buf(read).await? == 0 {
            return Ok(Sniffed::Opaque);
        }
        match sniff(read) {
            Sniffed::More => {}
            known @ (Sniffed::Http1 | Sniffed::Http2 | Sniffed::Opaque) => return Ok(known),
        }
    }
}

/// Most request heads fit.
const FIRST_READ_BYTES: usize = 1024;
