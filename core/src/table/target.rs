//! One port of a Service in the table.

use alloc::sync::Arc;

use crate::address::ServiceName;
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
    /// Whose endpoints these are, where the source tells them of Services in use only.
    pub watched: Option<Watched>,
    /// Why it has no endpoint, where more is known of that than that there is none.
    pub failure: Option<Failure>,
    /// How its endpoints are spoken to, where that is not how clients speak.
    pub rewrite: Option<Arc<RewriteRules>>,
}

/// A Service whose endpoints are watched as long as somebody uses it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// Its name: that of another Service where the target's own is only another name for it.
    pub service: ServiceName,
    /// Whether they are known now.
    pub is_known: bool,
}

impl Target {
    /// Whether there is an endpoint to go to, or nothing to be said about why there is none.
    pub fn is_settled(&self) -> bool {
        let plain = self.name.is_none() && self.failure.is_none() && self.pending().is_none();
        plain || !self.endpoints.usable().is_empty()
    }

    /// The Service whose endpoints must be asked for first.
    pub fn pending(&self) -> Option<&ServiceName> {
        self.watched.as_ref().filter(|watched| !watched.is_known).map(|watched| &watched.service)
    }

    /// A port whose endpoints, or their absence, need no explanation, of a Service that is no other name.
    pub(crate) fn plain(service: &Arc<Service>, port: Port, endpoints: EndpointSet) -> Target {
        let rewrite = RewriteRules::of(service, &port, None);
        Target {
            service: Arc::clone(service),
            port,
            endpoints,
            name: None,
            watched: None,
            failure: None,
            rewrite,
        }
    }
}
