//! The accept loop.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::{TcpListener, TcpStream};
use crate::clock::sleep;

/// Hands connections to `take` as they come, for ever. What keeps the system from accepting (descriptors, mostly) goes to `failed`, and does
/// not pass at once. May be dropped at any time: what the kernel has completed by then is still accepted first.
pub(crate) async fn accept_each(
    listener: TcpListener,
    mut take: impl FnMut(TcpStream, SocketAddr),
    failed: impl Fn(&io::Error),
) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => take(stream, peer),
            Err(error) if is_clients_fault(&error) => {}
            Err(error) => {
                failed(&error);
                sleep(PAUSE).await;
            }
        }
    }
}

/// The client gave up between the handshake and our accept.
fn is_clients_fault(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)
}

/// Descriptors come back as connections close.
const PAUSE: Duration = Duration::from_millis(50);
