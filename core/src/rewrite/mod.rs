//! What endpoints are told otherwise than their clients said it: the name that they go by (S-26), and that it is said encrypted (S-19).

use alloc::format;
use alloc::sync::Arc;

use crate::address::{SecretName, Transport};
use crate::dns::names::split_srv;
use crate::protocol::{self, ProtocolHint};
use crate::service::{Port, Service, ServiceType, Tls};

mod answers;

pub use answers::{WebOrigin, location, refresh, set_cookie};

/// The rewrite rules of a Service port: how its endpoints are spoken to, where that is not how their clients speak. Most have none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RewriteRules {
    /// What requests name as their `Host` and `:authority`; `None`: what their clients name.
    pub authority: Option<Arc<str>>,
    /// Whether answers are turned back to the name and the scheme that the client used.
    pub rewrites_answers: bool,
    /// How the way there is encrypted, if it is.
    pub tls: Option<Origination>,
}

/// TLS that begins here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origination {
    /// Who the endpoint says that it is (SNI), which its certificate has to prove.
    pub name: Arc<str>,
    /// The Secret with those who may sign it; `None`: whom the system believes.
    pub authorities: Option<SecretName>,
    /// Whether bytes that are no HTTP are encrypted too. What is TLS already never is.
    pub wraps_bytes: bool,
}

impl RewriteRules {
    /// That of one port of a Service, whose other name in the end is `external` if it has one.
    pub fn of(service: &Service, port: &Port, external: Option<&str>) -> Option<Arc<RewriteRules>> {
        let external = external.map(host);
        let tls = origination(service, port, external);
        let rewrites_answers = service.handling.rewrite_location && port.transport == Transport::Tcp;
        if external.is_none() && tls.is_none() && !rewrites_answers {
            return None; // most: nothing is made up for each of 10,000
        }
        let default_port = if tls.is_some() { HTTPS_PORT } else { HTTP_PORT };
        let authority = external.map(|name| match port.port == default_port {
            true => name.into(),
            false => format!("{name}:{}", port.port).into(),
        });
        Some(Arc::new(RewriteRules { authority, rewrites_answers, tls }))
    }

    /// The name of the scheme that endpoints hear.
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }
}

/// What is known of such a port before its first byte. A client that says its own TLS to a port that is told to be encrypted is told
/// from one that leaves it to us by looking.
pub fn hint(port: &Port, rewrite: Option<&RewriteRules>) -> ProtocolHint {
    let encrypts = rewrite.is_some_and(|rewrite| rewrite.tls.is_some());
    let hint = protocol::hint(port);
    let is_ours = encrypts && hint == ProtocolHint::Opaque && protocol::is_told_https(port);
    if is_ours { ProtocolHint::Unknown } else { hint }
}

/// Of a name that asks for an SRV record, the host.
fn host(name: &str) -> &str {
    split_srv(name).map_or(name, |(_, _, host)| host)
}

fn origination(service: &Service, port: &Port, external: Option<&str>) -> Option<Origination> {
    let secret = service.handling.tls_authorities.as_ref();
    let is_asked = service.handling.tls == Some(Tls::Originate);
    let is_meant = port.transport == Transport::Tcp
        && match service.handling.tls {
            Some(Tls::Off) => false,
            Some(Tls::Originate) => true,
            None => is_https(port, service.kind == ServiceType::ExternalName),
        };
    is_meant.then(|| Origination {
        name: match external {
            Some(name) => name.into(),
            // What an API server expects of the Services of webhooks, and what in-cluster issuers write.
            None => format!("{}.{}.svc", service.name.name, service.name.namespace).into(),
        },
        authorities: secret
            .map(|secret| SecretName::new(Arc::clone(&service.name.namespace), Arc::clone(secret))),
        wraps_bytes: is_asked,
    })
}

/// Whether HTTP to this port is encrypted where nobody has said so in so many words. A port's name, or its number, says something of what is
/// elsewhere; in a cluster it is the `appProtocol` that says it.
fn is_https(port: &Port, is_elsewhere: bool) -> bool {
    match port.app_protocol.as_deref() {
        Some("grpc" | "http2") => is_elsewhere && port.port == HTTPS_PORT, // a protocol, in clear text or not
        Some(_) => protocol::is_told_https(port),
        None if !is_elsewhere => false,
        None => {
            let is_opaque = protocol::hint(port) == ProtocolHint::Opaque;
            protocol::is_told_https(port) || (port.port == HTTPS_PORT && !is_opaque)
        }
    }
}

const HTTP_PORT: u16 = 80; // RFC 9110 §4.2.1
const HTTPS_PORT: u16 = 443; // RFC 9110 §4.2.2

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{port, service, text};

    const EXTERNAL: &str = "api.example.com";

    fn external(tls: Option<Tls>) -> Service {
        let mut external = Service {
            kind: ServiceType::ExternalName,
            external_name: Some(text(EXTERNAL)),
            ..service("shop", "api")
        };
        external.handling.tls = tls;
        external
    }

    /// The authority at the endpoints of an ExternalName, whether HTTP to it is encrypted, and what is known of the port.
    #[track_caller]
    fn check(
        (name, number, app_protocol): (&str, u16, Option<&str>),
        tls: Option<Tls>,
        expected: (&str, bool, ProtocolHint),
    ) {
        let port = Port { app_protocol: app_protocol.map(text), ..port(name, number) };
        let rewrite =
            RewriteRules::of(&external(tls), &port, Some(EXTERNAL)).expect("an external name has one");
        let found =
            (&**rewrite.authority.as_ref().unwrap(), rewrite.tls.is_some(), hint(&port, Some(&rewrite)));
        assert_eq!(found, expected, "{name} {number} {app_protocol:?} {tls:?}");
    }

    #[test]
    fn a_host_is_the_external_name_with_its_port_where_that_is_not_the_schemes() {
        check(("", 80, None), None, ("api.example.com", false, ProtocolHint::Unknown));
        check(("", 8080, None), None, ("api.example.com:8080", false, ProtocolHint::Unknown));
        check(("", 443, None), None, ("api.example.com", true, ProtocolHint::Unknown));
        check(("", 443, None), Some(Tls::Off), ("api.example.com:443", false, ProtocolHint::Unknown));
        check(("", 80, None), Some(Tls::Originate), ("api.example.com:80", true, ProtocolHint::Unknown));
        check(("https", 8443, None), None, ("api.example.com:8443", true, ProtocolHint::Unknown));
    }

    #[test]
    fn what_a_port_is_said_to_speak_counts_before_its_number() {
        check(("http", 443, None), None, ("api.example.com", true, ProtocolHint::Http));
        check(("grpc", 443, None), None, ("api.example.com", true, ProtocolHint::Http2));
        check(("", 443, Some("grpc")), None, ("api.example.com", true, ProtocolHint::Http2));
        check(("", 443, Some("http")), None, ("api.example.com:443", false, ProtocolHint::Http1));
        check(
            ("", 443, Some("kubernetes.io/h2c")),
            None,
            ("api.example.com:443", false, ProtocolHint::Http2),
        );
        check(("redis", 443, None), None, ("api.example.com:443", false, ProtocolHint::Opaque));
        check(
            ("redis", 6379, None),
            Some(Tls::Originate),
            ("api.example.com:6379", true, ProtocolHint::Opaque),
        );
        check(("", 8443, Some("https")), None, ("api.example.com:8443", true, ProtocolHint::Unknown));
        check(("", 443, Some("kubernetes.io/wss")), None, ("api.example.com", true, ProtocolHint::Unknown));
        check(("https", 443, None), Some(Tls::Off), ("api.example.com:443", false, ProtocolHint::Opaque));
    }

    #[test]
    fn a_service_of_the_cluster_is_encrypted_when_it_says_so_and_proves_its_own_name() {
        let of = |tls, app_protocol: Option<&str>, number| {
            let mut web = service("shop", "web");
            web.handling.tls = tls;
            let port = Port { app_protocol: app_protocol.map(text), ..port("https", number) };
            let rewrite = RewriteRules::of(&web, &port, None)?;
            assert_eq!(rewrite.authority, None, "the client's own stays");
            rewrite.tls.as_ref().map(|tls| (tls.name.clone(), tls.wraps_bytes))
        };
        let name = text("web.shop.svc");
        assert_eq!(of(None, None, 443), None);
        assert_eq!(of(None, Some("http2"), 443), None);
        assert_eq!(of(None, Some("https"), 443), Some((name.clone(), false)));
        assert_eq!(of(Some(Tls::Off), Some("https"), 443), None);
        assert_eq!(of(Some(Tls::Originate), None, 80), Some((name, true)));
    }

    #[test]
    fn an_srv_name_is_asked_for_by_its_host_and_datagrams_are_left_alone() {
        let rewrite = RewriteRules::of(&external(None), &port("", 80), Some("_http._tcp.api.example.com"));
        assert_eq!(rewrite.unwrap().authority.as_deref(), Some(EXTERNAL));
        let udp = Port { transport: Transport::Udp, ..port("", 443) };
        assert_eq!(RewriteRules::of(&external(None), &udp, Some(EXTERNAL)).unwrap().tls, None);
    }
}
