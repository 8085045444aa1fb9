//! Where datagrams of clients come in.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use svc_core::address::Transport;
use tokio::net::UdpSocket;

use crate::path::mesh::Mesh;
use crate::path::route::Route;

/// One address that clients send to.
pub(super) struct Listener {
    pub(super) socket: UdpSocket,
    pub(super) destination: SocketAddr,
    /// Whose port that is, as it was when a datagram last came.
    route: RefCell<Option<Rc<Route>>>,
}

impl Listener {
    pub(super) fn new(socket: UdpSocket, destination: SocketAddr) -> Rc<Listener> {
        Rc::new(Listener { socket, destination, route: RefCell::default() })
    }

    /// The route of what comes now, by the snapshot in force.
    pub(super) fn route(&self, mesh: &Mesh) -> Option<Rc<Route>> {
        let table = mesh.table.load();
        let target = table.by_destination(Transport::Udp, self.destination)?;
        let mut known = self.route.borrow_mut();
        match &*known {
            Some(route) if Arc::ptr_eq(&route.target, target) => Some(route.clone()),
            Some(_) | None => Some(known.insert(mesh.route(target)).clone()),
        }
    }

    /// What the Service says of flows on which nothing happens.
    pub(super) fn idle_timeout(&self) -> Option<Duration> {
        self.route.borrow().as_ref().and_then(|route| route.target.service.handling.idle_timeout)
    }
}
