//! Sockets: what the kernel is asked for, and streams of bytes over them. Nothing here knows of HTTP or of Services.

pub(crate) mod accept;
pub(crate) mod acks;
pub(crate) mod coalesce;
pub(crate) mod ending;
pub(crate) mod linger;
pub(crate) mod listen;
pub(crate) mod original_dst;
pub(crate) mod socket;
pub(crate) mod stream;
pub(crate) mod tcp_info;
pub(crate) mod tls_client;
pub(crate) mod transparent;

pub(crate) use tokio::net::{TcpListener, TcpStream, UdpSocket};
