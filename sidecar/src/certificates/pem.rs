//! PEM → what TLS needs, or what is wrong with it. No message has a byte of a key in it.

use std::fmt;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use webpki::EndEntityCert;

/// A certificate that we can show, for we have its key.
pub(crate) struct Identity {
    /// With its chain.
    pub(crate) certified: Arc<CertifiedKey>,
    /// The DNS names it is for, in lower case: `shop.example`, `*.shop.example`.
    pub(crate) names: Vec<Box<str>>,
}

/// Which input is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Certificate,
    Key,
    Authorities,
}

/// Why a part cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unusable {
    pub(crate) part: Part,
    pub(crate) reason: String,
}

/// Reads a certificate, which comes first, the rest of its chain, and its key.
///
/// # Errors
/// One of them is missing or malformed, or the key is another certificate's.
pub(crate) fn identity(chain: &[u8], key: &[u8]) -> Result<Identity, Unusable> {
    let of_certificate = |reason| Unusable { part: Part::Certificate, reason };
    let chain = certificates(chain).map_err(of_certificate)?;
    let names = names(&chain[0]).map_err(of_certificate)?;
    let of_key = |reason| Unusable { part: Part::Key, reason };
    let key = private_key(key).map_err(of_key)?;
    let signing = default_provider().key_provider.load_private_key(key);
    let signing = signing.map_err(|_| of_key(UNKNOWN_KEY.into()))?;
    let certified = CertifiedKey::new(chain, signing);
    certified.keys_match().map_err(|_| of_key("it is not the key of the certificate".into()))?;
    Ok(Identity { certified: Arc::new(certified), names })
}

/// Reads the certificates of authorities.
///
/// # Errors
/// There is none, or one is malformed: to leave that one out would refuse its clients without a word.
pub(crate) fn authorities(pem: &[u8]) -> Result<RootCertStore, Unusable> {
    let mut authorities = RootCertStore::empty();
    let of_authorities = |reason| Unusable { part: Part::Authorities, reason };
    for (index, certificate) in certificates(pem).map_err(of_authorities)?.into_iter().enumerate() {
        let added = authorities.add(certificate);
        added.map_err(|error| of_authorities(format!("certificate {}: {error}", index + 1)))?;
    }
    Ok(authorities)
}

/// At least one.
///
/// # Errors
/// There is none, or it is not PEM.
pub(crate) fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let chain = chain.map_err(|_| NOT_PEM.to_owned())?;
    if chain.is_empty() {
        return Err("it has no `BEGIN CERTIFICATE`".into());
    }
    Ok(chain)
}

fn names(certificate: &CertificateDer<'_>) -> Result<Vec<Box<str>>, String> {
    let parsed = EndEntityCert::try_from(certificate).map_err(|error| {
        if matches!(error, webpki::Error::UnsupportedCertVersion) {
            return "the certificate is of X.509 version 1, which names no host: version 3 is needed"
                .to_owned();
        }
        format!("the certificate cannot be read: {error}")
    })?;
    Ok(parsed.valid_dns_names().map(|name| name.to_ascii_lowercase().into()).collect())
}

/// Whether there is a private key that can be used.
///
/// # Errors
/// There is none, it is encrypted, or of a sort that nobody here knows.
pub(crate) fn check_key(pem: &[u8]) -> Result<(), String> {
    let signing = default_provider().key_provider.load_private_key(private_key(pem)?);
    signing.map(drop).map_err(|_| UNKNOWN_KEY.into())
}

fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, String> {
    let mut keys = PrivateKeyDer::pem_slice_iter(pem);
    match keys.next() {
        Some(Ok(key)) => Ok(key),
        Some(Err(_)) => Err(NOT_PEM.into()),
        None if is_encrypted(pem) => {
            Err("the key is encrypted, and nobody is here to type its passphrase".into())
        }
        None => Err("it has no `BEGIN PRIVATE KEY`, nor one of an EC or RSA key".into()),
    }
}

fn is_encrypted(pem: &[u8]) -> bool {
    const BEGIN: &[u8] = b"-----BEGIN ENCRYPTED PRIVATE KEY-----";
    pem.windows(BEGIN.len()).any(|window| window == BEGIN)
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

const NOT_PEM: &str = "it is not PEM: a section has no end, or is no base64";
const UNKNOWN_KEY: &str =
    "the key cannot be used: expected RSA of 2048 bits or more, ECDSA P-256 or P-384, or Ed25519";
