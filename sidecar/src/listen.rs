//! Listening sockets: one of each per worker, the kernel spreads the connections (`SO_REUSEPORT`).

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use svc_core::address::Transport;
use svc_core::table::Table;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::connection::{Door, begin};
use crate::path::mesh::Mesh;
use crate::path::shared::Shared;
use crate::worker::Stage;

/// Finds out whether an address can be had, and which port it gets if it asks for any.
///
/// Bound without `SO_REUSEPORT`: a second sidecar on the same address must fail, not take half of the connections in silence.
pub(crate) fn probe(addr: SocketAddr) -> io::Result<SocketAddr> {
    let socket = bind(addr, false)?;
    socket.listen(1)?;
    Ok(socket.local_addr()?.as_socket().expect("a TCP socket has an IP address"))
}

/// Listens on an address that this process has probed.
pub(crate) fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = bind(addr, true)?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

fn bind(addr: SocketAddr, share: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(share)?;
    if addr.is_ipv6() {
        // `[::]` takes IPv4 too, whatever the system's default.
        socket.set_only_v6(!addr.ip().is_unspecified())?;
    }
    socket.bind(&addr.into())?;
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
    tasks: BTreeMap<SocketAddr, JoinHandle<()>>,
}

impl VipListeners {
    /// Listens where the snapshot says, and nowhere else. An address that cannot be had is tried again with the next snapshot.
    pub(crate) fn follow(&mut self, table: &Table, mesh: &Rc<Mesh>) {
        let wanted = addresses(table);
        self.tasks.retain(|addr, task| {
            let stays = wanted.contains(addr);
            if !stays {
                task.abort();
            }
            stays
        });
        for addr in wanted {
            if self.tasks.contains_key(&addr) {
                continue;
            }
            match Claim::listen(addr, &mesh.shared) {
                Ok((listener, claim)) => {
                    let accepting = accept(listener, Door::LoopbackVip(addr), mesh.clone(), None);
                    let task = async move {
                        let _claim = claim; // let go after the socket, which `accepting` holds
                        accepting.await;
                    };
                    self.tasks.insert(addr, tokio::task::spawn_local(task));
                }
                Err(error) => tracing::warn!(%addr, %error, "cannot listen on a loopback VIP"),
            }
        }
    }
}

/// How many sockets this process has at each loopback VIP.
pub(crate) type Claims = Mutex<BTreeMap<SocketAddr, usize>>;

/// One of them. The first at an address probes it, as every listener does; the other workers' then share it.
struct Claim {
    addr: SocketAddr,
    shared: Arc<Shared>,
}

impl Claim {
    fn listen(addr: SocketAddr, shared: &Arc<Shared>) -> io::Result<(TcpListener, Claim)> {
        let mut claims = lock(&shared.vips);
        if !claims.contains_key(&addr) {
            probe(addr)?;
        }
        let listener = listen(addr)?;
        *claims.entry(addr).or_default() += 1;
        Ok((listener, Claim { addr, shared: shared.clone() }))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut claims = lock(&self.shared.vips);
        if let Entry::Occupied(mut sockets) = claims.entry(self.addr) {
            *sockets.get_mut() -= 1;
            if *sockets.get() == 0 {
                sockets.remove();
            }
        }
    }
}

fn lock(claims: &Claims) -> MutexGuard<'_, BTreeMap<SocketAddr, usize>> {
    claims.lock().unwrap_or_else(PoisonError::into_inner) // no change to it can stop half-way
}

/// Every TCP port of every loopback VIP, but those that the application uses itself.
fn addresses(table: &Table) -> std::collections::BTreeSet<SocketAddr> {
    let of_entry = |entry: &Arc<svc_core::table::Entry>| {
        let vip = entry.loopback_vip?;
        let ports = entry.targets.iter().map(|target| &target.port);
        let ports = ports.filter(|port| port.transport == Transport::Tcp).map(|port| port.port);
        let skipped = entry.skipped_ports.clone();
        Some(
            ports
                .filter(move |port| !skipped.contains(port))
                .map(move |port| SocketAddr::new(vip, port))
                .collect::<Vec<_>>(),
        )
    };
    table.entries().filter_map(of_entry).flatten().collect()
}
