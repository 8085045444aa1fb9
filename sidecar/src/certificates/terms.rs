//! What a handshake with a client goes by: which certificate it is shown, whether it must show one, what it may choose from.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::{Ticketer, default_provider};
use rustls::server::{
    ClientHello, ResolvesServerCert, ServerConfig, ServerSessionMemoryCache, WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::{Error, RootCertStore};
use svc_core::protocol::ProtocolHint;

use super::Identity;
use crate::config::TlsPolicy;

/// What a handshake goes by. Made anew whenever a part of it changes, tickets' keys included: nobody resumes what was agreed by other
/// terms, so an authority that is believed no longer lets nobody in.
pub(crate) struct Terms {
    /// For requests: HTTP/2 or HTTP/1.1, as the client prefers.
    http: Arc<ServerConfig>,
    /// For bytes: nothing is said of protocols.
    bytes: Arc<ServerConfig>,
}

impl Terms {
    /// # Errors
    /// The system has no randomness for the tickets' keys, or the policy nothing to choose from.
    pub(crate) fn new(
        identities: &[Arc<Identity>],
        clients: Option<Arc<RootCertStore>>,
        policy: &TlsPolicy,
    ) -> Result<Terms, Error> {
        let provider = CryptoProvider { cipher_suites: policy.suites.clone(), ..default_provider() };
        let provider = Arc::new(provider);
        let versions =
            ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(&policy.versions)?;
        let verifying = match clients {
            None => versions.with_no_client_auth(),
            Some(clients) => {
                let verifier = WebPkiClientVerifier::builder_with_provider(clients, provider).build();
                versions
                    .with_client_cert_verifier(verifier.map_err(|error| Error::General(error.to_string()))?)
            }
        };
        let mut bytes = verifying.with_cert_resolver(Arc::new(Wardrobe::new(identities)));
        bytes.ticketer = Ticketer::new()?;
        bytes.session_storage = ServerSessionMemoryCache::new(SESSIONS_MAX);
        let mut http = bytes.clone();
        http.alpn_protocols = vec![H2.into(), HTTP1.into()];
        Ok(Terms { http: Arc::new(http), bytes: Arc::new(bytes) })
    }

    /// The terms for one client. Where nobody says what the application speaks, a client that names only protocols that we do not know
    /// is given bytes: to insist on HTTP would turn it away.
    pub(crate) fn for_client(&self, hint: ProtocolHint, hello: &ClientHello<'_>) -> Arc<ServerConfig> {
        let offers_http = || match hello.alpn() {
            None => true,
            Some(mut offered) => offered.any(|name| name == H2 || name == HTTP1),
        };
        match hint {
            ProtocolHint::Http1 | ProtocolHint::Http | ProtocolHint::Http2 => self.http.clone(),
            ProtocolHint::Unknown if offers_http() => self.http.clone(),
            ProtocolHint::Unknown | ProtocolHint::Opaque => self.bytes.clone(),
        }
    }
}

/// A log must not learn a key.
impl fmt::Debug for Terms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Terms")
    }
}

/// Certificates by the names that clients ask for.
struct Wardrobe {
    identities: Box<[Arc<CertifiedKey>]>,
    /// By name, and by what follows the `*` of a wildcard: `.shop.example`. Several for one name where their keys are of different kinds.
    by_name: HashMap<Box<str>, Vec<usize>>,
}

impl Wardrobe {
    fn new(identities: &[Arc<Identity>]) -> Wardrobe {
        let mut by_name: HashMap<Box<str>, Vec<usize>> = HashMap::new();
        for (index, identity) in identities.iter().enumerate() {
            for name in &identity.names {
                let key = name.strip_prefix('*').unwrap_or(name);
                by_name.entry(key.into()).or_default().push(index);
            }
        }
        Wardrobe {
            identities: identities.iter().map(|identity| identity.certified.clone()).collect(),
            by_name,
        }
    }

    /// Those for `name`: exactly, else by a wildcard, which stands for one label (RFC 6125 §6.4.3), else the first.
    fn for_name(&self, name: Option<&str>) -> &[usize] {
        let name = name.map(str::to_ascii_lowercase).unwrap_or_default();
        let wildcard = || self.by_name.get(&name[name.find('.')?..]);
        let fitting = self.by_name.get(&*name).filter(|_| !name.is_empty()).or_else(wildcard);
        fitting.map_or(&[0], Vec::as_slice)
    }
}

impl ResolvesServerCert for Wardrobe {
    /// Of several, the first whose key the client can check.
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let fitting =
            self.for_name(hello.server_name()).iter().filter_map(|index| self.identities.get(*index));
        let checkable =
            |shown: &&Arc<CertifiedKey>| shown.key.choose_scheme(hello.signature_schemes()).is_some();
        fitting.clone().find(checkable).or(fitting.clone().next()).cloned()
    }
}

/// A log must not learn a key.
impl fmt::Debug for Wardrobe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wardrobe").field("names", &self.by_name.keys()).finish()
    }
}

const H2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

/// Most clients keep their sessions themselves, in tickets; those of TLS 1.2 that cannot are kept here. One with a client's chain of
/// certificates takes 4 KiB: 1 MiB for each certificate that is shown.
const SESSIONS_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificates::tests::Authority;

    #[test]
    fn a_name_is_served_exactly_else_by_a_wildcard_else_by_the_first() {
        let authority = Authority::new();
        let identity = |names: &[&str]| {
            let (certificate, key) = authority.certify(names);
            Arc::new(crate::certificates::identity(certificate.as_bytes(), key.as_bytes()).ok().unwrap())
        };
        let wardrobe = Wardrobe::new(&[
            identity(&["first.example"]),
            identity(&["*.shop.example", "shop.example"]),
            identity(&["cart.shop.example", "shop.example"]),
        ]);
        for (name, expected) in [
            (None, &[0][..]),
            (Some("first.example"), &[0]),
            (Some("cart.shop.example"), &[2]),
            (Some("CART.shop.example"), &[2]),
            (Some("pay.shop.example"), &[1]),
            (Some("a.pay.shop.example"), &[0]),
            (Some("shop.example"), &[1, 2]),
            (Some("unknown.example"), &[0]),
            (Some("localhost"), &[0]),
            (Some(""), &[0]),
        ] {
            assert_eq!(wardrobe.for_name(name), expected, "{name:?}");
        }
    }
}
