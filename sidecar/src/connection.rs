//! The story of one client connection: where it was going, what it speaks, and who carries it.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;
use svc_core::address::{ClientAddr, OriginalDst, Transport};
use svc_core::outcome::Failure;
use svc_core::protocol::Hint;
use svc_core::sniff::Sniffed;
use tokio::net::TcpStream;

use crate::metrics::Protocol;
use crate::path::account::Account;
use crate::path::detect::detect;
use crate::path::io::ClientIo;
use crate::path::mesh::{Admission, Mesh, Route};
use crate::path::resolve::{Aim, Origin};
use crate::path::roster::{Deadlines, Pulse};
use crate::path::tcp::Already;
use crate::path::upstream::UpstreamIo;
use crate::path::{connect, http, original_dst, tunnel};

/// Which listener a connection came in by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// It was redirected to us on its way elsewhere.
    Captured,
    /// It was opened to a loopback VIP of ours.
    LoopbackVip(SocketAddr),
    /// It was opened to us: each request says where it goes.
    ForwardProxy,
}

/// Carries one client connection from its first byte to its last. Each way it may go is a future in a box of its own, so that a
/// connection holds what its way needs, not what the largest would.
pub(crate) async fn serve(stream: TcpStream, addr: ClientAddr, door: Door, mesh: &Rc<Mesh>) {
    let Some(admission) = mesh.admit() else {
        return mesh.metrics.failed(Failure::TooManyConnections);
    };
    connect::prepare(&stream);
    let account = || Account::open(mesh, addr.0, Protocol::Tcp);
    let client = Client { stream, addr, admission };
    let carried = match door {
        Door::ForwardProxy => Box::pin(speak(client, Aim::Request, Hint::Http, mesh)).await,
        Door::LoopbackVip(vip) => carry_to(client, vip, mesh).await,
        Door::Captured => match original_dst::of(&client.stream) {
            Some(OriginalDst(destination)) if !mesh.is_own(destination) => {
                carry_to(client, destination, mesh).await
            }
            Some(_) | None => Err(Failure::Loop),
        },
    };
    if let Err(failure) = carried {
        account().fail(failure);
    }
}

/// Who connected, and the connection.
struct Client {
    stream: TcpStream,
    addr: ClientAddr,
    admission: Admission,
}

impl Client {
    fn into_io(self, prefix: Bytes, pulse: Arc<Pulse>) -> ClientIo {
        ClientIo { stream: self.stream, prefix, pulse, _admission: self.admission }
    }
}

/// Carries a connection that was opened to `destination`.
async fn carry_to(client: Client, destination: SocketAddr, mesh: &Rc<Mesh>) -> Result<(), Failure> {
    let table = mesh.table.load_full();
    match table.by_destination(Transport::Tcp, destination) {
        None => Box::pin(pass_through(client, destination, mesh)).await,
        Some(target) => match mesh.route(target) {
            route if route.hint == Hint::Opaque => carry_bytes(client, Bytes::new(), &route, mesh).await,
            route => {
                drop(table);
                Box::pin(speak(client, Aim::Address(destination), route.hint, mesh)).await
            }
        },
    }
}

/// Finds out what the client speaks, and serves that.
async fn speak(mut client: Client, aim: Aim, hint: Hint, mesh: &Rc<Mesh>) -> Result<(), Failure> {
    let limit = match hint {
        Hint::Unknown => mesh.config.deadlines.detect,
        Hint::Http | Hint::Http1 | Hint::Http2 | Hint::Opaque => {
            mesh.config.deadlines.idle_http.unwrap_or(FOREVER)
        }
    };
    let detected = detect(&mut client.stream, Some(limit)).await.map_err(|_| Failure::ClientGone)?;
    let pulse = Pulse::new();
    let limits = &mesh.config.deadlines;
    let deadlines = Deadlines { header: limits.header, idle: limits.idle_http.unwrap_or_default() };
    let membership = mesh.roster.enter(pulse.clone(), deadlines);
    match (detected.protocol, hint) {
        (Sniffed::Http2, _) => {
            pulse.busy(); // streams have no head of the connection's own to wait for
            let origin = Origin::new(client.addr, aim, None, mesh);
            let io = client.into_io(detected.read, pulse);
            Box::pin(http::serve_http2(io, origin, mesh, &membership)).await
        }
        (Sniffed::Opaque | Sniffed::More, Hint::Unknown) => {
            drop(membership);
            if detected.timed_out {
                mesh.metrics.detect_timeouts.fetch_add(1, Relaxed);
            }
            let Aim::Address(destination) = aim else { return Err(Failure::BadRequest) };
            let route = Origin::new(client.addr, aim, None, mesh).route_to_address(destination, mesh)?;
            Box::pin(carry_bytes(client, detected.read, &route, mesh)).await
        }
        (Sniffed::Opaque | Sniffed::More, _) if detected.read.is_empty() => Ok(()), // came and went
        (Sniffed::Http1 | Sniffed::Opaque | Sniffed::More, _) => {
            let origin = Origin::new(client.addr, aim, Some(pulse.clone()), mesh);
            http::serve_http1(client.into_io(detected.read, pulse), origin, mesh, &membership).await
        }
    }
}

/// Carries bytes to an endpoint of `route`.
async fn carry_bytes(client: Client, read: Bytes, route: &Route, mesh: &Rc<Mesh>) -> Result<(), Failure> {
    let mut account = Account::open(mesh, client.addr.0, Protocol::Tcp);
    match tunnel::dial(route, mesh, &mut account).await {
        Ok(upstream) => join(client, read, upstream, account, mesh).await,
        Err(failure) => account.fail(failure),
    }
    Ok(())
}

/// Carries bytes to a destination that is no Service of ours, untouched.
async fn pass_through(client: Client, destination: SocketAddr, mesh: &Rc<Mesh>) -> Result<(), Failure> {
    mesh.metrics.passed_through.fetch_add(1, Relaxed);
    let mut account = Account::open(mesh, client.addr.0, Protocol::Tcp);
    let stranger = mesh.stranger(destination);
    account.tries(&stranger);
    match stranger.open(mesh).await {
        Ok(upstream) => join(client, Bytes::new(), upstream, account, mesh).await,
        Err(failure) => account.fail(failure),
    }
    Ok(())
}

async fn join(client: Client, read: Bytes, upstream: UpstreamIo, account: Account, mesh: &Mesh) {
    let client = client.into_io(Bytes::new(), Pulse::new());
    let already = Already { from_client: read.into(), ..Already::default() };
    tunnel::carry(client, upstream, already, account, mesh).await;
}

/// No limit: a timer that is set for longer than the process lives.
const FOREVER: std::time::Duration = std::time::Duration::from_secs(365 * 24 * 3600);
