//! How a client came to us: what holds for everything on its connection.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::Rc;

use svc_core::address::ClientAddr;
use svc_proto::proxy_header::{Addresses, Header, Origin, Step, decode};

use crate::metrics::Direction;
use crate::net::transparent;

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

/// What says where a connection is going.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    /// The address it was opened to: captured on its way there, or one of our own loopback VIPs.
    Address(SocketAddr),
    /// The application beside us.
    Application(LocalTarget),
    /// Each request says so itself: this is a forward proxy.
    Request,
}

/// Where a connection to this pod goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct LocalTarget {
    /// Where the application listens.
    pub(crate) at: SocketAddr,
    /// The address of this pod that the connection was opened to, which may be an endpoint of a Service.
    pub(crate) known_as: SocketAddr,
    /// Whose address the application is to see. What is open to it in one client's name serves no other.
    pub(crate) client: Option<IpAddr>,
}

impl LocalTarget {
    /// Of a connection that was captured on its way to `destination`, an address of this pod.
    pub(crate) fn captured(destination: SocketAddr) -> LocalTarget {
        LocalTarget { at: destination, known_as: destination, client: None }
    }

    /// The same, in the name of `client`.
    pub(crate) fn taken_over(destination: SocketAddr, client: Option<IpAddr>) -> LocalTarget {
        LocalTarget { client, ..LocalTarget::captured(destination) }
    }

    /// The same in the name of another client: of none whose name cannot be taken.
    pub(crate) fn named(self, client: IpAddr) -> LocalTarget {
        let of_its_family = client.is_ipv4() == self.at.is_ipv4();
        LocalTarget { client: transparent::usable(client).filter(|_| of_its_family), ..self }
    }

    /// Where an application listens that is not there for others: behind a mapped port that is said already.
    pub(crate) fn within_pod(self) -> Option<SocketAddr> {
        let loopback: IpAddr = match self.at {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        };
        (self.at == self.known_as).then_some(SocketAddr::new(loopback, self.at.port()))
    }
}

/// A client, and where it was going.
#[derive(Clone, Debug)]
pub(crate) struct ClientInfo {
    pub(crate) arrival: Arrival,
    pub(crate) destination: Destination,
    /// What its peer had to say of it.
    pub(crate) proxy_header: Option<Rc<ProxyHeader>>,
}

/// A header that a trusted peer sent.
pub(crate) struct ProxyHeader(pub(super) Box<[u8]>);

impl ProxyHeader {
    pub(crate) fn header(&self) -> Header<'_> {
        match decode(&self.0) {
            Ok(Step::Done { value, .. }) => value,
            Ok(Step::More { .. }) | Err(_) => {
                unreachable!("these bytes were a header when they were taken off")
            }
        }
    }

    /// Who the client is, if that is somebody else than the peer.
    pub(crate) fn client(&self) -> Option<ClientAddr> {
        match self.header().origin {
            Origin::Local | Origin::Unknown => None,
            Origin::Client(Addresses { source, .. }) => {
                Some(ClientAddr(SocketAddr::new(source.ip().to_canonical(), source.port())))
            }
        }
    }
}

impl fmt::Debug for ProxyHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.header().origin, f)
    }
}
