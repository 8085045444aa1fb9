//! Which Service port a connection or request is for.

use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

use hyper::header::HeaderValue;
use svc_core::address::{ClientAddr, Transport};
use svc_core::authority::Authority;
use svc_core::balance::Caller;
use svc_core::forwarding::is_trusted;
use svc_core::outcome::Failure;
use svc_core::table::{NotFound, Target};

use super::mesh::Mesh;
use super::roster::Pulse;
use super::route::Route;

/// Where a client's connection came from and where it was going.
pub(crate) struct Origin {
    pub(crate) client: ClientAddr,
    pub(crate) aim: Aim,
    /// The forwarding headers of this client are believed.
    pub(crate) trusted: bool,
    /// The client's address, as `X-Forwarded-For` has it.
    pub(crate) client_value: HeaderValue,
    /// `Forwarded` for the host that this client asked for last: most ask for one.
    pub(crate) forwarded: RefCell<Option<(HeaderValue, HeaderValue)>>,
    /// The pulse of an HTTP/1 connection, which is idle between requests.
    pub(crate) pulse: Option<Arc<Pulse>>,
    /// The last route of this connection: as long as the table has the same target, nothing needs to be looked up.
    route: RefCell<Option<Rc<Route>>>,
}

/// What says where a connection is going.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aim {
    /// The address it was opened to: captured on its way there, or one of our own loopback VIPs.
    Address(SocketAddr),
    /// Each request says so itself: this is a forward proxy.
    Request,
}

impl Origin {
    pub(crate) fn new(client: ClientAddr, aim: Aim, pulse: Option<Arc<Pulse>>, mesh: &Mesh) -> Origin {
        let ip = client.0.ip().to_canonical();
        Origin {
            client,
            aim,
            trusted: is_trusted(ip, &mesh.config.limits.trusted_proxies),
            client_value: HeaderValue::from_str(&ip.to_string()).expect("an address is a header value"),
            forwarded: RefCell::default(),
            pulse,
            route: RefCell::default(),
        }
    }

    /// The route of a request to `authority`.
    pub(crate) fn route(&self, authority: &str, mesh: &Mesh) -> Result<Rc<Route>, Failure> {
        match self.aim {
            Aim::Address(addr) => self.route_to_address(addr, mesh),
            Aim::Request => route_to_authority(authority, mesh),
        }
    }

    /// The route of everything that goes to `addr`.
    pub(crate) fn route_to_address(&self, addr: SocketAddr, mesh: &Mesh) -> Result<Rc<Route>, Failure> {
        let table = mesh.table.load();
        let target = table.by_destination(Transport::Tcp, addr).ok_or(Failure::UnknownDestination)?;
        Ok(self.cached(target, mesh))
    }

    /// Who wants to go where, to the balancer of `route`.
    pub(crate) fn caller(&self, route: &Route) -> Caller {
        caller(self.client, self.aim, route)
    }

    fn cached(&self, target: &Arc<Target>, mesh: &Mesh) -> Rc<Route> {
        let mut cached = self.route.borrow_mut();
        match &*cached {
            Some(route) if Arc::ptr_eq(&route.target, target) => route.clone(),
            Some(_) | None => cached.insert(mesh.route(target)).clone(),
        }
    }
}

/// Who wants to go where, to the balancer of `route`.
pub(crate) fn caller(client: ClientAddr, aim: Aim, route: &Route) -> Caller {
    let destination = match aim {
        Aim::Address(addr) => addr.ip().to_canonical(),
        Aim::Request => {
            let first = route.target.service.cluster_ips.first();
            first.copied().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
        }
    };
    Caller { client: client.0.ip().to_canonical(), destination }
}

/// The route to the Service that `authority` names.
pub(crate) fn route_to_authority(authority: &str, mesh: &Mesh) -> Result<Rc<Route>, Failure> {
    let authority = Authority::parse(authority).map_err(|_| Failure::BadRequest)?;
    let table = mesh.table.load();
    let target = table.by_authority(&authority).map_err(|missing| match missing {
        NotFound::Service => Failure::UnknownDestination,
        NotFound::Port => Failure::NoSuchPort,
    })?;
    Ok(mesh.route(target))
}
