//! The failure table: each way a connection or request can fail, whose fault it is, and what follows from it.

use alloc::format;
use alloc::string::String;
use core::fmt;

/// How a connection or a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// The request is not HTTP, or may be read in two ways.
    BadRequest,
    /// The request's head is larger, or has more fields, than any that is read.
    HeadTooLarge,
    /// The request's line is longer than any that is read.
    TargetTooLong,
    /// No complete head within `--header-timeout`.
    HeaderTimeout,
    /// The peer has to say whom it speaks for, and is not trusted to.
    Untrusted,
    /// The connection had to begin with a PROXY header, and did not, or not in time.
    NoProxyHeader,
    /// Nothing moved for `--idle-timeout`.
    IdleTimeout,
    /// The client floods us: it opens streams only to reset them, or sends what no message needs.
    Flooded,
    /// The process held more than `--memory-max`, and of all clients this one made it hold the most.
    MemoryExceeded,
    /// The client went away before it had its answer.
    ClientGone,
    /// The deadline that the client itself chose (`grpc-timeout`) is over. How long an answer may take is the client's to say, and what it
    /// says tells nothing of the endpoint.
    ClientDeadline,
    /// No TLS handshake was complete within `--header-timeout`.
    HandshakeTimeout,
    /// The client's TLS is malformed, or shares no version, suite or protocol with ours; or the client did not believe our certificate.
    HandshakeFailed,
    /// The client showed no certificate, or one that no authority of `--tls-client-ca` answers for.
    ClientCertificate,
    /// The client speaks without TLS where TLS is spoken.
    NotEncrypted,
    /// No Service has that name or address.
    UnknownDestination,
    /// The Service has no endpoint that may be used.
    NoEndpoints,
    /// The Service exists and has no such port, or the port is not TCP.
    NoSuchPort,
    /// DNS denies the name: it does not exist, or has no address.
    NameDenied,
    /// DNS gave no answer to the name in time, and never has before.
    NameTimeout,
    /// DNS could not say what the name is (SERVFAIL, REFUSED), and never has before.
    NameFailed,
    /// Names lead to each other in a circle: those of DNS, or external names of Services.
    NameLoop,
    /// An external name is an IPv4 address in disguise (S-26).
    NameIsAddress,
    /// The name leads only to addresses of this pod, its node or its cloud.
    NameProhibited,
    /// `--max-connections` are open.
    TooManyConnections,
    /// The destination is one of our own listeners.
    Loop,
    /// The request has come through proxies of this kind too often to be going anywhere.
    TooManyPasses,
    /// A TRACE that may go no further than to us.
    TraceRefused,
    /// TLS is spoken there, and no certificate is known to show.
    NothingToShow,
    /// The proxy ended while it was under way: the drain's time was over, or nobody wanted to wait for it.
    Ended,
    /// An `Upgrade` or `CONNECT` that cannot be carried.
    UpgradeRefused,
    /// The Service believes those in a Secret that is not there, or the system believes nobody: no certificate can be checked.
    AuthoritiesUnknown,
    /// The endpoint refused the connection.
    ConnectRefused,
    /// The endpoint did not answer within `--connect-timeout`.
    ConnectTimeout,
    /// There is no way to the endpoint.
    Unreachable,
    /// The endpoint's certificate is for other names than the one it was asked by.
    CertificateName,
    /// The endpoint's certificate is not valid any more, or not yet.
    CertificateExpired,
    /// The endpoint's certificate is signed by nobody who is believed.
    CertificateUntrusted,
    /// The endpoint's certificate proves nothing, for another reason than these.
    CertificateInvalid,
    /// The endpoint ended the TLS handshake, and said so.
    TlsAlert,
    /// The endpoint does not speak TLS, or not in a way that we do.
    TlsProtocol,
    /// The endpoint left its Service before it was sent the request.
    Left,
    /// The endpoint closed a pooled connection as the request was sent on it, before a byte of the response; or it said
    /// that it did not process the request (GOAWAY, REFUSED_STREAM).
    Unprocessed,
    /// The endpoint closed or reset the connection before the response head.
    Reset,
    /// The endpoint's response is not HTTP.
    BadResponse,
    /// The head of the endpoint's response is larger, or has more fields, than any that is read.
    ResponseTooLarge,
    /// The endpoint broke HTTP/2's rules for a connection, with all that was under way on it.
    ProtocolBroken,
    /// The endpoint acknowledged nothing of what it was sent, for as long as a connection may take to open.
    Unacknowledged,
    /// The endpoint did not begin to answer in time.
    ResponseTimeout,
    /// The endpoint answered that it, or what stands behind it, cannot serve. Only where a Service asks for another attempt then;
    /// without one the answer is the client's, and no failure.
    GatewayError,
    /// The endpoint broke off within the response body.
    Truncated,
    /// The endpoint has left its Service, and the time that its connections are kept is over (S-22).
    Drained,
    /// The response had begun and did not end in time.
    Overdue,
}

/// Whose fault a failure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Whoever connected to us.
    Client,
    /// The endpoint.
    Upstream,
    /// This proxy, its configuration or its discovery.
    Mesh,
}

/// Whether the same request may be tried on another endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// No endpoint has seen it.
    Always,
    /// An endpoint may have acted on it: only when doing it twice is the same as once (RFC 9110 §9.2.2).
    WhenIdempotent,
    /// It would fail again, or it was answered in part.
    Never,
}

/// What follows from a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whose fault.
    pub side: Side,
    /// The status the client gets when no byte of a response has been sent.
    pub status: u16,
    /// Whether another endpoint may be tried.
    pub retry: Retry,
    /// The log code: the side's letter, then the phase's.
    pub code: &'static str,
    /// The `error` parameter of `Proxy-Status` (RFC 9209 §2.3).
    pub proxy_error: &'static str,
}

impl Failure {
    /// The table.
    pub fn verdict(self) -> Verdict {
        use Retry::{Always, Never, WhenIdempotent};
        use Side::{Client, Mesh, Upstream};
        let (side, status, retry, code, proxy_error) = match self {
            Failure::BadRequest => (Client, 400, Never, "CR", "http_request_error"),
            Failure::HeadTooLarge => (Client, 431, Never, "CB", "http_request_error"),
            Failure::TargetTooLong => (Client, 414, Never, "CL", "http_request_error"),
            Failure::HeaderTimeout => (Client, 408, Never, "CH", "http_request_error"),
            Failure::IdleTimeout => (Client, 408, Never, "CI", "http_request_error"),
            Failure::NoProxyHeader => (Client, 400, Never, "CW", "http_request_error"),
            Failure::Untrusted => (Client, 403, Never, "CD", "http_request_denied"),
            Failure::Flooded => (Client, 429, Never, "CF", "http_request_denied"),
            Failure::MemoryExceeded => (Client, 429, Never, "CM", "http_request_denied"),
            Failure::ClientGone => (Client, 499, Never, "CA", "http_request_error"),
            Failure::ClientDeadline => (Client, 504, Never, "CG", "http_response_timeout"),
            Failure::HandshakeTimeout => (Client, 408, Never, "CE", "tls_protocol_error"),
            Failure::HandshakeFailed => (Client, 400, Never, "CS", "tls_protocol_error"),
            Failure::ClientCertificate => (Client, 400, Never, "CC", "tls_certificate_error"),
            Failure::NotEncrypted => (Client, 400, Never, "CP", "http_request_error"),
            Failure::UpgradeRefused => (Client, 501, Never, "CU", "http_upgrade_failed"),
            Failure::TraceRefused => (Client, 405, Never, "CT", "http_request_denied"),
            Failure::UnknownDestination => (Mesh, 502, Never, "MD", "destination_not_found"),
            Failure::NoEndpoints => (Mesh, 503, Never, "MN", "destination_unavailable"),
            Failure::NoSuchPort => (Mesh, 502, Never, "MP", "destination_not_found"),
            Failure::NameDenied => (Mesh, 502, Never, "MX", "dns_error"),
            Failure::NameTimeout => (Mesh, 504, Never, "MT", "dns_timeout"),
            Failure::NameFailed => (Mesh, 502, Never, "MF", "dns_error"),
            Failure::NameLoop => (Mesh, 502, Never, "MC", "dns_error"),
            Failure::NameIsAddress => (Mesh, 502, Never, "MA", "destination_ip_prohibited"),
            Failure::NameProhibited => (Mesh, 502, Never, "MR", "destination_ip_prohibited"),
            Failure::TooManyConnections => (Mesh, 503, Never, "ML", "connection_limit_reached"),
            Failure::Loop => (Mesh, 502, Never, "MO", "proxy_loop_detected"),
            Failure::TooManyPasses => (Mesh, 502, Never, "MV", "proxy_loop_detected"),
            Failure::NothingToShow => (Mesh, 503, Never, "MS", "proxy_configuration_error"),
            Failure::Ended => (Mesh, 503, Never, "ME", "connection_terminated"),
            Failure::AuthoritiesUnknown => (Mesh, 503, Never, "MK", "proxy_configuration_error"),
            Failure::ConnectRefused => (Upstream, 503, Always, "UR", "connection_refused"),
            Failure::ConnectTimeout => (Upstream, 504, Always, "UT", "connection_timeout"),
            Failure::Unreachable => (Upstream, 503, Always, "UC", "destination_ip_unroutable"),
            Failure::CertificateName => (Upstream, 502, Always, "UN", "tls_certificate_error"),
            Failure::CertificateExpired => (Upstream, 502, Always, "UX", "tls_certificate_error"),
            Failure::CertificateUntrusted => (Upstream, 502, Always, "UA", "tls_certificate_error"),
            Failure::CertificateInvalid => (Upstream, 502, Always, "UV", "tls_certificate_error"),
            Failure::TlsAlert => (Upstream, 502, Always, "UE", "tls_alert_received"),
            Failure::TlsProtocol => (Upstream, 502, Always, "UF", "tls_protocol_error"),
            Failure::Left => (Upstream, 503, Always, "UL", "destination_unavailable"),
            Failure::Unprocessed => (Upstream, 502, Always, "US", "connection_terminated"),
            Failure::Reset => (Upstream, 502, WhenIdempotent, "UH", "connection_terminated"),
            Failure::BadResponse => (Upstream, 502, Never, "UP", "http_protocol_error"),
            Failure::ResponseTooLarge => (Upstream, 502, Never, "UZ", "http_response_header_section_size"),
            Failure::ProtocolBroken => (Upstream, 502, WhenIdempotent, "UQ", "http_protocol_error"),
            Failure::Unacknowledged => (Upstream, 504, WhenIdempotent, "UK", "connection_timeout"),
            Failure::ResponseTimeout => (Upstream, 504, WhenIdempotent, "UW", "http_response_timeout"),
            Failure::GatewayError => (Upstream, 502, WhenIdempotent, "UG", "destination_unavailable"),
            Failure::Truncated => (Upstream, 502, Never, "UB", "http_response_incomplete"),
            Failure::Drained => (Upstream, 502, WhenIdempotent, "UD", "connection_terminated"),
            Failure::Overdue => (Upstream, 504, Never, "UO", "http_response_timeout"),
        };
        Verdict { side, status, retry, code, proxy_error }
    }

    /// Whether the endpoint was not reached at all, or too late to be sent anything.
    pub fn is_connect(self) -> bool {
        use Failure::{ConnectRefused, ConnectTimeout, Left, TlsAlert, TlsProtocol, Unreachable};
        let is_lost = matches!(self, ConnectRefused | ConnectTimeout | Unreachable | Left);
        is_lost || self.is_of_certificate() || matches!(self, TlsAlert | TlsProtocol)
    }

    /// Whether the endpoint could not prove who it is.
    pub fn is_of_certificate(self) -> bool {
        use Failure::{CertificateExpired, CertificateInvalid, CertificateName, CertificateUntrusted};
        matches!(self, CertificateExpired | CertificateInvalid | CertificateName | CertificateUntrusted)
    }

    /// What is told of it where the endpoint had to prove that it is `name`.
    pub fn about(self, name: &str) -> String {
        match self.is_of_certificate() {
            true if self == Failure::CertificateName => {
                format!("the endpoint's certificate is not valid for {name}")
            }
            true => format!("{self} (for {name})"),
            false => format!("{self}"),
        }
    }

    /// All of them, for tables and tests.
    pub const ALL: [Failure; 53] = [
        Failure::BadRequest,
        Failure::HeadTooLarge,
        Failure::TargetTooLong,
        Failure::HeaderTimeout,
        Failure::IdleTimeout,
        Failure::NoProxyHeader,
        Failure::Untrusted,
        Failure::Flooded,
        Failure::MemoryExceeded,
        Failure::ClientGone,
        Failure::ClientDeadline,
        Failure::HandshakeTimeout,
        Failure::HandshakeFailed,
        Failure::ClientCertificate,
        Failure::NotEncrypted,
        Failure::UpgradeRefused,
        Failure::TraceRefused,
        Failure::UnknownDestination,
        Failure::NoEndpoints,
        Failure::NoSuchPort,
        Failure::NameDenied,
        Failure::NameTimeout,
        Failure::NameFailed,
        Failure::NameLoop,
        Failure::NameIsAddress,
        Failure::NameProhibited,
        Failure::TooManyConnections,
        Failure::Loop,
        Failure::TooManyPasses,
        Failure::NothingToShow,
        Failure::Ended,
        Failure::AuthoritiesUnknown,
        Failure::ConnectRefused,
        Failure::ConnectTimeout,
        Failure::Unreachable,
        Failure::CertificateName,
        Failure::CertificateExpired,
        Failure::CertificateUntrusted,
        Failure::CertificateInvalid,
        Failure::TlsAlert,
        Failure::TlsProtocol,
        Failure::Left,
        Failure::Unprocessed,
        Failure::Reset,
        Failure::BadResponse,
        Failure::ResponseTooLarge,
        Failure::ProtocolBroken,
        Failure::Unacknowledged,
        Failure::ResponseTimeout,
        Failure::GatewayError,
        Failure::Truncated,
        Failure::Drained,
        Failure::Overdue,
    ];
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Failure::BadRequest => "the request is malformed or ambiguous",
            Failure::HeadTooLarge => "the request's head is too large or has too many fields",
            Failure::TargetTooLong => "the request's target is too long",
            Failure::HeaderTimeout => "the client did not send a request head in time",
            Failure::Untrusted => "the peer is not trusted to say whom it speaks for",
            Failure::NoProxyHeader => "the connection does not begin with a PROXY header",
            Failure::IdleTimeout => "the connection was idle for too long",
            Failure::Flooded => "the client sends what nobody can want an answer to",
            Failure::MemoryExceeded => "the client held more memory than all others when none was left",
            Failure::ClientGone => "the client went away",
            Failure::ClientDeadline => "the deadline that the client chose is over",
            Failure::HandshakeTimeout => "the client did not complete a TLS handshake in time",
            Failure::HandshakeFailed => "the TLS handshake with the client failed",
            Failure::ClientCertificate => "the client showed no certificate that is believed here",
            Failure::NotEncrypted => "plain text was sent to a port where TLS is spoken",
            Failure::UpgradeRefused => "this upgrade cannot be carried",
            Failure::TraceRefused => "the way ends here, and nobody here answers TRACE",
            Failure::UnknownDestination => "no Service has that name or address",
            Failure::NoEndpoints => "the Service has no usable endpoint",
            Failure::NoSuchPort => "the Service has no such TCP port",
            Failure::NameDenied => "DNS knows no such name",
            Failure::NameTimeout => "DNS did not answer in time",
            Failure::NameFailed => "DNS could not answer",
            Failure::NameLoop => "the name leads back to itself",
            Failure::NameIsAddress => "the external name is an address, not a name",
            Failure::NameProhibited => "the name leads to an address that names must not lead to",
            Failure::TooManyConnections => "too many connections are open",
            Failure::Loop => "the destination is this proxy itself",
            Failure::TooManyPasses => "the request goes in a circle",
            Failure::NothingToShow => "there is no certificate to show to clients",
            Failure::Ended => "this proxy ended before it was done",
            Failure::AuthoritiesUnknown => "it is not known whose certificates to believe",
            Failure::ConnectRefused => "the endpoint refused the connection",
            Failure::ConnectTimeout => "the endpoint did not accept the connection in time",
            Failure::Unreachable => "the endpoint cannot be reached",
            Failure::CertificateName => "the endpoint's certificate is not valid for its name",
            Failure::CertificateExpired => "the endpoint's certificate has expired, or is not valid yet",
            Failure::CertificateUntrusted => "the endpoint's certificate is signed by nobody who is believed",
            Failure::CertificateInvalid => "the endpoint's certificate is not valid",
            Failure::TlsAlert => "the endpoint ended the TLS handshake",
            Failure::TlsProtocol => "the endpoint does not speak TLS as it should",
            Failure::Left => "the endpoint left the Service before it was sent the request",
            Failure::Unprocessed => "the endpoint closed the connection before it took the request",
            Failure::Reset => "the endpoint closed the connection before it answered",
            Failure::BadResponse => "the endpoint's response is malformed",
            Failure::ResponseTooLarge => {
                "the head of the endpoint's response is too large or has too many fields"
            }
            Failure::ProtocolBroken => "the endpoint broke the rules of HTTP/2",
            Failure::Unacknowledged => "the endpoint acknowledged nothing for too long",
            Failure::ResponseTimeout => "the endpoint did not answer in time",
            Failure::GatewayError => "the endpoint said that it cannot serve",
            Failure::Truncated => "the endpoint broke off within its response",
            Failure::Drained => "the endpoint has left the Service, and its time to drain is over",
            Failure::Overdue => "the response did not end in time",
        })
    }
}

impl core::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;

    #[test]
    fn every_failure_has_its_own_code_which_begins_with_its_side() {
        let codes: BTreeSet<_> = Failure::ALL.iter().map(|failure| failure.verdict().code).collect();
        assert_eq!(codes.len(), Failure::ALL.len());
        for failure in Failure::ALL {
            let Verdict { side, code, .. } = failure.verdict();
            let letter = match side {
                Side::Client => 'C',
                Side::Upstream => 'U',
                Side::Mesh => 'M',
            };
            assert!(code.starts_with(letter) && code.len() == 2, "{failure:?} {code}");
        }
    }

    #[test]
    fn what_a_certificate_is_not_valid_for_is_told() {
        let name = "api.example.com";
        for failure in Failure::ALL {
            let told = failure.about(name);
            let Verdict { side, proxy_error, .. } = failure.verdict();
            let is_of_certificate = side == Side::Upstream && proxy_error == "tls_certificate_error";
            assert_eq!(
                (told.contains(name), failure.is_of_certificate()),
                (is_of_certificate, is_of_certificate),
                "{told}"
            );
        }
        assert!(
            Failure::CertificateName.about(name).ends_with("certificate is not valid for api.example.com")
        );
    }

    #[test]
    fn only_an_endpoints_failure_is_tried_elsewhere() {
        for failure in Failure::ALL {
            let Verdict { side, retry, .. } = failure.verdict();
            assert!(retry == Retry::Never || side == Side::Upstream, "{failure:?}");
        }
    }

    #[test]
    fn the_documented_table_is_this_one() {
        let document = include_str!("../../docs/retries.md");
        for failure in Failure::ALL {
            let Verdict { status, retry, code, proxy_error, .. } = failure.verdict();
            let again = match retry {
                Retry::Always => "yes",
                Retry::WhenIdempotent => "if idempotent",
                Retry::Never => "–",
            };
            let row = format!("| `{code}` | {status} | `{proxy_error}` | {again} | {failure} |");
            assert!(document.lines().any(|line| line == row), "docs/retries.md lacks: {row}");
        }
        let rows = document.lines().filter(|line| line.starts_with("| `") && line.matches('|').count() == 6);
        assert_eq!(rows.count(), Failure::ALL.len(), "each row of docs/retries.md is a failure");
    }
}
