//! Sockets with marks, and with addresses that are not the pod's: what `--privileges=transparent` is for.

use std::io;
use std::net::{IpAddr, SocketAddr};

use socket2::SockRef;
use svc_core::capture::Privileges;
use svc_core::dns::local::{Permit, prohibition};
use svc_proto::names::mark;
use tokio::net::{TcpSocket, TcpStream};

/// Finds out whether this process has the privileges that it is told of.
pub(crate) fn check(privileges: Privileges) -> io::Result<()> {
    match privileges {
        Privileges::None => Ok(()),
        Privileges::Transparent => take_over(SockRef::from(&TcpSocket::new_v4()?)),
    }
}

/// Makes a listener of `socket` for connections to any address that the rules of capture bring. What is accepted has its mark.
pub(crate) fn take_over(socket: SockRef<'_>) -> io::Result<()> {
    socket.set_ip_transparent_v4(true)?; // of both families, whatever it is called
    socket.set_mark(mark::CLIENT)
}

/// Opens a connection that capture leaves alone.
pub(crate) async fn connect(addr: SocketAddr, privileges: Privileges) -> io::Result<TcpStream> {
    match privileges {
        Privileges::None => TcpStream::connect(addr).await, // capture knows us by our user
        Privileges::Transparent => marked(addr, mark::OWN)?.connect(addr).await,
    }
}

/// Opens a connection to the application at `addr` that comes from the address `client`, at a port that `draw` chooses.
pub(crate) async fn connect_as(
    client: IpAddr,
    addr: SocketAddr,
    mut draw: impl FnMut() -> u64,
) -> io::Result<TcpStream> {
    for _ in 0..DRAWS {
        let opened = connect_from(SocketAddr::new(client, port(draw())), addr).await;
        match opened.as_ref().map_err(io::Error::kind) {
            Err(io::ErrorKind::AddrInUse | io::ErrorKind::AddrNotAvailable) => {}
            Ok(_) | Err(_) => return opened,
        }
    }
    connect_from(SocketAddr::new(client, 0), addr).await
}

/// A port below those that clients use for their own connections (32768 and up on Linux, 49152 and up elsewhere). If a client opened a
/// connection to the application from the port that we use in its name, the two would be one to the kernel, and the second would fail.
fn port(draw: u64) -> u16 {
    let offset = u16::try_from(draw % u64::from(PORTS)).expect("below PORTS");
    PORT_MIN + offset
}

/// The first that needs no privilege.
const PORT_MIN: u16 = 1024;
const PORTS: u16 = 32768 - PORT_MIN;

/// A draw fails where the application listens, or this client has a connection from there: with a thousand of them, one in 32 does. Eight
/// in a row fail once in 10^12.
const DRAWS: usize = 8;

async fn connect_from(from: SocketAddr, addr: SocketAddr) -> io::Result<TcpStream> {
    let socket = marked(addr, mark::APPLICATION)?;
    SockRef::from(&socket).set_ip_transparent_v4(true)?;
    socket.set_reuseaddr(true)?; // one port serves connections to several of the application's
    socket.bind(from)?;
    socket.connect(addr).await
}

fn marked(addr: SocketAddr, mark: u32) -> io::Result<TcpSocket> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    SockRef::from(&socket).set_mark(mark)?;
    Ok(socket)
}

/// The address of `client`, if a connection of ours can come from there: what is nobody's, or only of this link or pod, cannot be routed
/// back.
pub(crate) fn usable(client: IpAddr) -> Option<IpAddr> {
    prohibition(client, Permit::default()).is_none().then_some(client)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_those_below_what_clients_use() {
        assert_eq!([0, 1, 31743, 31744].map(port), [1024, 1025, 32767, 1024]);
    }

    #[test]
    fn addresses_of_this_pod_or_link_are_nobody_elses_to_answer() {
        for near in ["127.0.0.1", "::1", "169.254.1.1", "fe80::1", "0.0.0.0", "::", "224.0.0.1", "ff02::1"] {
            assert_eq!(usable(near.parse().unwrap()), None, "{near}");
        }
        assert!(
            usable("10.1.0.1".parse().unwrap()).is_some() && usable("fd00::1".parse().unwrap()).is_some()
        );
    }
}
