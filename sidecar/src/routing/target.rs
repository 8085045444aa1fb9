//! What endpoints are told of a request's target, and of which requests more than path and query (RFC 9112 §3.2).

use hyper::{Method, Request};
use svc_core::address::Transport;
use svc_core::authority::{Authority, UriHost};
use svc_core::table::Table;

use super::route::Route;
use crate::client::facts::Destination;
use crate::http::target::Form;

/// The form for `route` of a request that is for `authority`.
///
/// Who asks our forward proxy names the Service, which is asked for what it has. Who asks a Service for what is elsewhere takes it for a
/// proxy, and knows why.
pub(crate) fn form<B>(
    request: &Request<B>,
    authority: &str,
    destination: Destination,
    route: &Route,
    table: &Table,
) -> Form {
    let is_elsewhere = || destination != Destination::Request && !is_of(route, authority, destination, table);
    match request.uri().authority() {
        None => Form::Origin,
        Some(_) if request.version() == hyper::Version::HTTP_2 => Form::Origin, // it has no forms
        Some(_) if !is_elsewhere() => Form::Origin,
        Some(_) if request.method() == Method::CONNECT => Form::Authority,
        Some(_) => Form::Absolute,
    }
}

/// Whether `authority` names who is at the end of `route` itself.
fn is_of(route: &Route, authority: &str, destination: Destination, table: &Table) -> bool {
    let Ok(Authority { host, .. }) = Authority::parse(authority) else { return false };
    let service = &route.target.service.name;
    match host {
        UriHost::Name(name) => table.by_host(name).is_some_and(|entry| entry.service.name == *service),
        UriHost::Address(ip) => match destination {
            Destination::Address(addr) => {
                let target = table.by_destination(Transport::Tcp, std::net::SocketAddr::new(ip, addr.port()));
                ip == addr.ip().to_canonical() || target.is_some_and(|target| target.service.name == *service)
            }
            Destination::Application(local_target) => ip == local_target.known_as.ip() || ip.is_loopback(),
            Destination::Request => false,
        },
    }
}
