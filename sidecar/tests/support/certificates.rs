//! Certificates that nobody else believes.

use std::cell::Cell;
use std::fs;
use std::os::unix::fs::symlink;
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

/// A Secret in a pod's file system, as the kubelet mounts it: each file is a link through `..data`, which is swapped in one step.
pub(crate) struct Mount {
    folder: TempDir,
    version: Cell<u32>,
}

impl Mount {
    pub(crate) fn of(pair: &Pair) -> Mount {
        let mount = Mount { folder: folder(), version: Cell::new(0) };
        mount.swap(pair);
        for name in ["tls.crt", "tls.key"] {
            symlink(format!("..data/{name}"), mount.folder.path().join(name)).expect("the folder is ours");
        }
        mount
    }

    /// Makes `pair` what the mount holds.
    pub(crate) fn swap(&self, pair: &Pair) {
        self.version.set(self.version.get() + 1);
        let version = format!("..{}", self.version.get());
        let folder = self.folder.path();
        fs::create_dir(folder.join(&version)).expect("the folder is ours");
        fs::write(folder.join(&version).join("tls.crt"), &pair.certificate).expect("the folder is ours");
        fs::write(folder.join(&version).join("tls.key"), &pair.key).expect("the folder is ours");
        symlink(version, folder.join("..new")).expect("the folder is ours");
        fs::rename(folder.join("..new"), folder.join("..data")).expect("a rename within one folder");
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }
}

fn key() -> KeyPair {
    KeyPair::generate().expect("the system has randomness")
}
