//! Certificates that nobody else believes.

use std::fs;
use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;

use super::process::folder;

/// An authority, and a folder for the files of what it signs.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

/// A certificate and its key, as PEM.
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new() -> Authority {
        let mut params = CertificateParams::new([]).expect("no name is a bad one");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "an authority of a test");
        let issuer = CertifiedIssuer::self_signed(params, key());
        Authority { issuer: issuer.expect("the key can sign"), folder: folder() }
    }

    /// Its own certificate, as PEM.
    pub(crate) fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A certificate for `names`, whose subject is the first of them.
    pub(crate) fn certify(&self, names: &[&str]) -> Pair {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names.clone()).expect("names of tests are names");
        params.distinguished_name.push(DnType::CommonName, &names[0]);
        let key = key();
        let certificate = params.signed_by(&key, &self.issuer).expect("the authority can sign");
        Pair { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    /// The path of its own certificate.
    pub(crate) fn file(&self) -> String {
        self.write("ca.pem", &self.pem())
    }

    /// The paths of a certificate for `names` and of its key: `NAME.pem`, `NAME.key`.
    pub(crate) fn files(&self, name: &str, names: &[&str]) -> [String; 2] {
        let pair = self.certify(names);
        [self.write(&format!("{name}.pem"), &pair.certificate), self.write(&format!("{name}.key"), &pair.key)]
    }

    /// Makes or replaces a file in one step.
    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        let (hidden, path) = (self.path(&format!(".{name}")), self.path(name));
        fs::write(&hidden, text).expect("the folder is ours");
        fs::rename(hidden, &path).expect("a rename within one folder");
        path.display().to_string()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

fn key() -> KeyPair {
    KeyPair::generate().expect("the system has randomness")
}
