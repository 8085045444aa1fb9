//! How the end of a socket reads at its other end: as an end (FIN) or as a break (RST).
//!
//! Protocols that end by the connection's end take a FIN for "that was all". What was cut short must say so.

use std::time::Duration;

use socket2::SockRef;
use tokio::net::TcpStream;

/// Makes a reset of what happens when the socket is dropped, by us or by the kernel when the process dies.
pub(crate) fn break_when_dropped(socket: &TcpStream) {
    let _ = SockRef::from(socket).set_linger(Some(Duration::ZERO)); // a socket that refuses it has ended already
}

/// Makes an end of it again: what was sent still arrives, and a FIN behind it.
pub(crate) fn end_when_dropped(socket: &TcpStream) {
    let _ = SockRef::from(socket).set_linger(None);
}
