//! Who a request came from, as far as the proxy can tell.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use svc_core::service::{Policy, Unit};
use svc_core::table::Target;

use crate::context::VmContext;
use crate::host::Http;

/// The peer of a request for `target`. To ask is a call of the host: nobody's address stands in where nothing depends on it.
pub(super) fn of(host: &impl Http, context: &VmContext, target: &Target) -> IpAddr {
    let plugin = &context.plugin;
    let is_told = plugin.forwarding_headers || !plugin.trusted_proxies.is_empty();
    let decides = target.service.affinity.is_some() || Policy::of(&target.service, Unit::Request).hashes();
    let nobody = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    if !is_told && !decides {
        return nobody;
    }
    let said = host.property(&["source", "address"]).unwrap_or_default();
    let addr = str::from_utf8(&said).ok().and_then(|said| said.parse().ok());
    addr.map_or(nobody, |addr: SocketAddr| addr.ip())
}
