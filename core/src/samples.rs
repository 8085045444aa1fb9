//! Facts that tests begin with.

use alloc::sync::Arc;
use core::net::IpAddr;

use crate::address::{ServiceName, Transport};
use crate::service::{Port, Service, Slice, SliceEndpoint, SlicePort};

/// A ClusterIP Service without an address, with the one unnamed TCP port 80.
pub(crate) fn service(namespace: &str, name: &str) -> Service {
    Service::plain(ServiceName::new(namespace, name), [port("", 80)].into())
}

/// A TCP port whose target is itself.
pub(crate) fn port(name: &str, port: u16) -> Port {
    Port { name: name.into(), ..Port::unnamed(port) }
}

/// An EndpointSlice of a Service: one unnamed TCP port, ready endpoints.
pub(crate) fn slice(service: &ServiceName, name: &str, port: u16, addresses: &[&str]) -> Slice {
    Slice {
        name: name.into(),
        service: service.clone(),
        from_endpoints: false,
        weights: None,
        ports: [slice_port("", port)].into(),
        endpoints: addresses.iter().map(|address| slice_endpoint(address)).collect(),
    }
}

/// A TCP port of a slice.
pub(crate) fn slice_port(name: &str, port: u16) -> SlicePort {
    SlicePort { name: name.into(), port, transport: Transport::Tcp, app_protocol: None }
}

/// A ready endpoint with nothing but its address.
pub(crate) fn slice_endpoint(address: &str) -> SliceEndpoint {
    SliceEndpoint {
        address: ip(address),
        ready: true,
        serving: true,
        terminating: false,
        weight: None,
        hostname: None,
        place: None,
        pod: None,
    }
}

/// An address from its text.
pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().expect("a test writes addresses that are addresses")
}

/// A shared string from a literal.
pub(crate) fn text(text: &str) -> Arc<str> {
    text.into()
}
