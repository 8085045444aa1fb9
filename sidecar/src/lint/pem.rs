//! Files of certificates and of keys, and whether the two go together.

use rustls::pki_types::CertificateDer;

use super::files::{FileSort, ReadFile};
use crate::certificates::{Part, Validity, authorities, certificates, check_key, identity};
use crate::control::manifests::{Finding, Severity};

/// What is wrong with `file`; `beside` are the files of its folder, among which its key may be.
pub(super) fn check(file: &ReadFile, beside: &[ReadFile], now: i64) -> Vec<Finding> {
    let own = PemSections::of(&file.bytes);
    let mut found = Vec::new();
    if own.certificates.is_empty() && own.key.is_none() {
        return vec![at(
            1,
            Severity::Error,
            "there is neither a certificate nor a private key in it, in PEM".into(),
        )];
    }
    if !own.certificates.is_empty() {
        found.extend(check_certificates(&file.bytes, &own, now));
    }
    if let Some(line) = own.key {
        found.extend(check_key(&file.bytes).err().map(|reason| at(line, Severity::Error, reason)));
    }
    if !found.iter().any(|finding| finding.severity == Severity::Error) {
        found.extend(check_pair(file, &own, beside));
    }
    found
}

/// The lines on which sections begin.
struct PemSections {
    certificates: Vec<usize>,
    key: Option<usize>,
}

impl PemSections {
    fn of(bytes: &[u8]) -> PemSections {
        let (mut certificates, mut key) = (Vec::new(), None);
        for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            if line.starts_with(b"-----BEGIN CERTIFICATE-----") {
                certificates.push(index + 1);
            } else if line.starts_with(b"-----BEGIN ") && line.trim_ascii_end().ends_with(b"PRIVATE KEY-----")
            {
                key = key.or(Some(index + 1));
            }
        }
        PemSections { certificates, key }
    }
}

fn check_certificates(bytes: &[u8], own: &PemSections, now: i64) -> Vec<Finding> {
    let first = own.certificates[0];
    let chain = match certificates(bytes) {
        Ok(chain) => chain,
        Err(reason) => return vec![at(first, Severity::Error, reason)],
    };
    if let Err(unusable) = authorities(bytes) {
        return vec![at(first, Severity::Error, unusable.reason)];
    }
    let lines = own.certificates.iter().copied().chain(std::iter::repeat(first));
    chain.iter().zip(lines).filter_map(|(certificate, line)| check_validity(certificate, line, now)).collect()
}

fn check_validity(certificate: &CertificateDer<'_>, line: usize, now: i64) -> Option<Finding> {
    let Some(validity) = Validity::of(certificate) else {
        return Some(at(line, Severity::Error, "the certificate does not say when it holds".into()));
    };
    let text = validity.warning(now)?;
    let severity = if validity.holds(now) { Severity::Warning } else { Severity::Error };
    Some(at(line, severity, format!("the certificate {text}")))
}

/// A certificate and a key in one file, or in two of the same name (`web.crt` and `web.key`).
fn check_pair(file: &ReadFile, own: &PemSections, beside: &[ReadFile]) -> Option<Finding> {
    let first = *own.certificates.first()?;
    let is_key = |other: &&ReadFile| {
        let is_other = other.path != file.path && other.path.file_stem() == file.path.file_stem();
        is_other && other.sort() == FileSort::Pem && PemSections::of(&other.bytes).key.is_some()
    };
    let (key, line) = match own.key {
        Some(line) => (file, line),
        None => (beside.iter().find(is_key)?, first),
    };
    let unusable = identity(&file.bytes, &key.bytes).err()?;
    let reason = match (unusable.part, own.key) {
        (Part::Key, None) => format!("the key in {}: {}", key.name(), unusable.reason),
        (Part::Key | Part::Certificate | Part::Authorities, _) => unusable.reason,
    };
    Some(at(line, Severity::Error, reason))
}

fn at(line: usize, severity: Severity, message: String) -> Finding {
    Finding { line, ..Finding::whole(severity, message) }
}
