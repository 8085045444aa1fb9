//! Which protocol a Service port speaks: by `appProtocol`, then by the port's name, else by looking (S-06).

use crate::address::Transport;
use crate::service::Port;

/// What is known about a port before its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolHint {
    /// HTTP/1.1, said by `appProtocol`: requests go to endpoints as HTTP/1.1, gRPC excepted.
    Http1,
    /// HTTP of a version that the client chooses; endpoints are spoken to in the same one.
    Http,
    /// HTTP/2 with prior knowledge, on the side of the endpoints.
    Http2,
    /// Bytes that are not ours to read.
    Opaque,
    /// Nobody says: the first bytes decide.
    Unknown,
}

/// Reads what a port says of itself. `appProtocol` wins; an unknown one means bytes (S-06). A port's name counts as a hint
/// when it is a protocol's name, alone or before a `-` (`grpc`, `http-metrics`), the convention of the field.
pub fn hint(port: &Port) -> ProtocolHint {
    match port.app_protocol.as_deref() {
        Some(declared) => by_app_protocol(declared),
        None => by_port_name(&port.name),
    }
}

/// Whether requests may come by this port.
pub fn may_be_http(port: &Port) -> bool {
    port.transport == Transport::Tcp && hint(port) != ProtocolHint::Opaque
}

/// Whether a port says that what comes by it is HTTP in TLS.
pub(crate) fn is_told_https(port: &Port) -> bool {
    match port.app_protocol.as_deref() {
        Some(declared) => matches!(declared, "https" | "kubernetes.io/wss"),
        None => matches!(first_word(&port.name), "https" | "tls"),
    }
}

fn by_app_protocol(declared: &str) -> ProtocolHint {
    match declared {
        "http" | "kubernetes.io/ws" => ProtocolHint::Http1,
        "kubernetes.io/h2c" | "grpc" | "http2" => ProtocolHint::Http2,
        _ => ProtocolHint::Opaque,
    }
}

fn by_port_name(name: &str) -> ProtocolHint {
    match first_word(name) {
        "http" => ProtocolHint::Http,
        "http2" | "h2c" | "grpc" => ProtocolHint::Http2,
        "https" | "tls" | "tcp" | "redis" | "mysql" | "mongo" | "postgres" | "postgresql" => {
            ProtocolHint::Opaque
        }
        _ => ProtocolHint::Unknown,
    }
}

fn first_word(name: &str) -> &str {
    name.split('-').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::TargetPort;

    #[track_caller]
    fn check(name: &str, app_protocol: Option<&str>, expected: ProtocolHint) {
        let port = Port {
            name: name.into(),
            port: 80,
            transport: Transport::Tcp,
            target: TargetPort::Number(80),
            node_port: None,
            app_protocol: app_protocol.map(Into::into),
        };
        assert_eq!(hint(&port), expected, "{name} {app_protocol:?}");
    }

    #[test]
    fn the_app_protocol_wins_over_the_name() {
        check("http", Some("tcp"), ProtocolHint::Opaque);
        check("tcp", Some("kubernetes.io/h2c"), ProtocolHint::Http2);
        check("", Some("http"), ProtocolHint::Http1);
        check("grpc", Some("kubernetes.io/ws"), ProtocolHint::Http1);
    }

    #[test]
    fn an_unknown_app_protocol_means_bytes() {
        check("http", Some("example.com/custom"), ProtocolHint::Opaque);
        check("", Some("https"), ProtocolHint::Opaque);
        check("", Some("kubernetes.io/wss"), ProtocolHint::Opaque);
    }

    #[test]
    fn a_name_counts_alone_or_before_a_dash() {
        check("http", None, ProtocolHint::Http);
        check("http-metrics", None, ProtocolHint::Http);
        check("grpc-web", None, ProtocolHint::Http2);
        check("httpd", None, ProtocolHint::Unknown);
        check("web", None, ProtocolHint::Unknown);
        check("", None, ProtocolHint::Unknown);
    }
}
