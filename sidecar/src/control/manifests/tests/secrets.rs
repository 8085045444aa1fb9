//! Secrets: what is taken of them, what is said of bad ones, and what is never said.

use data_encoding::BASE64;

use super::*;
use crate::certificates::tests::Authority;

fn secret(kind: &str, entries: &[(&str, &str)]) -> String {
    let entries =
        entries.iter().map(|(name, value)| format!("  {name}: {}\n", BASE64.encode(value.as_bytes())));
    let entries: String = entries.collect();
    format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: web}}\ntype: {kind}\ndata:\n{entries}")
}

fn read(text: &str) -> (Option<Secrets>, Vec<String>) {
    let folder = folder(&[("web.yaml", text)]);
    let mut manifests = open(folder.path());
    assert_eq!(shown(manifests.refresh(&Touched::All)), Vec::<String>::new());
    (manifests.changed_secrets(), reasons(&manifests))
}

fn web(secrets: &Secrets) -> &Arc<Material> {
    &secrets[&SecretName::new("default", "web")]
}

#[test]
fn certificate_key_and_authorities_are_taken() {
    let authority = Authority::new();
    let (certificate, key) = authority.certify(&["shop.example"]);
    let entries = [("tls.crt", &*certificate), ("tls.key", &key), ("ca.crt", &authority.pem())];
    for kind in ["kubernetes.io/tls", "Opaque", "\"\""] {
        let (secrets, reasons) = read(&secret(kind, &entries));
        assert_eq!(reasons, [""; 0]);
        let material = format!("{:?}", web(&secrets.unwrap()));
        assert_eq!(material, r#"Material { identity: Some(["shop.example"]), authorities: Some(1) }"#);
    }
}

#[test]
fn text_in_string_data_comes_before_data_and_block_scalars_are_taken() {
    let pem = Authority::new().pem();
    let lines = |text: &str| text.lines().map(|line| format!("    {line}\n")).collect::<String>();
    let encoded = BASE64.encode(pem.as_bytes());
    let encoded =
        encoded.as_bytes().chunks(64).map(|chunk| format!("    {}\n", String::from_utf8_lossy(chunk)));
    let head = "apiVersion: v1\nkind: Secret\nmetadata: {name: web}\n";
    for text in [
        format!("{head}data:\n  ca.crt: |\n{}", encoded.collect::<String>()),
        format!("{head}data: {{ca.crt: bm8=}}\nstringData:\n  ca.crt: |\n{}", lines(&pem)),
    ] {
        let (secrets, reasons) = read(&text);
        assert_eq!(reasons, [""; 0], "{text}");
        assert_eq!(
            format!("{:?}", web(&secrets.unwrap())),
            "Material { identity: None, authorities: Some(1) }"
        );
    }
}

#[test]
fn entries_of_other_types_and_names_are_not_judged() {
    for text in [
        secret("kubernetes.io/dockerconfigjson", &[("tls.crt", "no")]),
        secret("Opaque", &[("password", "x")]),
        "apiVersion: v1\nkind: Secret\nmetadata: {name: web}".to_owned(),
    ] {
        let (secrets, reasons) = read(&text);
        assert_eq!(reasons, [""; 0]);
        assert_eq!(format!("{:?}", web(&secrets.unwrap())), "Material { identity: None, authorities: None }");
    }
}

#[test]
fn a_bad_entry_is_told_with_its_field_and_never_with_its_value() {
    let (certificate, key) = Authority::new().certify(&["a.example"]);
    let (_, other) = Authority::new().certify(&["a.example"]);
    let plain = |rest: &str| {
        format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: web}}\ntype: kubernetes.io/tls\n{rest}\n")
    };
    let documents = [
        ("empty", secret("kubernetes.io/tls", &[])),
        ("no key", secret("Opaque", &[("tls.crt", &certificate)])),
        ("another's key", secret("kubernetes.io/tls", &[("tls.crt", &certificate), ("tls.key", &other)])),
        ("swapped", secret("kubernetes.io/tls", &[("tls.crt", &key), ("tls.key", &certificate)])),
        ("bad authorities", secret("Opaque", &[("ca.crt", HIDDEN)])),
        ("not base64", plain(&format!("data: {{tls.crt: '{HIDDEN}', tls.key: '{HIDDEN}'}}"))),
        ("numbers", plain("data: {tls.crt: 1, tls.key: [s3cr3t]}")),
        ("no map", plain(&format!("data: '{HIDDEN}'"))),
        ("no map either", plain(&format!("stringData: ['{HIDDEN}']"))),
        ("plain and wrong", plain(&format!("stringData:\n  tls.crt: '{HIDDEN}'\n  tls.key: '{HIDDEN}'"))),
        ("no name", format!("apiVersion: v1\nkind: Secret\nmetadata: {{}}\ndata: {{ca.crt: '{HIDDEN}'}}")),
    ];
    let mut table = String::new();
    for (name, document) in documents {
        let (_, reasons) = read(&document);
        reasons.iter().for_each(|reason| table += &format!("{name}: {reason}\n"));
    }
    assert!(!table.contains("s3cr3t") && !table.contains(&key[40..60]), "{table}");
    insta::assert_snapshot!(table);
}

#[test]
fn a_broken_secret_stays_what_it_was_and_an_equal_one_is_no_change() {
    let authority = Authority::new().pem();
    let good = secret("Opaque", &[("ca.crt", &authority)]);
    let folder = folder(&[("web.yaml", &good)]);
    let mut manifests = open(folder.path());
    let mut write = |text: &str| {
        fs::write(folder.path().join("web.yaml"), text).unwrap();
        manifests.refresh(&touched("web.yaml"));
        (manifests.changed_secrets(), manifests.rejections().len())
    };
    let (first, _) = write(&good);
    assert!(first.is_some());
    assert_eq!(write(&format!("{good}# a comment\n")), (None, 0));
    assert_eq!(write(&secret("Opaque", &[("ca.crt", "no")])), (None, 1));
    let (second, rejected) = write(&secret("Opaque", &[("ca.crt", &Authority::new().pem())]));
    assert!(rejected == 0 && second != first && second.is_some());
    assert_eq!(write(""), (Some(Secrets::new()), 0));
}

const HIDDEN: &str = "s3cr3t, s3cr3t";
