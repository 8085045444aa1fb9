//! Listeners at loopback VIPs, which come and go with the Services of the snapshot (S-07).

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use svc_core::address::{ServiceName, Transport};
use svc_core::table::Table;
use tokio::task::JoinHandle;

use super::accept::accept;
use crate::context::WorkerContext;
use crate::net::listen::{listen, probe};
use crate::shared::Shared;
use crate::shared::vips::Vip;
use crate::sync::lock;
use crate::udp::{self, Relay};
use crate::worker::plan::ListenerKind;

/// A worker's listeners on the loopback VIPs of the snapshot's Services.
#[derive(Default)]
pub(crate) struct VipListeners {
    tasks: BTreeMap<Vip, JoinHandle<()>>,
}

impl VipListeners {
    /// Listens where the snapshot says, and nowhere else. An address that cannot be had is tried again with the next snapshot.
    pub(crate) fn follow(&mut self, table: &Table, context: &Rc<WorkerContext>, relay: &Rc<Relay>) {
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
            match serve(vip, context, relay) {
                Ok(task) => {
                    context.shared.is_listened_at(vip);
                    self.tasks.insert(vip, task);
                }
                Err(error) if context.shared.cannot_be_listened_at(vip) => {
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
fn serve(vip: Vip, context: &Rc<WorkerContext>, relay: &Rc<Relay>) -> io::Result<JoinHandle<()>> {
    let (transport, addr) = vip;
    if transport == Transport::Udp {
        let (socket, claim) = VipClaim::take(vip, &context.shared, udp::probe, udp::listen)?;
        let serving = relay.clone().serve(socket, addr)?;
        return Ok(tokio::task::spawn_local(holding(claim, serving)));
    }
    let (listener, claim) = VipClaim::take(vip, &context.shared, |addr| probe(addr).map(drop), listen)?;
    let accepting = accept(listener, ListenerKind::LoopbackVip(addr), context.clone(), None);
    Ok(tokio::task::spawn_local(holding(claim, accepting)))
}

async fn holding(claim: VipClaim, serving: impl Future<Output = ()>) {
    let _claim = claim;
    serving.await;
}

/// One of them. The first at an address probes it, as every listener does; the other workers' then share it.
struct VipClaim {
    vip: Vip,
    shared: Arc<Shared>,
}

impl VipClaim {
    fn take<S>(
        vip: Vip,
        shared: &Arc<Shared>,
        probe: impl FnOnce(SocketAddr) -> io::Result<()>,
        listen: impl FnOnce(SocketAddr) -> io::Result<S>,
    ) -> io::Result<(S, VipClaim)> {
        let mut claims = lock(&shared.vips);
        if !claims.contains_key(&vip) {
            probe(vip.1)?;
        }
        let socket = listen(vip.1)?;
        *claims.entry(vip).or_default() += 1;
        Ok((socket, VipClaim { vip, shared: shared.clone() }))
    }
}

impl Drop for VipClaim {
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
