//! Listening sockets: one of each per worker, the kernel spreads the connections (`SO_REUSEPORT`).

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use svc_core::address::{ServiceName, Transport};
use svc_core::table::Table;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::connection::begin;
use crate::path::mesh::Mesh;
use crate::path::shared::Shared;
use crate::path::transparent;
use crate::path::udp::{self, Relay};
use crate::path::way::Door;
use crate::worker::Stage;

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

/// Accepts until the task is dropped, or, with `closing`, until a drain begins; the connections go on without it.
///
/// What the kernel has completed by then is still taken in: to close the socket would reset it.
pub(crate) async fn accept(
    listener: TcpListener,
    door: Door,
    mesh: Rc<Mesh>,
    mut closing: Option<watch::Receiver<Stage>>,
) {
    loop {
        let accepted = tokio::select! {
            biased;
            accepted = listener.accept() => accepted,
            () = begins_to_drain(&mut closing) => return,
        };
        match accepted {
            Ok((stream, peer)) => begin(stream, peer, door, &mesh),
            Err(error) if is_clients_fault(&error) => {}
            Err(error) => {
                mesh.metrics.accept_failures.fetch_add(1, Relaxed);
                tracing::warn!(%error, "cannot accept connections");
                tokio::time::sleep(ACCEPT_PAUSE).await; // out of descriptors: they come back as connections close
            }
        }
    }
}

async fn begins_to_drain(stage: &mut Option<watch::Receiver<Stage>>) {
    match stage {
        Some(stage) => drop(stage.wait_for(|stage| *stage >= Stage::Draining).await),
        None => std::future::pending().await,
    }
}

/// The client gave up between the handshake and our accept.
fn is_clients_fault(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)
}

const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A worker's listeners on the loopback VIPs of the snapshot's Services.
#[derive(Default)]
pub(crate) struct VipListeners {
    tasks: BTreeMap<Vip, JoinHandle<()>>,
}

/// A port of a loopback VIP.
pub(crate) type Vip = (Transport, SocketAddr);

impl VipListeners {
    /// Listens where the snapshot says, and nowhere else. An address that cannot be had is tried again with the next snapshot.
    pub(crate) fn follow(&mut self, table: &Table, mesh: &Rc<Mesh>, relay: &Rc<Relay>) {
        let wanted = vips(table);
        self.tasks.retain(|vip, task| {
            let stays = wanted.contains_key(vip);
            if !stays {
                task.abort();
            }
            stays
        });
        for (vip, service) in wanted {
            if self.tasks.contains_key(&vip) {
                continue;
            }
            let (transport, addr) = (vip.0.as_str(), vip.1);
            match serve(vip, mesh, relay) {
                Ok(task) => {
                    mesh.shared.is_listened_at(vip);
                    self.tasks.insert(vip, task);
                }
                Err(error) if mesh.shared.cannot_be_listened_at(vip) => {
                    tracing::warn!(%service, transport, %addr, %error, "cannot listen on a loopback VIP");
                }
                Err(error) => {
                    tracing::debug!(%service, transport, %addr, %error, "still cannot listen there")
                }
            }
        }
    }
}

/// Listens, and carries what comes until the task is aborted. It lets go of its claim after the socket.
fn serve(vip: Vip, mesh: &Rc<Mesh>, relay: &Rc<Relay>) -> io::Result<JoinHandle<()>> {
    let (transport, addr) = vip;
    if transport == Transport::Udp {
        let (socket, claim) = Claim::take(vip, &mesh.shared, udp::probe, udp::listen)?;
        let serving = relay.clone().serve(socket, addr)?;
        return Ok(tokio::task::spawn_local(holding(claim, serving)));
    }
    let (listener, claim) = Claim::take(vip, &mesh.shared, |addr| probe(addr).map(drop), listen)?;
    let accepting = accept(listener, Door::LoopbackVip(addr), mesh.clone(), None);
    Ok(tokio::task::spawn_local(holding(claim, accepting)))
}

async fn holding(claim: Claim, serving: impl Future<Output = ()>) {
    let _claim = claim;
    serving.await;
}

/// How many sockets this process has at each loopback VIP.
pub(crate) type Claims = Mutex<BTreeMap<Vip, usize>>;

/// One of them. The first at an address probes it, as every listener does; the other workers' then share it.
struct Claim {
    vip: Vip,
    shared: Arc<Shared>,
}

impl Claim {
    fn take<S>(
        vip: Vip,
        shared: &Arc<Shared>,
        probe: impl FnOnce(SocketAddr) -> io::Result<()>,
        listen: impl FnOnce(SocketAddr) -> io::Result<S>,
    ) -> io::Result<(S, Claim)> {
        let mut claims = lock(&shared.vips);
        if !claims.contains_key(&vip) {
            probe(vip.1)?;
        }
        let socket = listen(vip.1)?;
        *claims.entry(vip).or_default() += 1;
        Ok((socket, Claim { vip, shared: shared.clone() }))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut claims = lock(&self.shared.vips);
        if let Entry::Occupied(mut sockets) = claims.entry(self.vip) {
            *sockets.get_mut() -= 1;
            if *sockets.get() == 0 {
                sockets.remove();
            }
        }
    }
}

fn lock(claims: &Claims) -> MutexGuard<'_, BTreeMap<Vip, usize>> {
    claims.lock().unwrap_or_else(PoisonError::into_inner) // no change to it can stop half-way
}

/// Every TCP and UDP port of every loopback VIP, with its Service. One that is the application's, or not for us to have, is elsewhere.
fn vips(table: &Table) -> BTreeMap<Vip, ServiceName> {
    let of_entry = |entry: &Arc<svc_core::table::Entry>| {
        let vip = entry.loopback_vip?;
        let ports = entry.targets.iter().map(|target| (target.port.transport, target.port.port));
        let carried = ports.filter(|(transport, _)| *transport != Transport::Sctp);
        let at = |port| SocketAddr::new(vip, entry.port_at_vip(port));
        let vips = carried.map(|(transport, port)| ((transport, at(port)), entry.service.name.clone()));
        Some(vips.collect::<Vec<_>>())
    };
    table.entries().filter_map(of_entry).flatten().collect()
}
