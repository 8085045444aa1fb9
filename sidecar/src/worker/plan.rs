//! By which door a connection came, and which way it goes, as far as that is known before its first byte.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use svc_core::address::{OriginalDst, Transport};
use svc_core::outcome::Failure;
use svc_core::protocol::Hint;
use tokio::net::TcpStream;

use crate::client::facts::Aim;
use crate::client::facts::Doorway;
use crate::config::{ProxyProtocolIn, ShownBy};
use crate::context::WorkerContext;
use crate::metrics::Direction;
use crate::net::{original_dst, transparent};
use crate::routing::route::Route;

/// Which listener a connection came in by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// It was redirected to us on its way elsewhere.
    Captured,
    /// It was opened to a loopback VIP of ours.
    LoopbackVip(SocketAddr),
    /// It was opened to us: each request says where it goes.
    ForwardProxy,
    /// It was redirected to us on its way to the application.
    Inbound,
    /// The same, but it came as it was opened.
    TakenOver,
    /// It was opened to a port of ours that stands for one of the application's, which listens here.
    Mapped(SocketAddr),
}

impl Door {
    /// The flag that says where it is.
    pub(crate) fn flag(self) -> Option<&'static str> {
        match self {
            Door::Captured => Some("outbound"),
            Door::LoopbackVip(_) => None, // the snapshot does
            Door::ForwardProxy => Some("forward-proxy"),
            Door::Inbound | Door::TakenOver => Some("inbound"),
            Door::Mapped(_) => Some("inbound-map"),
        }
    }

    pub(crate) fn direction(self) -> Direction {
        match self {
            Door::Captured | Door::LoopbackVip(_) | Door::ForwardProxy => Direction::Outbound,
            Door::Inbound | Door::TakenOver | Door::Mapped(_) => Direction::Inbound,
        }
    }
}

/// Which way a connection goes.
pub(crate) enum Way {
    /// To whoever serves what it speaks, which is to be found out; of a Service, where its address says of which.
    Speak(Aim, Hint, Option<Rc<Route>>),
    /// To an endpoint of a Service, unread.
    Bytes(Rc<Route>, Aim),
    /// To where it was going, unread: that is no Service of ours.
    Through(SocketAddr),
}

impl Way {
    /// What the client is shown, if it speaks TLS and the application does not.
    pub(crate) fn shown<'m>(&self, door: Door, context: &'m WorkerContext) -> Option<&'m ShownBy> {
        let port = self.doorway()?.known_as.port();
        match door {
            Door::Mapped(_) => context.config.listeners.shown_at(port),
            Door::Inbound | Door::TakenOver => {
                context.config.tls.ports.binary_search(&port).ok().map(|_| &ShownBy::Files)
            }
            Door::Captured | Door::LoopbackVip(_) | Door::ForwardProxy => None,
        }
    }

    fn doorway(&self) -> Option<Doorway> {
        match self {
            Way::Speak(Aim::Application(doorway), ..) | Way::Bytes(_, Aim::Application(doorway)) => {
                Some(*doorway)
            }
            Way::Speak(Aim::Address(_) | Aim::Request, ..)
            | Way::Bytes(_, Aim::Address(_) | Aim::Request)
            | Way::Through(_) => None,
        }
    }

    /// To the application, which is to see the address of its client.
    pub(crate) fn doorway_of_client(&self) -> Option<Doorway> {
        self.doorway().filter(|doorway| doorway.client.is_some())
    }

    pub(crate) fn hint(&self) -> Hint {
        match self {
            Way::Speak(_, hint, _) => *hint,
            Way::Bytes(..) | Way::Through(_) => Hint::Opaque,
        }
    }

    /// The same way, now that the client has said that it speaks HTTP.
    pub(crate) fn of_http(self) -> Way {
        match self {
            Way::Speak(aim, Hint::Unknown, route) => Way::Speak(aim, Hint::Http, route),
            other @ (Way::Speak(..) | Way::Bytes(..) | Way::Through(_)) => other,
        }
    }

    /// To the Service that its address says.
    pub(crate) fn route(&self) -> Option<&Rc<Route>> {
        match self {
            Way::Bytes(route, _) | Way::Speak(_, _, Some(route)) => Some(route),
            Way::Speak(_, _, None) | Way::Through(_) => None,
        }
    }

    /// What that Service says of connections on which nothing happens.
    pub(crate) fn idle(&self) -> Option<Duration> {
        self.route().and_then(|route| route.target.service.handling.idle_timeout)
    }
}

/// Which way a connection goes that `peer` has opened, by where it was opened to.
///
/// # Errors
/// [`Failure::Loop`] where that is us.
pub(crate) fn whither(
    stream: &TcpStream,
    peer: SocketAddr,
    door: Door,
    context: &WorkerContext,
) -> Result<Way, Failure> {
    let own = || stream.local_addr().map(canonical).map_err(|_| Failure::ClientGone);
    let destination = match door {
        Door::ForwardProxy => return Ok(Way::Speak(Aim::Request, Hint::Http, None)),
        Door::LoopbackVip(vip) => vip,
        Door::Captured => match original_dst::of(stream) {
            Some(OriginalDst(destination)) if !context.shared.is_bound(destination) => destination,
            Some(_) | None => return Err(Failure::Loop),
        },
        Door::TakenOver if context.shared.is_listener(own()?) => return Err(Failure::Loop), // it was opened to us
        Door::TakenOver => {
            return Ok(inward(Doorway::taken_over(own()?, transparent::usable(peer.ip())), context));
        }
        Door::Inbound => match original_dst::of(stream) {
            Some(OriginalDst(destination)) if destination != own()? => {
                return Ok(inward(Doorway::captured(destination), context));
            }
            Some(_) | None => return Err(Failure::Loop), // it was opened to us
        },
        Door::Mapped(at) => return Ok(inward(Doorway { at, known_as: own()?, client: None }, context)),
    };
    let table = context.router.table.load();
    Ok(match table.by_destination(Transport::Tcp, destination).map(|target| context.router.route(target)) {
        None => Way::Through(destination),
        Some(route) if route.hint == Hint::Opaque => Way::Bytes(route, Aim::Address(destination)),
        Some(route) => Way::Speak(Aim::Address(destination), route.hint, Some(route)),
    })
}

/// To the application.
pub(crate) fn inward(doorway: Doorway, context: &WorkerContext) -> Way {
    let (route, aim) = (context.router.application(doorway), Aim::Application(doorway));
    let begins_with_header = route.target.service.handling.proxy_protocol.is_some();
    // Where it is not taken off here, the header is the application's, which reads it and what follows.
    let is_unread = begins_with_header && context.config.limits.proxy_protocol_in != ProxyProtocolIn::Require;
    match route.hint == Hint::Opaque || is_unread {
        true => Way::Bytes(route, aim),
        false => Way::Speak(aim, route.hint, Some(route)),
    }
}

/// An IPv4 address in IPv6 clothes, which a listener of both families sees, is that IPv4 address.
pub(crate) fn canonical(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}
