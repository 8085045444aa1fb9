//! The sockets that datagrams come and go by.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::{Ipv4OrigDstAddr, Ipv6OrigDstAddr};
use socket2::{Domain, Protocol, Socket, Type};
use svc_core::capture::Privileges;
use svc_proto::names::mark;

use crate::descriptors;

/// Finds out whether an address can be had, as [`listen::probe`](crate::net::listen::probe) does.
pub(crate) fn probe(addr: SocketAddr) -> io::Result<()> {
    new(addr)?.bind(&addr.into())
}

/// Listens on an address that this process has probed. Each worker does; the kernel hashes the addresses of a datagram to one of them,
/// so that a flow stays with its worker.
pub(crate) fn listen(addr: SocketAddr) -> io::Result<UdpSocket> {
    bind(new(addr)?, addr)
}

fn bind(socket: Socket, addr: SocketAddr) -> io::Result<UdpSocket> {
    socket.set_reuse_port(true)?; // and never SO_REUSEADDR: a second sidecar could take the datagrams of the first
    socket.set_recv_buffer_size(LISTENER_BUFFER_BYTES)?;
    socket.set_send_buffer_size(LISTENER_BUFFER_BYTES)?;
    socket.bind(&addr.into())?;
    Ok(socket.into())
}

/// Listens for the datagrams that the rules of capture bring, wherever they were going.
pub(crate) fn listen_captured(addr: SocketAddr) -> io::Result<UdpSocket> {
    let socket = new(addr)?;
    socket.set_ip_transparent_v4(true)?; // of both families, whatever it is called
    match addr {
        SocketAddr::V4(_) => setsockopt(&socket, Ipv4OrigDstAddr, &true)?,
        SocketAddr::V6(_) => setsockopt(&socket, Ipv6OrigDstAddr, &true)?,
    }
    bind(socket, addr)
}

/// A socket to answer by, from an address that is not the pod's: the one that clients have sent to. Nothing comes by it: what is sent
/// there is captured.
pub(super) fn answer_from(destination: SocketAddr) -> io::Result<UdpSocket> {
    let socket = new(destination)?;
    socket.set_ip_transparent_v4(true)?;
    socket.set_mark(mark::OWN)?;
    socket.set_reuse_port(true)?; // another worker may have clients that send there
    socket.set_send_buffer_size(FLOW_BUFFER_BYTES)?;
    socket.bind(&destination.into())?;
    Ok(socket.into())
}

/// A socket that sends to one endpoint, and receives from no one else.
pub(super) fn connect(endpoint: SocketAddr, privileges: Privileges) -> io::Result<UdpSocket> {
    let socket = new(endpoint)?;
    if descriptors::is_reserved(&socket) {
        return Err(rustix::io::Errno::MFILE.into());
    }
    if privileges == Privileges::Transparent {
        socket.set_mark(mark::OWN)?; // capture leaves it alone
    }
    socket.set_recv_buffer_size(FLOW_BUFFER_BYTES)?;
    socket.set_send_buffer_size(FLOW_BUFFER_BYTES)?;
    socket.connect(&endpoint.into())?;
    Ok(socket.into())
}

fn new(addr: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// What waits while the worker is busy elsewhere, for all clients of a port together. The kernel counts some 768 bytes for a datagram of
/// DNS's size: 4 MiB, which it doubles, are 10,000 of them, a second's worth at 10,000 a second. It gives at most
/// `net.core.rmem_max`, which is 208 KiB where nobody raised it: 550 datagrams.
const LISTENER_BUFFER_BYTES: usize = 4 << 20;

/// What one client sends at once, and what its endpoint answers: a batch, or eight, of datagrams of the largest size, for which the kernel
/// counts twice their size or less. It is a limit, not an allocation, and `net.ipv4.udp_mem` bounds all of them together.
const FLOW_BUFFER_BYTES: usize = 1 << 20;
