//! Listening sockets: one of each per worker, the kernel spreads the connections (`SO_REUSEPORT`).

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::TcpListener;

use super::transparent;

/// Finds out whether an address can be had, and which port it gets if it asks for any.
///
/// Bound without `SO_REUSEPORT`: a second sidecar on the same address must fail, not take half of the connections in silence.
pub(crate) fn probe(addr: SocketAddr) -> io::Result<SocketAddr> {
    let socket = socket(addr, false)?;
    socket.bind(&addr.into())?;
    socket.listen(1)?;
    Ok(socket.local_addr()?.as_socket().expect("a TCP socket has an IP address"))
}

/// The first port that this process may listen at; 0 where it may at every one.
pub(crate) fn ports_from() -> u16 {
    let setting = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    let unprivileged = setting.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(PORTS_UNPRIVILEGED);
    let privileged = u16::saturating_sub(unprivileged, 1); // whoever may have this one may have all
    let tried = SocketAddr::new(Ipv4Addr::new(127, 66, 255, 254).into(), privileged);
    match socket(tried, false).and_then(|socket| socket.bind(&tried.into())) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => unprivileged,
        Ok(()) | Err(_) => 0,
    }
}

/// Where the kernel begins without the capability NET_BIND_SERVICE, unless told otherwise.
const PORTS_UNPRIVILEGED: u16 = 1024;

/// Listens on an address that this process has probed.
pub(crate) fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    listen_with(addr, |_| Ok(()))
}

/// The same for connections to any address, which keep the address that they were opened to.
pub(crate) fn listen_transparently(addr: SocketAddr) -> io::Result<TcpListener> {
    listen_with(addr, transparent::take_over)
}

fn listen_with(
    addr: SocketAddr,
    prepare: impl FnOnce(SockRef<'_>) -> io::Result<()>,
) -> io::Result<TcpListener> {
    let socket = socket(addr, true)?;
    prepare(SockRef::from(&socket))?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

fn socket(addr: SocketAddr, share: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(share)?;
    if addr.is_ipv6() {
        // `[::]` takes IPv4 too, whatever the system's default.
        socket.set_only_v6(!addr.ip().is_unspecified())?;
    }
    Ok(socket)
}

/// Connections that the kernel completes before we accept them; it caps this at `net.core.somaxconn` (4096).
const BACKLOG: i32 = 4096;
