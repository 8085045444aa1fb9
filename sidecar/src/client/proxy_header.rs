//! What connections begin with whose peers have to say whom they speak for: a PROXY header (S-20, S-30, S-31).
//!
//! It is looked at where it is, in the socket, and taken off once it is whole: not a byte more is read, so that TLS may follow it, and in
//! shadow mode whatever is no header stays what it was.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use rustix::net::{RecvFlags, recv};
use svc_core::forwarding::is_trusted;
use svc_core::outcome::Failure;
use svc_core::proxy_protocol::{ProxyHeaderError, ProxyHeaderResult, read_header};
use svc_proto::proxy_header::Step;
use tokio::io::{AsyncReadExt as _, Interest};

use super::clients::Clients;
use super::detect::attend;
use super::facts::ProxyHeader;
use crate::http::pulse::{ConnDeadlines, Pulse};
use crate::net::TcpStream;

/// Takes the header off a connection that must begin with one. `None`: it came and went, as checks do.
///
/// # Errors
/// The peer is not trusted to speak for others, or what it says is no header, or comes too late. Nothing was said to it.
pub(crate) async fn require(
    stream: &mut TcpStream,
    peer: SocketAddr,
    clients: &Clients,
) -> Result<Option<Rc<ProxyHeader>>, Failure> {
    if !is_trusted(peer.ip(), &clients.config.limits.trusted_proxies) {
        return Err(refused(ProxyHeaderError::Untrusted, peer, clients));
    }
    match look(stream, clients.config.deadlines.header, clients).await? {
        FirstBytes::Gone => Ok(None),
        FirstBytes::Nothing(refusal) => Err(refused(refusal, peer, clients)),
        FirstBytes::Header(bytes) => {
            take_off(stream, bytes.len()).await?;
            let proxy_header = ProxyHeader(bytes.into());
            clients.metrics.greeted(proxy_header.header().origin.into());
            Ok(Some(Rc::new(proxy_header)))
        }
    }
}

fn refused(refusal: ProxyHeaderError, peer: SocketAddr, clients: &Clients) -> Failure {
    tracing::debug!(%peer, %refusal, "a connection was refused for want of a PROXY header");
    clients.metrics.greeted(refusal.into());
    refusal.into()
}

/// Counts what [`require`] would make of the connection, and lets it go on as it came. A good header of a trusted peer is taken off, though
/// not believed, unless the application `wants` it: it could only take it for payload.
pub(crate) async fn observe(
    stream: &mut TcpStream,
    peer: SocketAddr,
    wants: bool,
    clients: &Clients,
) -> Result<(), Failure> {
    if !is_trusted(peer.ip(), &clients.config.limits.trusted_proxies) {
        clients.metrics.greeted(ProxyHeaderResult::from(ProxyHeaderError::Untrusted).observed());
        return Ok(());
    }
    match look(stream, clients.config.deadlines.detect, clients).await? {
        FirstBytes::Gone => {}
        FirstBytes::Nothing(refusal) => clients.metrics.greeted(ProxyHeaderResult::from(refusal).observed()),
        FirstBytes::Header(bytes) => {
            let count = bytes.len();
            let proxy_header = ProxyHeader(bytes.into());
            clients.metrics.greeted(ProxyHeaderResult::from(proxy_header.header().origin).observed());
            if !wants {
                take_off(stream, count).await?;
            }
        }
    }
    Ok(())
}

/// What a connection begins with.
#[derive(Debug, PartialEq, Eq)]
enum FirstBytes {
    Header(Vec<u8>),
    Nothing(ProxyHeaderError),
    /// It ended before its first byte, or a drain would not wait for one.
    Gone,
}

/// Looks until it is known, no longer than `limit`.
async fn look(stream: &TcpStream, limit: Duration, clients: &Clients) -> Result<FirstBytes, Failure> {
    let pulse = Pulse::new();
    let none = ConnDeadlines { header: Duration::ZERO, idle: Duration::ZERO };
    let connection_guard = clients.tracker.enter(pulse.clone(), none);
    let watching = pin!(watch(stream, &pulse));
    let attending = attend(watching, &pulse, &connection_guard, || FirstBytes::Gone);
    match crate::clock::timeout(limit, attending).await {
        Err(_elapsed) => Ok(FirstBytes::Nothing(ProxyHeaderError::Late)),
        Ok(Ok(Ok(sight))) => Ok(sight),
        Ok(Ok(Err(_broken))) if pulse.is_idle() => Ok(FirstBytes::Gone),
        Ok(Ok(Err(_broken))) => Ok(FirstBytes::Nothing(ProxyHeaderError::Malformed)),
        Ok(Err(ended)) => Err(ended),
    }
}

async fn watch(stream: &TcpStream, pulse: &Pulse) -> io::Result<FirstBytes> {
    let (mut window, seen) = (Vec::new(), Cell::new(0));
    loop {
        let ready = stream.ready(Interest::READABLE).await?; // hold no buffer for a peer that is silent
        if window.len() == seen.get() {
            window.resize(seen.get() + WINDOW_BYTES, 0);
        }
        let peeked = stream.try_io(Interest::READABLE, || {
            let (_, count) = recv(stream, &mut *window, RecvFlags::PEEK)?;
            // What is known already is no news: to wait for more is not to ask again.
            if count > seen.replace(count) { Ok(()) } else { Err(io::ErrorKind::WouldBlock.into()) }
        });
        match peeked {
            Ok(()) => pulse.read(),
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            Err(_) if ready.is_read_closed() && seen.get() == 0 => return Ok(FirstBytes::Gone),
            Err(_) if ready.is_read_closed() => return Ok(FirstBytes::Nothing(ProxyHeaderError::Malformed)),
            Err(_) => continue,
        }
        match read_header(&window[..seen.get()]) {
            Ok(Step::More { .. }) => {}
            Ok(Step::Done { used, .. }) => {
                window.truncate(used);
                return Ok(FirstBytes::Header(window));
            }
            Err(refusal) => return Ok(FirstBytes::Nothing(refusal)),
        }
    }
}

/// Most headers fit; one of 16 KiB is looked at in as many steps.
const WINDOW_BYTES: usize = 512;

/// Reads the `count` bytes that have been looked at.
async fn take_off(stream: &mut TcpStream, count: usize) -> Result<(), Failure> {
    let mut header = vec![0; count];
    stream.read_exact(&mut header).await.map(drop).map_err(|_| Failure::ClientGone)
}
