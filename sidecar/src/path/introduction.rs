//! Whom a connection to an endpoint is for, told by its first bytes where the Service asks for that (S-20, S-30).
//!
//! What is said of one client may not be used by another: these connections belong to their client's.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use svc_core::introduction::{self, header, of_client};
use svc_core::table::Target;
use svc_proto::proxy_header::{Header, Tlvs, Version};

use super::arrival::Arrival;
use super::proxy_header::Told;
use super::resolve::Aim;
use super::route::Route;
use super::upstream::Upstream;

/// A client, and where it was going.
#[derive(Clone, Debug)]
pub(crate) struct Guest {
    pub(crate) arrival: Arrival,
    pub(crate) aim: Aim,
    /// What its peer had to say of it.
    pub(crate) told: Option<Rc<Told>>,
}

/// What the endpoints of a Service port are told of a client.
pub(crate) struct Introduction {
    version: Version,
    guest: Guest,
    target: Arc<Target>,
}

impl Introduction {
    /// `None` where the Service of `route` does not ask.
    pub(crate) fn of(route: &Route, guest: impl FnOnce() -> Guest) -> Option<Introduction> {
        let version = route.target.service.handling.proxy_protocol?;
        let guest = guest();
        if route.inbound.is_some() && guest.told.is_none() {
            return None; // who sent it here has introduced it to the application, in bytes that we pass on
        }
        Some(Introduction { version, guest, target: route.target.clone() })
    }

    /// The header of a connection from `near` to the endpoint at `far`.
    pub(super) fn header(&self, near: SocketAddr, far: SocketAddr) -> Vec<u8> {
        if let Some(told) = &self.guest.told {
            let Header { origin, tlvs, .. } = told.header();
            return header(self.version, origin, tlvs);
        }
        let origin = of_client(self.guest.arrival.client.0, self.destination(near, far), near);
        header(self.version, origin, Tlvs::NONE)
    }

    fn destination(&self, near: SocketAddr, far: SocketAddr) -> SocketAddr {
        destination(self.guest.aim, &self.target, near, far)
    }
}

/// Where the client was going. A loopback VIP is an address of this pod only, and a request to the forward proxy has none: they stand
/// for the Service's own address, which a headless Service has not; its clients go to its endpoints.
fn destination(aim: Aim, target: &Target, near: SocketAddr, far: SocketAddr) -> SocketAddr {
    match aim {
        Aim::Address(addr) if !addr.ip().to_canonical().is_loopback() => addr,
        Aim::Address(_) | Aim::Application(_) | Aim::Request => {
            let ips = &target.service.cluster_ips;
            let ip = ips.iter().find(|ip| ip.is_ipv4() == near.is_ipv4()).or_else(|| ips.first());
            ip.map_or(far, |ip| SocketAddr::new(*ip, target.port.port))
        }
    }
}

/// What each datagram of `client` to `known_as` begins with on its way from `near` to the endpoint at `far`; nothing where the Service does not
/// ask for version 2.
pub(crate) fn of_datagrams(
    target: &Target,
    client: SocketAddr,
    known_as: SocketAddr,
    near: SocketAddr,
    far: SocketAddr,
) -> Vec<u8> {
    if target.service.handling.proxy_protocol != Some(Version::V2) {
        return Vec::new();
    }
    introduction::of_datagrams(client, destination(Aim::Address(known_as), target, near, far), near)
}

/// The endpoints that a client's connection has connections of its own to, the one used last at the end.
#[derive(Default)]
pub(crate) struct Own(RefCell<Vec<(Version, Rc<Upstream>)>>);

impl Own {
    /// `upstream` with connections of the client's own, which tell of it.
    pub(crate) fn upstream(&self, upstream: &Rc<Upstream>, introduction: Introduction) -> Rc<Upstream> {
        let mut kept = self.0.borrow_mut();
        let version = introduction.version;
        let is_wanted = |(told, own): &(Version, Rc<Upstream>)| *told == version && own.is_apart_of(upstream);
        let own = match kept.iter().position(is_wanted) {
            Some(index) => kept.remove(index).1,
            None => upstream.apart(introduction),
        };
        if kept.len() == ENDPOINTS_MAX {
            kept.remove(0);
        }
        kept.push((version, own.clone()));
        own
    }
}

/// Endpoints to which one client connection keeps connections: one idle HTTP/1 connection each, and the HTTP/2 connections that its streams
/// need. 1000 clients × 8 × ~25 KiB (hyper's buffers) = 200 MiB, beside 256 MiB that the injector requests, if all of them sent
/// requests to that many within the 50 s that idle connections are kept. Beyond it the one used longest ago is let go of.
const ENDPOINTS_MAX: usize = 8;
