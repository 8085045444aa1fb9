//! PEM as people have it, right and wrong.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, Issuer, KeyPair};

use super::*;

/// An authority for tests.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Authority {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// The PEM of a certificate for `names`, and that of its key.
    pub(crate) fn certify(&self, names: &[&str]) -> (String, String) {
        self.certify_until(names, (4096, 1, 1))
    }

    /// The same of one that ends with the beginning of a day.
    pub(crate) fn certify_until(
        &self,
        names: &[&str],
        (year, month, day): (i32, u8, u8),
    ) -> (String, String) {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let key = KeyPair::generate().unwrap();
        let issuer: &Issuer<'_, KeyPair> = &self.0;
        let mut asked = CertificateParams::new(names).unwrap();
        asked.not_after = rcgen::date_time_ymd(year, month, day);
        let certificate = asked.signed_by(&key, issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}

fn unusable(read: Result<Identity, Unusable>) -> (Part, String) {
    let Unusable { part, reason } = read.err().expect("it cannot be used");
    (part, reason)
}

#[test]
fn a_certificate_comes_with_its_chain_and_knows_its_names() {
    let authority = Authority::new();
    let (certificate, key) = authority.certify(&["Shop.example", "*.shop.example"]);
    let chain = format!("a comment\n{certificate}{}", authority.pem());
    let identity = identity(chain.as_bytes(), key.as_bytes()).ok().unwrap();
    assert_eq!(identity.certified.cert.len(), 2);
    assert_eq!(identity.names, ["shop.example".into(), "*.shop.example".into()] as [Box<str>; 2]);
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let authority = Authority::new();
    let ((certificate, _), (_, key)) = (authority.certify(&["a.example"]), authority.certify(&["a.example"]));
    let read = unusable(identity(certificate.as_bytes(), key.as_bytes()));
    assert_eq!(read, (Part::Key, "it is not the key of the certificate".to_owned()));
}

#[test]
fn what_cannot_be_used_says_which_part_and_why() {
    let (certificate, key) = Authority::new().certify(&["a.example"]);
    let cut = &certificate[..certificate.len() / 2];
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let noise = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let noise_key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    for (chain, key, part, why) in [
        ("", &*key, Part::Certificate, "no `BEGIN CERTIFICATE`"),
        (&*key, &*key, Part::Certificate, "no `BEGIN CERTIFICATE`"),
        (cut, &*key, Part::Certificate, "not PEM"),
        (noise, &*key, Part::Certificate, "cannot be read"),
        (&*certificate, "", Part::Key, "no `BEGIN PRIVATE KEY`"),
        (&*certificate, &*certificate, Part::Key, "no `BEGIN PRIVATE KEY`"),
        (&*certificate, encrypted, Part::Key, "is encrypted"),
        (&*certificate, noise_key, Part::Key, "cannot be used"),
    ] {
        let (blamed, reason) = unusable(identity(chain.as_bytes(), key.as_bytes()));
        assert!(blamed == part && reason.contains(why), "{part:?} {why:?}: {blamed:?} {reason}");
    }
}

#[test]
fn one_bad_authority_spoils_all() {
    let good = Authority::new().pem();
    assert_eq!(authorities(format!("{good}{}", Authority::new().pem()).as_bytes()).unwrap().len(), 2);
    let bad = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let unusable = authorities(format!("{good}{bad}").as_bytes()).err().unwrap();
    assert_eq!(unusable.part, Part::Authorities);
    assert!(unusable.reason.starts_with("certificate 2: "), "{unusable}");
}

#[test]
fn a_secret_that_says_the_same_is_the_same_and_shows_no_key() {
    let (certificate, key) = Authority::new().certify(&["a.example"]);
    let pair = Some((certificate.into_bytes(), key.clone().into_bytes()));
    let read = |authorities| Material::read(PemSource { pair: pair.clone(), authorities });
    let (one, same) = (read(None).unwrap(), read(None).unwrap());
    assert!(one == same && one != read(Some(Authority::new().pem().into_bytes())).unwrap());
    assert_eq!(format!("{one:?}"), r#"Material { identity: Some(["a.example"]), authorities: None }"#);
}
