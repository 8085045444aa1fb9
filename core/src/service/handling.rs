//! What a Service's annotations ask for, typed: ours (`svcmesh.dev/…`), and those of AWS that mean something to a data plane (S-20, S-22, S-23).

use alloc::sync::Arc;
use core::time::Duration;

use svc_proto::names::annotation;
use svc_proto::proxy_header::Version;

use super::health_check::HealthCheck;
use super::{EjectPolicy, Policy};
use crate::retry::RetryPolicy;

mod annotations;
mod aws;
mod encryption;
mod health;
mod policies;
mod tls;
mod values;

pub(super) use annotations::AnnotationReader;
pub(super) use health::is_encrypted;
pub use tls::Tls;

/// How the traffic of one Service is to be handled. Where it says nothing, the flags of the sidecar decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handling {
    /// `load-balancer`.
    pub policy: Option<Policy>,
    /// `timeout`: a request with all its tries, up to the last byte of the response; zero is no limit.
    pub timeout: Option<Duration>,
    /// `try-timeout`: one try of a request, up to the head of the response; zero is no limit.
    pub try_timeout: Option<Duration>,
    /// `retry`.
    pub retry: RetryPolicy,
    /// `idle-timeout`, else AWS's: a connection on which nothing happens; zero is no limit.
    pub idle_timeout: Option<Duration>,
    /// `max-connections`: how many connections (and requests, over HTTP/2) each endpoint has at once; at least 1.
    pub max_connections: Option<u32>,
    /// `eject`; `None` when it is off.
    pub eject: Option<EjectPolicy>,
    /// `slow-start`: how long a new endpoint takes to its full share; zero is not at all.
    pub slow_start: Duration,
    /// `health-check`, else AWS's.
    pub health_check: Option<HealthCheck>,
    /// How long connections to an endpoint that leaves are kept (S-22); `None`: until they end.
    pub drain: Option<Duration>,
    /// `proxy-protocol`, else AWS's: the PROXY header that connections to its endpoints begin with, of all its ports.
    pub proxy_protocol: Option<Version>,
    /// `tls`; `None`: what a port says of itself decides.
    pub tls: Option<Tls>,
    /// `tls-ca`: the Secret, in the Service's namespace, with those who may sign what endpoints prove their name by.
    pub tls_authorities: Option<Arc<str>>,
    /// `rewrite-location`: answers are turned back to the name that the client used.
    pub rewrite_location: bool,
    /// `allow-local-external-name`: the external name may lead to this pod or its node.
    pub allow_local_external_name: bool,
}

impl Default for Handling {
    /// What a Service gets that asks for nothing.
    fn default() -> Handling {
        Handling {
            policy: None,
            timeout: None,
            try_timeout: None,
            retry: RetryPolicy::default(),
            idle_timeout: None,
            max_connections: None,
            eject: Some(EjectPolicy::default()),
            slow_start: Duration::ZERO,
            health_check: None,
            drain: None,
            proxy_protocol: None,
            tls: None,
            tls_authorities: None,
            rewrite_location: false,
            allow_local_external_name: false,
        }
    }
}

/// Which annotations mean something to who reads them; the others are passed over, mistakes included. A filter of a few hundred kilobytes has no
/// room for grammars of which nothing follows: what is not named here is not in its code.
#[derive(Clone, Copy, Debug)]
pub struct Scope(fn(&mut AnnotationReader<'_>) -> Handling);

impl Scope {
    /// All.
    pub const ALL: Scope = Scope(Handling::read);
    /// Those about which endpoint is chosen, and what it is told. Connections, tries and their encryption are another proxy's.
    pub const CHOICE: Scope = Scope(Handling::read_choice);

    /// What the annotations ask for.
    pub(super) fn read(self, annotations: &mut AnnotationReader<'_>) -> Handling {
        (self.0)(annotations)
    }
}

impl Handling {
    /// What the annotations ask for: what ours say counts before what AWS's say.
    pub(super) fn read(annotations: &mut AnnotationReader<'_>) -> Handling {
        let aws_idle_timeout = aws::idle_timeout(annotations);
        let aws_health_check = health::of_aws(annotations);
        let aws_proxy_protocol = aws::proxy_protocol(annotations);
        Handling {
            timeout: annotations.read(annotation::TIMEOUT, values::duration),
            try_timeout: annotations.read(annotation::TRY_TIMEOUT, values::duration),
            retry: annotations.read(annotation::RETRY, policies::retry).unwrap_or_default(),
            idle_timeout: annotations.read(annotation::IDLE_TIMEOUT, values::duration).or(aws_idle_timeout),
            health_check: annotations.read(annotation::HEALTH_CHECK, health::parse).or(aws_health_check),
            drain: aws::drain(annotations),
            proxy_protocol: annotations
                .read(annotation::PROXY_PROTOCOL, policies::proxy_protocol)
                .or(aws_proxy_protocol),
            tls_authorities: annotations.read(annotation::TLS_CA, encryption::authorities),
            rewrite_location: annotations
                .read(annotation::REWRITE_LOCATION, values::truth)
                .unwrap_or_default(),
            ..Handling::read_choice(annotations)
        }
    }

    /// The part in [`Scope::CHOICE`].
    fn read_choice(annotations: &mut AnnotationReader<'_>) -> Handling {
        let unasked = Handling::default();
        Handling {
            policy: annotations.read(annotation::LOAD_BALANCER, policies::balancing),
            max_connections: annotations.read(annotation::MAX_CONNECTIONS, policies::max_connections),
            eject: annotations.read(annotation::EJECT, policies::eject).unwrap_or(unasked.eject),
            slow_start: annotations
                .read(annotation::SLOW_START, values::duration)
                .unwrap_or(unasked.slow_start),
            tls: annotations.read(annotation::TLS, encryption::tls),
            allow_local_external_name: annotations
                .read(annotation::ALLOW_LOCAL_EXTERNAL_NAME, values::truth)
                .unwrap_or(unasked.allow_local_external_name),
            ..unasked
        }
    }
}

#[cfg(test)]
mod tests;
