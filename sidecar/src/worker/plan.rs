//! By which door a connection came, and which way it goes, as far as that is known before its first byte.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use svc_core::address::{OriginalDst, Transport, canonical};
use svc_core::outcome::Failure;
use svc_core::protocol::ProtocolHint;

use crate::client::facts::{Destination, LocalTarget};
use crate::config::{ProxyProtocolIn, ShownBy};
use crate::context::WorkerContext;
use crate::metrics::Direction;
use crate::net::{TcpStream, original_dst, transparent};
use crate::routing::route::Route;

/// Which listener a connection came in by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ListenerKind {
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

impl ListenerKind {
    /// The flag that says where it is.
    pub(crate) fn flag(self) -> Option<&'static str> {
        match self {
            ListenerKind::Captured => Some("outbound"),
            ListenerKind::LoopbackVip(_) => None, // the snapshot does
            ListenerKind::ForwardProxy => Some("forward-proxy"),
            ListenerKind::Inbound | ListenerKind::TakenOver => Some("inbound"),
            ListenerKind::Mapped(_) => Some("inbound-map"),
        }
    }

    pub(crate) fn direction(self) -> Direction {
        match self {
            ListenerKind::Captured | ListenerKind::LoopbackVip(_) | ListenerKind::ForwardProxy => {
                Direction::Outbound
            }
            ListenerKind::Inbound | ListenerKind::TakenOver | ListenerKind::Mapped(_) => Direction::Inbound,
        }
    }
}

/// Which way a connection goes.
pub(crate) enum ConnectionPlan {
    /// To whoever serves what it speaks, which is to be found out; of a Service, where its address says of which.
    Speak(Destination, ProtocolHint, Option<Rc<Route>>),
    /// To an endpoint of a Service, unread.
    Bytes(Rc<Route>, Destination),
    /// To where it was going, unread: that is no Service of ours.
    Through(SocketAddr),
}

impl ConnectionPlan {
    /// What the client is shown, if it speaks TLS and the application does not.
    pub(crate) fn shown<'m>(
        &self,
        listener_kind: ListenerKind,
        context: &'m WorkerContext,
    ) -> Option<&'m ShownBy> {
        let port = self.local_target()?.known_as.port();
        match listener_kind {
            ListenerKind::Mapped(_) => context.config.listeners.shown_at(port),
            ListenerKind::Inbound | ListenerKind::TakenOver => {
                context.config.tls.ports.binary_search(&port).ok().map(|_| &ShownBy::Files)
            }
            ListenerKind::Captured | ListenerKind::LoopbackVip(_) | ListenerKind::ForwardProxy => None,
        }
    }

    fn local_target(&self) -> Option<LocalTarget> {
        match self {
            ConnectionPlan::Speak(Destination::Application(local_target), ..)
            | ConnectionPlan::Bytes(_, Destination::Application(local_target)) => Some(*local_target),
            ConnectionPlan::Speak(Destination::Address(_) | Destination::Request, ..)
            | ConnectionPlan::Bytes(_, Destination::Address(_) | Destination::Request)
            | ConnectionPlan::Through(_) => None,
        }
    }

    /// To the application, which is to see the address of its client.
    pub(crate) fn local_target_of_client(&self) -> Option<LocalTarget> {
        self.local_target().filter(|local_target| local_target.client.is_some())
    }

    pub(crate) fn hint(&self) -> ProtocolHint {
        match self {
            ConnectionPlan::Speak(_, hint, _) => *hint,
            ConnectionPlan::Bytes(..) | ConnectionPlan::Through(_) => ProtocolHint::Opaque,
        }
    }

    /// The same way, now that the client has said that it speaks HTTP.
    pub(crate) fn of_http(self) -> ConnectionPlan {
        match self {
            ConnectionPlan::Speak(destination, ProtocolHint::Unknown, route) => {
                ConnectionPlan::Speak(destination, ProtocolHint::Http, route)
            }
            other @ (ConnectionPlan::Speak(..) | ConnectionPlan::Bytes(..) | ConnectionPlan::Through(_)) => {
                other
            }
        }
    }

    /// To the Service that its address says.
    pub(crate) fn route(&self) -> Option<&Rc<Route>> {
        match self {
            ConnectionPlan::Bytes(route, _) | ConnectionPlan::Speak(_, _, Some(route)) => Some(route),
            ConnectionPlan::Speak(_, _, None) | ConnectionPlan::Through(_) => None,
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
pub(crate) fn plan(
    stream: &TcpStream,
    peer: SocketAddr,
    listener_kind: ListenerKind,
    context: &WorkerContext,
) -> Result<ConnectionPlan, Failure> {
    let own = || stream.local_addr().map(canonical).map_err(|_| Failure::ClientGone);
    let destination = match listener_kind {
        ListenerKind::ForwardProxy => {
            return Ok(ConnectionPlan::Speak(Destination::Request, ProtocolHint::Http, None));
        }
        ListenerKind::LoopbackVip(vip) => vip,
        ListenerKind::Captured => match original_dst::of(stream) {
            Some(OriginalDst(destination)) if !context.shared.is_bound(destination) => destination,
            Some(_) | None => return Err(Failure::Loop),
        },
        ListenerKind::TakenOver if context.shared.is_listener(own()?) => return Err(Failure::Loop), // it was opened to us
        ListenerKind::TakenOver => {
            return Ok(plan_inbound(
                LocalTarget::taken_over(own()?, transparent::usable(peer.ip())),
                context,
            ));
        }
        ListenerKind::Inbound => match original_dst::of(stream) {
            Some(OriginalDst(destination)) if destination != own()? => {
                return Ok(plan_inbound(LocalTarget::captured(destination), context));
            }
            Some(_) | None => return Err(Failure::Loop), // it was opened to us
        },
        ListenerKind::Mapped(at) => {
            return Ok(plan_inbound(LocalTarget { at, known_as: own()?, client: None }, context));
        }
    };
    let table = context.router.table.load();
    Ok(match table.by_destination(Transport::Tcp, destination).map(|target| context.router.route(target)) {
        None => ConnectionPlan::Through(destination),
        Some(route) if route.hint == ProtocolHint::Opaque => {
            ConnectionPlan::Bytes(route, Destination::Address(destination))
        }
        Some(route) => ConnectionPlan::Speak(Destination::Address(destination), route.hint, Some(route)),
    })
}

/// To the application.
pub(crate) fn plan_inbound(local_target: LocalTarget, context: &WorkerContext) -> ConnectionPlan {
    let (route, destination) =
        (context.router.application(local_target), Destination::Application(local_target));
    let begins_with_header = route.target.service.handling.proxy_protocol.is_some();
    // Where it is not taken off here, the header is the application's, which reads it and what follows.
    let is_unread = begins_with_header && context.config.limits.proxy_protocol_in != ProxyProtocolIn::Require;
    match route.hint == ProtocolHint::Opaque || is_unread {
        true => ConnectionPlan::Bytes(route, destination),
        false => ConnectionPlan::Speak(destination, route.hint, Some(route)),
    }
}
