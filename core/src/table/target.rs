//! One port of a Service in the table.

use alloc::sync::Arc;

use crate::endpoints::EndpointSet;
use crate::outcome::Failure;
use crate::rewrite::RewriteRules;
use crate::service::{Port, Service};

/// What a destination or a host name leads to: one port of one Service, with its endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The Service.
    pub service: Arc<Service>,
    /// The port.
    pub port: Port,
    /// Its endpoints.
    pub endpoints: EndpointSet,
    /// The name that its endpoints are asked for by, where DNS says which they are: lower case, without a dot at the end.
    pub name: Option<Arc<str>>,
    /// Why it has no endpoint, where more is known of that than that there is none.
    pub failure: Option<Failure>,
    /// How its endpoints are spoken to, where that is not how clients speak.
    pub rewrite: Option<Arc<RewriteRules>>,
}

impl Target {
    /// Whether there is an endpoint to go to, or nothing to be said about why there is none.
    pub fn is_settled(&self) -> bool {
        let plain = self.name.is_none() && self.failure.is_none();
        plain || !self.endpoints.usable().is_empty()
    }

    /// A port whose endpoints, or their absence, need no explanation, of a Service that is no other name.
    pub(crate) fn plain(service: &Arc<Service>, port: Port, endpoints: EndpointSet) -> Target {
        let rewrite = RewriteRules::of(service, &port, None);
        Target { service: Arc::clone(service), port, endpoints, name: None, failure: None, rewrite }
    }
}
