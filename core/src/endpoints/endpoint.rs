//! One endpoint of a Service port.

use alloc::sync::Arc;

use crate::address::EndpointAddr;
use crate::service::Locality;

/// Names an endpoint of one Service port for as long as it stays there. Never used again for another, so that counts, pools
/// and metrics keyed by it cannot be inherited by another one with the same address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointId(pub u64);

/// One endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its identity across updates.
    pub id: EndpointId,
    /// Where it listens.
    pub addr: EndpointAddr,
    /// `conditions.ready`.
    pub ready: bool,
    /// `conditions.serving`.
    pub serving: bool,
    /// `conditions.terminating`.
    pub terminating: bool,
    /// Its share beside the others; 1 when nothing says otherwise, 0 gets nothing new.
    pub weight: u16,
    /// Where it runs, as far as that is known.
    pub place: Option<Arc<Locality>>,
    /// Its host name in DNS.
    pub hostname: Option<Arc<str>>,
}
