//! Follows the files of `--tls-cert`, `--tls-key` and `--tls-client-ca`, and makes of them and of Secrets what handshakes go by.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{error, fmt};

use rustls::RootCertStore;
use svc_core::inventory::Rejection;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::manifests::FolderWatch;
use crate::certificates::{Certificates, Identity, Part, Terms, authorities, identity};
use crate::config::{Config, ShownBy, TlsSettings};

/// The keeper of what clients are shown.
pub(crate) struct CertificateWatcher {
    tls: TlsSettings,
    /// Which certificates doors show.
    shown: BTreeSet<ShownBy>,
    pairs: Vec<KeyPairFiles>,
    clients: Option<LastGood<Vec<u8>, RootCertStore>>,
    /// What each of `shown` is made of at the moment.
    made_of: BTreeMap<ShownBy, Parts>,
    troubles: Vec<Rejection>,
    touched: Arc<Notify>,
    _watches: JoinSet<()>,
}

/// What [`Terms`] are made of.
struct Parts {
    identities: Vec<Arc<Identity>>,
    clients: Option<Arc<RootCertStore>>,
}

/// A certificate with the texts of its two files.
type KeyPairFiles = LastGood<(Vec<u8>, Vec<u8>), Identity>;

/// A value as it was when its files were last good.
struct LastGood<S, T> {
    source: S,
    value: Arc<T>,
}

impl CertificateWatcher {
    /// Reads the files once.
    ///
    /// # Errors
    /// One of them cannot be read, or not be used: whoever asks for TLS must not get less.
    pub(crate) fn start(config: &Config) -> Result<CertificateWatcher, UnusableFile> {
        let tls = config.tls.clone();
        let touched = Arc::new(Notify::new());
        let watches = watch(&tls, &touched); // before they are read, so that nothing falls between
        let pairs = tls.pairs.iter().map(read_pair).collect::<Result<_, _>>()?;
        let clients = tls.client_ca.as_deref().map(read_authorities).transpose()?;
        let mapped = config.listeners.inbound_map.iter().filter_map(|mapping| mapping.tls.clone());
        let captured = (!tls.ports.is_empty()).then_some(ShownBy::Files);
        Ok(CertificateWatcher {
            shown: mapped.chain(captured).collect(),
            tls,
            pairs,
            clients,
            made_of: BTreeMap::new(),
            troubles: Vec::new(),
            touched,
            _watches: watches,
        })
    }

    /// Waits until a file was touched. May be dropped at any time.
    pub(crate) async fn touched(&self) {
        self.touched.notified().await;
    }

    /// Reads the files again. What cannot be used stays as it was. Tells whether anything changed for the better or the worse.
    pub(crate) fn reload(&mut self) -> Reloaded {
        let (mut changed, mut troubles) = (false, Vec::new());
        for (pair, held) in self.tls.pairs.iter().zip(&mut self.pairs) {
            renew(held, read_pair(pair), &mut changed, &mut troubles);
        }
        if let (Some(path), Some(held)) = (self.tls.client_ca.as_deref(), &mut self.clients) {
            renew(held, read_authorities(path), &mut changed, &mut troubles);
        }
        let refused = !troubles.is_empty() && troubles != self.troubles;
        self.troubles = troubles;
        Reloaded { changed, refused }
    }

    /// What is in force instead of what the files say now.
    pub(crate) fn rejections(&self) -> impl Iterator<Item = &Rejection> {
        self.troubles.iter()
    }

    /// Puts in force what follows from the files and from Secrets. What is made of the same things stays the same.
    pub(crate) fn publish(&mut self, certificates: &Certificates) {
        for shown in &self.shown {
            let now = Parts {
                identities: self.identities(shown, certificates),
                clients: self.clients.as_ref().map(|held| held.value.clone()),
            };
            if self.made_of.get(shown).is_some_and(|before| before.is_same(&now)) {
                continue;
            }
            let identities = &now.identities;
            if identities.is_empty() {
                tracing::warn!(certificate = %CertificateName(shown), "there is no certificate to show: clients are turned away");
                certificates.withdraw(shown);
            } else {
                match Terms::new(identities, now.clients.clone(), &self.tls.policy) {
                    Ok(terms) => certificates.agree(shown.clone(), terms),
                    Err(error) => {
                        tracing::error!(certificate = %CertificateName(shown), %error, "cannot make anything of a certificate");
                        continue;
                    }
                }
                tracing::info!(certificate = %CertificateName(shown), names = ?names(identities), "certificate in force");
            }
            self.made_of.insert(shown.clone(), now);
        }
    }

    fn identities(&self, shown: &ShownBy, certificates: &Certificates) -> Vec<Arc<Identity>> {
        match shown {
            ShownBy::Files => self.pairs.iter().map(|held| held.value.clone()).collect(),
            ShownBy::Secret(secret) => certificates.identity(secret).into_iter().collect(),
        }
    }
}

/// What came of reading the files again.
pub(crate) struct Reloaded {
    pub(crate) changed: bool,
    /// Something cannot be used that was not told before.
    pub(crate) refused: bool,
}

fn renew<S: PartialEq, T>(
    held: &mut LastGood<S, T>,
    read: Result<LastGood<S, T>, UnusableFile>,
    changed: &mut bool,
    troubles: &mut Vec<Rejection>,
) {
    match read {
        Ok(new) if new.source == held.source => {}
        Ok(new) => {
            *held = new;
            *changed = true;
        }
        Err(unreadable) => troubles.push(unreadable.rejection()),
    }
}

impl Parts {
    fn is_same(&self, now: &Parts) -> bool {
        let identities = self.identities.iter().zip(&now.identities);
        let clients = match (&self.clients, &now.clients) {
            (None, None) => true,
            (Some(before), Some(now)) => Arc::ptr_eq(before, now),
            (None, Some(_)) | (Some(_), None) => false,
        };
        clients && self.identities.len() == now.identities.len() && { identities }
            .all(|(before, now)| Arc::ptr_eq(before, now))
    }
}

fn names(identities: &[Arc<Identity>]) -> Vec<&str> {
    identities.iter().flat_map(|identity| identity.names.iter().map(|name| &**name)).collect()
}

/// How messages name a certificate.
struct CertificateName<'a>(&'a ShownBy);

impl fmt::Display for CertificateName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            ShownBy::Files => f.write_str("--tls-cert"),
            ShownBy::Secret(secret) => write!(f, "Secret \"{secret}\""),
        }
    }
}

fn read_pair((certificate, key): &(PathBuf, PathBuf)) -> Result<KeyPairFiles, UnusableFile> {
    let source = (read(CERTIFICATE, certificate)?, read(KEY, key)?);
    match identity(&source.0, &source.1) {
        Ok(identity) => Ok(LastGood { source, value: Arc::new(identity) }),
        Err(unusable) => {
            let (flag, path) = match unusable.part {
                Part::Key => (KEY, key),
                Part::Certificate | Part::Authorities => (CERTIFICATE, certificate),
            };
            Err(UnusableFile::new(flag, path, unusable.reason))
        }
    }
}

fn read_authorities(path: &Path) -> Result<LastGood<Vec<u8>, RootCertStore>, UnusableFile> {
    let source = read(CLIENT_CA, path)?;
    let read =
        authorities(&source).map_err(|unusable| UnusableFile::new(CLIENT_CA, path, unusable.reason))?;
    Ok(LastGood { source, value: Arc::new(read) })
}

fn read(flag: &'static str, path: &Path) -> Result<Vec<u8>, UnusableFile> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes));
    match read {
        Ok(_) if bytes.len() as u64 > FILE_BYTES_MAX => {
            Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than 1 MiB"))
        }
        Ok(_) => Ok(bytes),
        Err(error) => Err(error),
    }
    .map_err(|error| UnusableFile::new(flag, path, error.to_string()))
}

/// Tells `touched` of what happens in the folders of the files.
fn watch(tls: &TlsSettings, touched: &Arc<Notify>) -> JoinSet<()> {
    let pairs = tls.pairs.iter().flat_map(|(certificate, key)| [certificate, key]);
    let mut watches = JoinSet::new();
    for mut watch in FolderWatch::files(pairs.chain(&tls.client_ca)) {
        let touched = touched.clone();
        watches.spawn(async move {
            loop {
                watch.touched().await;
                touched.notify_one();
            }
        });
    }
    watches
}

/// A file that cannot be used.
#[derive(Debug)]
pub(crate) struct UnusableFile {
    flag: &'static str,
    path: PathBuf,
    reason: String,
}

impl UnusableFile {
    fn new(flag: &'static str, path: &Path, reason: String) -> UnusableFile {
        UnusableFile { flag, path: path.to_owned(), reason }
    }

    fn rejection(self) -> Rejection {
        let (object, file) = (self.flag.to_owned(), self.path.display().to_string());
        Rejection { object, file, reason: format!("{}; what was read before stays in force", self.reason) }
    }
}

impl fmt::Display for UnusableFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}`: {}", self.flag, self.path.display(), self.reason)
    }
}

impl error::Error for UnusableFile {}

const CERTIFICATE: &str = "--tls-cert";
const KEY: &str = "--tls-key";
const CLIENT_CA: &str = "--tls-client-ca";

/// As much as a Secret may hold: some five hundred authorities.
const FILE_BYTES_MAX: u64 = 1 << 20;
