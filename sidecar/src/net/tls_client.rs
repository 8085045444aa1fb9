//! TLS that begins here: handshakes with endpoints, and what is kept of them for the next ones.

use std::io;
use std::sync::{Arc, Mutex};

use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig, RootCertStore};
use svc_core::outcome::Failure;
use svc_core::rewrite::Origination;
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::certificates::Certificates;
use crate::sync::lock;

/// What a connection to an endpoint is to carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Payload {
    /// What a client says, as it is: encrypted by itself, or not for us to encrypt.
    Untouched,
    /// What a client says that is no HTTP.
    Bytes,
    /// Requests, in this version.
    Http1,
    /// Requests, in this version.
    Http2,
    /// Requests, in the version that the endpoint prefers.
    Http,
}

impl Payload {
    /// Whether it is encrypted on the way to such an endpoint.
    pub(crate) fn is_encrypted(self, by: &Origination) -> bool {
        match self {
            Payload::Untouched => false,
            Payload::Bytes => by.wraps_bytes,
            Payload::Http1 | Payload::Http2 | Payload::Http => true,
        }
    }

    /// What is offered of it, best first (RFC 7301 §3.1).
    fn protocols(self) -> Vec<Vec<u8>> {
        match self {
            Payload::Untouched | Payload::Bytes => Vec::new(),
            Payload::Http1 => vec![HTTP1.into()],
            Payload::Http2 => vec![HTTP2.into()],
            Payload::Http => vec![HTTP2.into(), HTTP1.into()],
        }
    }
}

/// Whom to believe, where a handshake has to know.
#[derive(Debug, Default)]
pub(crate) struct Trust {
    /// Whom the system believes, read where that is first asked.
    system: OnceCell<Arc<RootCertStore>>,
}

impl Trust {
    /// The authorities for endpoints of a Service.
    ///
    /// # Errors
    /// There is no such Secret, or nobody in it; or the system believes nobody.
    async fn authorities(
        &self,
        by: &Origination,
        known: &Certificates,
    ) -> Result<Arc<RootCertStore>, HandshakeError> {
        match &by.authorities {
            Some(secret) => known.authorities(secret).ok_or_else(|| HandshakeError {
                failure: Failure::AuthoritiesUnknown,
                reason: format!("no Secret \"{secret}\" with a `ca.crt`"),
            }),
            None => self.system.get_or_try_init(system_authorities).await.cloned(),
        }
    }
}

/// Reads some hundred certificates from files, so not on the thread of requests.
async fn system_authorities() -> Result<Arc<RootCertStore>, HandshakeError> {
    let read = tokio::task::spawn_blocking(rustls_native_certs::load_native_certs).await;
    let mut store = RootCertStore::empty();
    let errors = read.map_or_else(
        |error| error.to_string(),
        |found| {
            store.add_parsable_certificates(found.certs);
            found.errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
        },
    );
    match store.is_empty() {
        false => Ok(Arc::new(store)),
        true => Err(HandshakeError {
            failure: Failure::AuthoritiesUnknown,
            reason: format!("the system has no certificates of authorities {errors}"),
        }),
    }
}

/// What all handshakes with the endpoints of a Service port share: locked where one begins.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    latest: Mutex<Option<ClientSettings>>,
}

/// Made anew where other authorities are believed; sessions that the former ones vouched for are then not resumed.
#[derive(Debug)]
struct ClientSettings {
    authorities: Arc<RootCertStore>,
    config: Arc<ClientConfig>,
}

impl Sessions {
    fn config(
        &self,
        authorities: Arc<RootCertStore>,
        payload: Payload,
    ) -> Result<Arc<ClientConfig>, HandshakeError> {
        let mut latest = lock(&self.latest);
        let settings = match latest.take_if(|settings| Arc::ptr_eq(&settings.authorities, &authorities)) {
            Some(settings) => settings,
            None => ClientSettings { config: Arc::new(config(&authorities)?), authorities },
        };
        let shared = &latest.insert(settings).config;
        // Little beside a handshake: all that is dear in it is shared, the sessions too.
        let mut config = ClientConfig::clone(shared);
        config.alpn_protocols = payload.protocols();
        Ok(Arc::new(config))
    }
}

fn config(authorities: &Arc<RootCertStore>) -> Result<ClientConfig, HandshakeError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| HandshakeError::of(&error))?;
    let mut config = builder.with_root_certificates(authorities.clone()).with_no_client_auth();
    config.resumption = Resumption::in_memory_sessions(SESSIONS_MAX);
    Ok(config)
}

/// What is kept for resumption, of each Service port. A port has one name, and a name has at most eight tickets (rustls): 8 × ~2 KiB = 16 KiB.
const SESSIONS_MAX: usize = 8;

/// Why there is no session.
#[derive(Debug)]
pub(crate) struct HandshakeError {
    pub(crate) failure: Failure,
    pub(crate) reason: String,
}

impl HandshakeError {
    fn of(error: &rustls::Error) -> HandshakeError {
        HandshakeError { failure: failure(error), reason: error.to_string() }
    }

    fn of_io(error: &io::Error) -> HandshakeError {
        match error.get_ref().and_then(|cause| cause.downcast_ref()) {
            Some(error) => HandshakeError::of(error),
            None => HandshakeError { failure: Failure::TlsProtocol, reason: error.to_string() },
        }
    }
}

/// What is to be encrypted how, and with what in common.
pub(crate) struct TlsHandshake<'a> {
    pub(crate) by: &'a Origination,
    pub(crate) sessions: &'a Sessions,
    pub(crate) trust: &'a Trust,
    pub(crate) certificates: &'a Certificates,
}

impl TlsHandshake<'_> {
    /// Begins TLS, and makes sure of who answers.
    ///
    /// # Errors
    /// Whoever answers is not who was meant, or no session came about.
    pub(crate) async fn begin(
        &self,
        tcp: TcpStream,
        payload: Payload,
    ) -> Result<TlsStream<TcpStream>, HandshakeError> {
        let authorities = self.trust.authorities(self.by, self.certificates).await?;
        let config = self.sessions.config(authorities, payload)?;
        let name = ServerName::try_from(self.by.name.to_string()).map_err(|error| HandshakeError {
            failure: Failure::CertificateName,
            reason: error.to_string(),
        })?;
        TlsConnector::from(config).connect(name, tcp).await.map_err(|error| HandshakeError::of_io(&error))
    }
}

/// Whether requests are to be sent in HTTP/2 on this session. Who agrees to nothing speaks the older one.
pub(crate) fn is_http2(session: &TlsStream<TcpStream>) -> bool {
    session.get_ref().1.alpn_protocol() == Some(HTTP2)
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "all others are the same to us, those that rustls will add too"
)]
fn failure(error: &rustls::Error) -> Failure {
    if let rustls::Error::InvalidCertificate(why) = error {
        return of_certificate(why);
    }
    match error {
        rustls::Error::NoCertificatesPresented => Failure::CertificateInvalid,
        rustls::Error::AlertReceived(_) => Failure::TlsAlert,
        _ => Failure::TlsProtocol,
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "all others are the same to us, those that rustls will add too"
)]
fn of_certificate(why: &CertificateError) -> Failure {
    use CertificateError::{
        BadSignature, Expired, ExpiredContext, NotValidForName, NotValidForNameContext, NotValidYet,
        NotValidYetContext, UnknownIssuer,
    };
    match why {
        NotValidForName | NotValidForNameContext { .. } => Failure::CertificateName,
        Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. } => {
            Failure::CertificateExpired
        }
        // By somebody of a believed name, with another key: what is left of an authority that was made anew.
        UnknownIssuer | BadSignature => Failure::CertificateUntrusted,
        _ => Failure::CertificateInvalid,
    }
}

const HTTP1: &[u8] = b"http/1.1"; // RFC 7301 §6
const HTTP2: &[u8] = b"h2"; // RFC 9113 §3.2
