//! How a client came to us: what holds for everything on its connection.

use std::net::SocketAddr;

use svc_core::address::ClientAddr;

use crate::metrics::Direction;

/// How a client came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    /// The other end of its socket.
    pub(crate) peer: SocketAddr,
    /// Who that is, or who it speaks for.
    pub(crate) client: ClientAddr,
    pub(crate) direction: Direction,
    pub(crate) scheme: Scheme,
}

impl Arrival {
    /// Who connected, if that is somebody else than the client.
    pub(crate) fn proxy(&self) -> Option<SocketAddr> {
        (self.peer != self.client.0).then_some(self.peer)
    }

    /// Of a client that nothing more is known of than its address.
    pub(crate) fn of(peer: SocketAddr, direction: Direction) -> Arrival {
        Arrival { peer, client: ClientAddr(peer), direction, scheme: Scheme::Http }
    }
}

/// Whether what a client says came to us encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    Http,
    Https,
}

impl Scheme {
    /// The name that URIs and `X-Forwarded-Proto` have for it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }
}
