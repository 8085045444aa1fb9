//! Where datagrams of clients come in.

use std::cell::RefCell;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::rc::Rc;
use std::sync::Arc;

use svc_core::address::Transport;
use svc_core::outcome::Failure;

use super::batch::{Batch, BatchHeaders, headers_of_captured};
use crate::context::WorkerContext;
use crate::routing::route::Route;

/// One socket that clients send to.
pub(super) struct Listener {
    pub(super) socket: crate::net::UdpSocket,
    door: DatagramSource,
    /// Whose port a datagram was last for, as it was then.
    known: RefCell<Option<Rc<Route>>>,
}

/// How datagrams come by it.
enum DatagramSource {
    /// They were sent to a loopback VIP of ours. Answers go back by a second handle of the same socket.
    LoopbackVip(SocketAddr, Rc<UdpSocket>),
    /// They were captured on their way to anywhere.
    Captured(RefCell<BatchHeaders>),
}

impl Listener {
    pub(super) fn at_vip(socket: UdpSocket, vip: SocketAddr) -> io::Result<Rc<Listener>> {
        let answers = Rc::new(socket.try_clone()?);
        Listener::new(socket, DatagramSource::LoopbackVip(vip, answers))
    }

    pub(super) fn of_captured(socket: UdpSocket) -> io::Result<Rc<Listener>> {
        Listener::new(socket, DatagramSource::Captured(RefCell::new(headers_of_captured())))
    }

    fn new(socket: UdpSocket, door: DatagramSource) -> io::Result<Rc<Listener>> {
        let socket = crate::net::UdpSocket::from_std(socket)?;
        Ok(Rc::new(Listener { socket, door, known: RefCell::default() }))
    }

    pub(super) fn receive(&self, batch: &mut Batch) -> io::Result<usize> {
        match &self.door {
            DatagramSource::LoopbackVip(..) => batch.receive(&self.socket),
            DatagramSource::Captured(headers) => {
                batch.receive_captured(&self.socket, &mut headers.borrow_mut())
            }
        }
    }

    /// Where the datagram at `place` was going.
    pub(super) fn destination(&self, batch: &Batch, place: usize) -> SocketAddr {
        match &self.door {
            DatagramSource::LoopbackVip(vip, _) => *vip,
            DatagramSource::Captured(_) => batch.destination(place),
        }
    }

    /// What answers from the only address that clients send to by this listener go by.
    pub(super) fn answers(&self) -> Option<&Rc<UdpSocket>> {
        match &self.door {
            DatagramSource::LoopbackVip(_, answers) => Some(answers),
            DatagramSource::Captured(_) => None,
        }
    }

    /// The route of what goes to `destination` now, by the snapshot in force; `None` where that is no Service of ours.
    ///
    /// # Errors
    /// It goes nowhere.
    pub(super) fn route(
        &self,
        destination: SocketAddr,
        context: &WorkerContext,
    ) -> Result<Option<Rc<Route>>, Failure> {
        let table = context.router.table.load();
        let Some(target) = table.by_destination(Transport::Udp, destination) else {
            return match self.door {
                DatagramSource::LoopbackVip(..) => Err(Failure::UnknownDestination), // it has just gone
                DatagramSource::Captured(_)
                    if destination.port() == 0 || context.shared.is_bound(destination) =>
                {
                    Err(Failure::Loop)
                }
                DatagramSource::Captured(_) => Ok(None),
            };
        };
        let mut known = self.known.borrow_mut();
        Ok(Some(match &*known {
            Some(route) if Arc::ptr_eq(&route.target, target) => route.clone(),
            Some(_) | None => known.insert(context.router.route(target)).clone(),
        }))
    }
}
