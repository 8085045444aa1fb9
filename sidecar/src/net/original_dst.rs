//! Where a redirected connection was going.

use std::net::SocketAddr;

use socket2::SockRef;
use svc_core::address::OriginalDst;
use tokio::net::TcpStream;

/// What conntrack remembers of the connection's destination (`SO_ORIGINAL_DST`), by the family of the socket.
/// `None` when it was not redirected, or conntrack has no entry.
pub(crate) fn of(stream: &TcpStream) -> Option<OriginalDst> {
    let socket = SockRef::from(stream);
    let original = match stream.local_addr().ok()? {
        SocketAddr::V4(_) => socket.original_dst_v4(),
        SocketAddr::V6(local) if local.ip().to_ipv4_mapped().is_some() => socket.original_dst_v4(),
        SocketAddr::V6(_) => socket.original_dst_v6(),
    };
    original.ok()?.as_socket().map(OriginalDst)
}
