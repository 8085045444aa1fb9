//! Whom a connection to an endpoint is for, told by its first bytes where the Service asks for that (S-20, S-30).
//!
//! What is said of one client may not be used by another: these connections belong to their client's.

use std::net::SocketAddr;
use std::sync::Arc;

use svc_core::proxy_protocol::{self, header, of_client};
use svc_core::table::Target;
use svc_proto::proxy_header::{Header, Tlvs, Version};

use crate::client::facts::{ClientInfo, Destination};

/// What the endpoints of a Service port are told of a client.
pub(crate) struct OutboundProxyHeader {
    pub(super) version: Version,
    client_info: ClientInfo,
    target: Arc<Target>,
}

impl OutboundProxyHeader {
    /// `None` where the Service of `route` does not ask.
    pub(crate) fn of(
        target: &Arc<Target>,
        is_inbound: bool,
        client_info: impl FnOnce() -> ClientInfo,
    ) -> Option<OutboundProxyHeader> {
        let version = target.service.handling.proxy_protocol?;
        let client_info = client_info();
        if is_inbound && client_info.proxy_header.is_none() {
            return None; // who sent it here has introduced it to the application, in bytes that we pass on
        }
        Some(OutboundProxyHeader { version, client_info, target: target.clone() })
    }

    /// The header of a connection from `near` to the endpoint at `far`.
    pub(super) fn header(&self, near: SocketAddr, far: SocketAddr) -> Vec<u8> {
        if let Some(proxy_header) = &self.client_info.proxy_header {
            let Header { origin, tlvs, .. } = proxy_header.header();
            return header(self.version, origin, tlvs);
        }
        let origin = of_client(self.client_info.arrival.client.0, self.destination(near, far), near);
        header(self.version, origin, Tlvs::NONE)
    }

    fn destination(&self, near: SocketAddr, far: SocketAddr) -> SocketAddr {
        destination(self.client_info.destination, &self.target, near, far)
    }
}

/// Where the client was going. A loopback VIP is an address of this pod only, and a request to the forward proxy has none: they stand
/// for the Service's own address, which a headless Service has not; its clients go to its endpoints.
fn destination(destination: Destination, target: &Target, near: SocketAddr, far: SocketAddr) -> SocketAddr {
    match destination {
        Destination::Address(addr) if !addr.ip().to_canonical().is_loopback() => addr,
        Destination::Address(_) | Destination::Application(_) | Destination::Request => {
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
    proxy_protocol::of_datagrams(client, destination(Destination::Address(known_as), target, near, far), near)
}
