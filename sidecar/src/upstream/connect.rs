//! Opening a connection to an endpoint.

use std::io;
use std::net::{IpAddr, SocketAddr};

use svc_core::address::Transport;
use svc_core::outcome::Failure;
use tokio::io::AsyncWriteExt as _;

use super::dialer::Dialer;
use super::outbound_proxy_header::OutboundProxyHeader;
use crate::descriptors;
use crate::net::{TcpStream, socket, transparent};

/// Opens a connection within `--connect-timeout`.
///
/// # Errors
/// [`Failure::Loop`] for one of our own listeners; else how the endpoint failed.
pub(crate) async fn open(addr: SocketAddr, dialer: &Dialer) -> Result<TcpStream, Failure> {
    within_deadline(addr, dialer, transparent::connect(addr, dialer.config.privileges)).await
}

async fn within_deadline(
    addr: SocketAddr,
    dialer: &Dialer,
    connecting: impl Future<Output = io::Result<TcpStream>>,
) -> Result<TcpStream, Failure> {
    if dialer.is_own(Transport::Tcp, addr) {
        return Err(Failure::Loop);
    }
    match crate::clock::timeout(dialer.config.deadlines.connect, connecting).await {
        Err(_elapsed) => Err(Failure::ConnectTimeout),
        Ok(Err(error)) => Err(failure(&error)),
        Ok(Ok(stream)) if is_home(&stream, addr, dialer) => Err(Failure::Loop),
        Ok(Ok(stream)) if descriptors::is_reserved(&stream) => Err(Failure::TooManyConnections),
        Ok(Ok(stream)) => {
            socket::prepare(&stream);
            Ok(stream)
        }
    }
}

/// Says whom the connection to the endpoint at `addr` is for, at once: its server may be the one to speak first. Nothing else was sent,
/// so that a failure is one to connect.
pub(crate) async fn send_header(
    stream: &mut TcpStream,
    outbound_header: &OutboundProxyHeader,
    addr: SocketAddr,
    dialer: &Dialer,
) -> Result<(), Failure> {
    let near = stream.local_addr().map_err(|error| failure(&error))?;
    let header = outbound_header.header(near, addr);
    let saying = stream.write_all(&header);
    match crate::clock::timeout(dialer.config.deadlines.connect, saying).await {
        Err(_elapsed) => Err(Failure::ConnectTimeout),
        Ok(said) => said.map_err(|error| failure(&error)),
    }
}

/// Opens a connection to the application beside us: at the pod's address `addr`, or at `or_else` where nobody listens there. To `addr` it
/// comes from the address of `client`, if there is one; then only the rules of capture have seen whether `addr` is of this pod.
///
/// # Errors
/// [`Failure::UnknownDestination`] where `addr` is not of this pod: what was sent here for somebody else is not passed on. Else those
/// of [`open`].
pub(crate) async fn open_application(
    addr: SocketAddr,
    or_else: Option<SocketAddr>,
    client: Option<IpAddr>,
    dialer: &Dialer,
) -> Result<TcpStream, Failure> {
    let opened = match client {
        None => open(addr, dialer).await,
        Some(client) => {
            within_deadline(addr, dialer, transparent::connect_as(client, addr, || dialer.draw())).await
        }
    };
    match (opened, or_else) {
        (Err(Failure::ConnectRefused), Some(within)) => open(within, dialer).await,
        (Ok(stream), Some(_)) if client.is_none() && !is_within_pod(&stream, addr) => {
            Err(Failure::UnknownDestination)
        }
        (opened, _) => opened,
    }
}

/// A connection to an address of one's own comes from that address.
fn is_within_pod(stream: &TcpStream, addr: SocketAddr) -> bool {
    stream.local_addr().is_ok_and(|own| own.ip() == addr.ip())
}

/// Whether a connection has come back to this pod, at a port where we listen on all of its addresses: a name may lead to any of
/// them, and nobody tells us which they are.
fn is_home(stream: &TcpStream, addr: SocketAddr, dialer: &Dialer) -> bool {
    let bound = dialer.shared.bound.load();
    let everywhere = bound.iter().any(|own| own.port() == addr.port() && own.ip().is_unspecified());
    everywhere && stream.local_addr().is_ok_and(|own| own.ip().to_canonical() == addr.ip().to_canonical())
}

fn failure(error: &io::Error) -> Failure {
    use io::ErrorKind::{BrokenPipe, ConnectionRefused, ConnectionReset, TimedOut};
    let kind = error.kind();
    if matches!(kind, ConnectionRefused | ConnectionReset | BrokenPipe) {
        Failure::ConnectRefused
    } else if kind == TimedOut {
        Failure::ConnectTimeout
    } else {
        Failure::Unreachable
    }
}
