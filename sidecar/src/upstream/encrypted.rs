//! An endpoint that wants TLS: how a connection to it is opened, and what it agrees to speak there.

use hyper::Version;
use svc_core::outcome::Failure;
use svc_core::rewrite::Origination;

use super::dialer::Dialer;
use super::outbound_proxy_header::OutboundProxyHeader;
use super::rewrite::UpstreamProtocol;
use super::{Http1, Http2, Upstream};
use crate::clock::timeout;
use crate::net::stream::Stream;
use crate::net::tls_client::{self, HandshakeError, Payload, TlsHandshake};

/// How what a connection carries is encrypted.
type Encryption<'a> = (&'a UpstreamProtocol, &'a Origination);

impl Upstream {
    /// How what a connection carries is encrypted, if it is.
    pub(super) fn encryption(&self, payload: Payload) -> Option<Encryption<'_>> {
        let speech = self.speech.as_deref()?;
        let by = speech.rewrite.tls.as_ref().filter(|by| payload.is_encrypted(by))?;
        Some((speech, by))
    }

    /// Opens a connection and shakes hands, both within `--connect-timeout`.
    pub(super) async fn encrypt(
        &self,
        (speech, by): Encryption<'_>,
        payload: Payload,
        outbound_header: Option<&OutboundProxyHeader>,
        dialer: &Dialer,
    ) -> Result<Stream, Failure> {
        let opening = async {
            let tcp = self.connect(outbound_header, dialer).await?;
            let shared = &dialer.shared;
            let (sessions, trust, certificates) = (&self.port.sessions, &shared.trust, &*shared.certificates);
            let begun = TlsHandshake { by, sessions, trust, certificates }.begin(tcp, payload).await;
            begun.map_err(|broken| {
                self.tell(speech, by, &broken);
                broken.failure
            })
        };
        let opened = timeout(dialer.config.deadlines.connect, opening).await;
        let session =
            opened.unwrap_or(Err(Failure::ConnectTimeout)).inspect_err(|_| speech.agreed.set(None))?;
        speech.proxy_header.set(None);
        let version = if tls_client::is_http2(&session) { Version::HTTP_2 } else { Version::HTTP_11 };
        match (payload, version) {
            (Payload::Http, _) => speech.agreed.set(Some(version)),
            (Payload::Http2, Version::HTTP_11) => return Err(Upstream::disagrees(speech)),
            (Payload::Untouched | Payload::Bytes | Payload::Http1 | Payload::Http2, _) => {}
        }
        Ok(Stream::secured(session.into()))
    }

    /// An endpoint that spoke HTTP/2 does not do so any more: whoever comes next asks it anew. Else it never did.
    fn disagrees(speech: &UpstreamProtocol) -> Failure {
        match speech.agreed.take() {
            Some(_) => Failure::Unprocessed,
            None => Failure::TlsProtocol,
        }
    }

    /// Says once of each kind why there is no session, until there is one: for whoever has to mend it.
    fn tell(&self, speech: &UpstreamProtocol, by: &Origination, broken: &HandshakeError) {
        let (service, endpoint, name) = (&self.of.0, self.addr, &*by.name);
        let HandshakeError { failure, reason } = broken;
        let known = speech.proxy_header.replace(Some(*failure)) == Some(*failure);
        match known {
            false => tracing::warn!(%service, %endpoint, name, %failure, reason, "no TLS with an endpoint"),
            true => tracing::debug!(%service, %endpoint, name, %failure, reason, "no TLS with an endpoint"),
        }
    }

    /// The version that the endpoint prefers, which its handshake says; `wanted` where there is none. The connection that it took to find out
    /// is for whoever asked, unless it is a shared one.
    pub(crate) async fn agree(
        &self,
        wanted: Version,
        dialer: &Dialer,
    ) -> Result<(Version, Option<Box<Http1>>), Failure> {
        let Some((speech, _)) = self.encryption(Payload::Http) else { return Ok((wanted, None)) };
        if let Some(version) = speech.agreed.get() {
            return Ok((version, None));
        }
        let _opening = self.pool.opening.lock().await;
        if let Some(version) = speech.agreed.get() {
            return Ok((version, None));
        }
        let io = self.open(Payload::Http, dialer).await?;
        match speech.agreed.get() {
            Some(Version::HTTP_2) => {
                self.share(Http2::handshake(io).await?);
                Ok((Version::HTTP_2, None))
            }
            Some(_) | None => Ok((Version::HTTP_11, Some(Http1::new(io)))),
        }
    }
}
