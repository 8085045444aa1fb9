//! The connections to endpoints that one client has for itself.

use std::cell::RefCell;
use std::rc::Rc;

use svc_proto::proxy_header::Version;

use super::Upstream;
use super::outbound_proxy_header::OutboundProxyHeader;

/// The endpoints that a client's connection has connections of its own to, the one used last at the end.
#[derive(Default)]
pub(crate) struct ClientUpstreams(RefCell<Vec<(Version, Rc<Upstream>)>>);

impl ClientUpstreams {
    /// `upstream` with connections of the client's own, which tell of it.
    pub(crate) fn upstream(
        &self,
        upstream: &Rc<Upstream>,
        outbound_header: OutboundProxyHeader,
    ) -> Rc<Upstream> {
        let mut kept = self.0.borrow_mut();
        let version = outbound_header.version;
        let is_wanted = |(proxy_header, own): &(Version, Rc<Upstream>)| {
            *proxy_header == version && own.belongs_to(upstream)
        };
        let own = match kept.iter().position(is_wanted) {
            Some(index) => kept.remove(index).1,
            None => upstream.per_client(outbound_header),
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
