//! Certificates, keys and authorities: the control thread publishes what Secrets hold, handshakes load it.
//!
//! What is loaded is what holds now: a change serves the next handshake, and whoever shook hands before keeps what was agreed then.
//! Until a Secret changes, the same `Arc`s are handed out for it. So who makes something dear of one (a `ClientConfig` of its
//! authorities) keeps that beside the `Arc`, and makes it anew where [`Arc::ptr_eq`] says that it is another.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::RootCertStore;
use svc_core::address::SecretName;

use crate::config::ShownBy;

mod material;
mod pem;
mod terms;
mod validity;

#[cfg(test)]
pub(crate) mod tests;

pub(crate) use material::{Material, PemSource};
pub(crate) use pem::{Identity, Part, Unusable, authorities, certificates, check_key, identity};
pub(crate) use terms::Terms;
pub(crate) use validity::{Validity, seconds_since_1970};

/// What Secrets hold, as it was last read, and what handshakes with clients go by. A Secret that is not valid any more stays what it was when it was.
#[derive(Debug, Default)]
pub(crate) struct Certificates {
    secrets: ArcSwap<Secrets>,
    terms: ArcSwap<BTreeMap<ShownBy, Arc<Terms>>>,
}

/// Each Secret that was read, by name.
pub(crate) type Secrets = BTreeMap<SecretName, Arc<Material>>;

impl Certificates {
    /// Puts `secrets` in force.
    pub(crate) fn publish(&self, secrets: Secrets) {
        self.secrets.store(Arc::new(secrets));
    }

    /// The certificate of a Secret, with its chain and its key (`tls.crt`, `tls.key`): `None` where there is no such Secret, or none in it.
    pub(crate) fn identity(&self, secret: &SecretName) -> Option<Arc<Identity>> {
        self.secrets.load().get(secret)?.identity.clone()
    }

    /// Whose certificates are believed (`ca.crt`): `None` where there is no such Secret, or none in it.
    pub(crate) fn authorities(&self, secret: &SecretName) -> Option<Arc<RootCertStore>> {
        self.secrets.load().get(secret)?.authorities.clone()
    }

    /// What handshakes go by where `shown` is shown: `None` while there is no certificate.
    pub(crate) fn terms(&self, shown: &ShownBy) -> Option<Arc<Terms>> {
        self.terms.load().get(shown).cloned()
    }

    /// Puts `terms` in force. There is one writer, the control thread.
    pub(crate) fn agree(&self, shown: ShownBy, terms: Terms) {
        let mut all = BTreeMap::clone(&self.terms.load());
        all.insert(shown, Arc::new(terms));
        self.terms.store(Arc::new(all));
    }

    /// There is no certificate any more.
    pub(crate) fn withdraw(&self, shown: &ShownBy) {
        let mut all = BTreeMap::clone(&self.terms.load());
        all.remove(shown);
        self.terms.store(Arc::new(all));
    }
}
