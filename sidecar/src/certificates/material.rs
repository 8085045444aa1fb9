//! What one Secret is good for.

use std::fmt;
use std::sync::Arc;

use rustls::RootCertStore;

use super::Validity;
use super::pem::{self, Identity, Part, Unusable};

/// What one Secret is good for: a certificate to show, authorities to believe, both, or nothing that concerns us.
#[derive(Default)]
pub(crate) struct Material {
    pub(super) identity: Option<Arc<Identity>>,
    pub(super) authorities: Option<Arc<RootCertStore>>,
    /// What it was made of, to tell whether it changed.
    source: PemSource,
}

/// The PEM of `tls.crt` with that of `tls.key`, and that of `ca.crt`.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct PemSource {
    pub(crate) pair: Option<(Vec<u8>, Vec<u8>)>,
    pub(crate) authorities: Option<Vec<u8>>,
}

impl Material {
    /// # Errors
    /// All that cannot be used.
    pub(crate) fn read(source: PemSource) -> Result<Material, Vec<Unusable>> {
        let pair = source.pair.as_ref();
        let identity = pair.map(|(certificate, key)| pem::identity(certificate, key)).transpose();
        let authorities = source.authorities.as_deref().map(pem::authorities).transpose();
        match (identity, authorities) {
            (Ok(identity), Ok(authorities)) => Ok(Material {
                identity: identity.map(Arc::new),
                authorities: authorities.map(Arc::new),
                source,
            }),
            (identity, authorities) => Err(identity.err().into_iter().chain(authorities.err()).collect()),
        }
    }
}

impl Material {
    /// When its certificates hold: of a chain the first, whose key is ours, and of the authorities each.
    pub(crate) fn validities(&self) -> Vec<(Part, Validity)> {
        let of = |part, pem: &[u8]| {
            let certificates = pem::certificates(pem).unwrap_or_default();
            let validities = certificates.iter().filter_map(Validity::of);
            validities.map(|validity| (part, validity)).collect::<Vec<_>>()
        };
        let own =
            self.source.pair.iter().flat_map(|(chain, _)| of(Part::Certificate, chain).into_iter().take(1));
        let authorities = self.source.authorities.iter().flat_map(|pem| of(Part::Authorities, pem));
        own.chain(authorities).collect()
    }
}

impl PartialEq for Material {
    fn eq(&self, other: &Material) -> bool {
        self.source == other.source
    }
}

impl Eq for Material {}

/// A log must not learn a key.
impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let identity = self.identity.as_ref().map(|identity| &identity.names);
        let authorities = self.authorities.as_ref().map(|authorities| authorities.len());
        f.debug_struct("Material").field("identity", &identity).field("authorities", &authorities).finish()
    }
}
