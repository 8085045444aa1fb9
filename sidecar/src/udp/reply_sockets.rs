//! The sockets that answers to captured datagrams go by.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::rc::{Rc, Weak};

use svc_core::outcome::Failure;

use super::socket;

/// One for each address that clients have sent to, shared by their flows: at most as many as these, and those of the last second.
#[derive(Default)]
pub(super) struct Mouths {
    sockets: HashMap<SocketAddr, Weak<UdpSocket>>,
    has_warned: bool,
}

impl Mouths {
    /// What answers from `destination` go by.
    ///
    /// # Errors
    /// There is no descriptor for it; or we may not send from its port.
    pub(super) fn of(&mut self, destination: SocketAddr) -> Result<Rc<UdpSocket>, Failure> {
        if let Some(socket) = self.sockets.get(&destination).and_then(Weak::upgrade) {
            return Ok(socket);
        }
        let socket = socket::answer_from(destination).map_err(|error| self.failed(destination, &error))?;
        let socket = Rc::new(socket);
        self.sockets.insert(destination, Rc::downgrade(&socket));
        Ok(socket)
    }

    /// Says once what must be changed before any such answer can be sent: each datagram would say it again.
    fn failed(&mut self, destination: SocketAddr, error: &io::Error) -> Failure {
        if error.kind() != io::ErrorKind::PermissionDenied {
            return Failure::TooManyConnections;
        }
        if !std::mem::replace(&mut self.has_warned, true) {
            tracing::warn!(%destination, "cannot answer from a port below net.ipv4.ip_unprivileged_port_start without NET_BIND_SERVICE");
        }
        Failure::Unreachable
    }

    pub(super) fn forget_unused(&mut self) {
        self.sockets.retain(|_, socket| socket.strong_count() > 0);
    }
}
