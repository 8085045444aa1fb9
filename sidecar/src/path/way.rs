//! Which way a connection goes, as far as that is known before its first byte.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use svc_core::protocol::Hint;

use super::application::Doorway;
use super::mesh::Mesh;
use super::resolve::Aim;
use super::route::Route;
use crate::config::ShownBy;
use crate::connection::Door;

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
    pub(crate) fn shown<'m>(&self, door: Door, mesh: &'m Mesh) -> Option<&'m ShownBy> {
        let port = self.doorway()?.known_as.port();
        match door {
            Door::Mapped(_) => mesh.config.listeners.shown_at(port),
            Door::Inbound | Door::TakenOver => {
                mesh.config.tls.ports.binary_search(&port).ok().map(|_| &ShownBy::Files)
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
