//! What is asked of every socket of ours.

use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

/// Sets what every socket of ours has. A socket that refuses an option is already dead, and its next use says so.
pub(crate) fn prepare(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    let socket = SockRef::from(stream);
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_AFTER);
    let keepalive = keepalive.with_interval(KEEPALIVE_EVERY).with_retries(KEEPALIVE_PROBES);
    let _ = socket.set_tcp_keepalive(&keepalive);
    // No TCP_USER_TIMEOUT: that counts the time of a peer that acknowledges and does not read, too (`acks`).
}

/// An idle peer is probed after this long; conntrack entries and NAT mappings commonly live for five minutes or more.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(60);

/// 3 × 10 s without an answer mean that it is gone; the kernel's default is eleven minutes. Not of data that is under way, nor of a reader
/// that pauses: those are looked at by `acks`.
const KEEPALIVE_EVERY: Duration = Duration::from_secs(10);
const KEEPALIVE_PROBES: u32 = 3;
