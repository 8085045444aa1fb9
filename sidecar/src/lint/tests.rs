//! What is found in files as people have them.

use std::fs;

use data_encoding::{BASE64, BASE64URL_NOPAD};
use tempfile::TempDir;

use super::*;
use crate::certificates::tests::Authority;
use crate::config::Output;

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

/// The lines that are told of a folder of these files, with its path taken away.
fn told(files: &[(&str, &str)]) -> Vec<String> {
    let folder = folder(files);
    let report = lint(&[folder.path().to_owned()], &Rules::default());
    let text = report.show(Output::Text).replace(&format!("{}/", folder.path().display()), "");
    text.lines().map(str::to_owned).collect()
}

const SERVICE: &str =
    "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec:\n  ports:\n  - {name: http, port: 80}\n";

#[test]
fn what_is_right_is_told_to_be() {
    assert_eq!(
        told(&[("web.yaml", SERVICE), ("a/web.yaml", SERVICE)]),
        ["2 files, 2 objects: 0 errors, 0 warnings"]
    );
}

#[test]
fn every_finding_has_its_file_and_line() {
    let slice = "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\naddressType: IPv4\n\
                 metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}\nports:\n- name: htp\n  port: 80\n\
                 endpoints:\n- addresses: [10.0.0.1, 10.0.0.2]\n";
    let bad = "apiVersion: v1\nkind: Service\nmetadata:\n  name: bad\n  anotations: {}\nspec:\n  type: ClusterIP\n  type: Cluster\n  \
               ports:\n  - port: 0\n---\nkind: [\n---\napiVersion: v1\nkind: service\n";
    assert_eq!(
        told(&[("a.yaml", SERVICE), ("b.yaml", bad), ("c.yaml", slice), ("d.yaml", SERVICE)]),
        [
            "b.yaml:5: error: Service \"default/bad\": metadata.anotations: no such field; did you mean `metadata.annotations`?",
            "b.yaml:8: error: Service \"default/bad\": spec.type: Unsupported value: \"Cluster\": supported values: \"ClusterIP\", \
             \"ExternalName\", \"LoadBalancer\", \"NodePort\"",
            "b.yaml:8: warning: Service \"default/bad\": spec.type: the key is given more than once, and its last value counts",
            "b.yaml:10: error: Service \"default/bad\": spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
            "b.yaml:12: error: unclosed bracket '['",
            "b.yaml:15: error: no kind \"service\" in the version \"v1\"; did you mean \"Service\" of the version \"v1\"? It is passed over",
            "c.yaml:6: warning: EndpointSlice \"default/web-1\": ports[0].name: a port \"htp\" is none of Service \"default/web\", which has \
             \"http\": it serves nobody",
            "c.yaml:9: warning: EndpointSlice \"default/web-1\": endpoints[0].addresses[1]: \"10.0.0.2\" and what follows is not used: the \
             addresses of one endpoint are taken for the same, as kube-proxy does; write an endpoint for each",
            "d.yaml:3: error: Service \"default/web\": already in a.yaml:1, and the first serves",
            "4 files, 4 objects: 6 errors, 3 warnings",
        ]
    );
}

#[test]
fn lists_in_lists_and_objects_without_a_name_are_told_where_they_stand() {
    let list = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: List\n  items: []\n- apiVersion: v1\n  kind: Service\n  metadata:\n    \
                labels: {a: b}\n  spec:\n    ports:\n    - port: 0\n";
    assert_eq!(
        told(&[("a.yaml", list)]),
        [
            "a.yaml:5: warning: a list in a list: its items are passed over",
            "a.yaml:9: error: Service: metadata.name: Required value: name or generateName is required",
            "a.yaml:13: error: Service: spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
            "1 file, 0 objects: 2 errors, 1 warning",
        ]
    );
}

#[test]
fn programs_get_each_part_of_a_finding_by_itself() {
    let folder = folder(&[(
        "a.yaml",
        "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec:\n  ports: [{port: 0}]\n",
    )]);
    let report = lint(&[folder.path().join("a.yaml")], &Rules::default());
    let json: serde_json::Value = serde_json::from_str(&report.show(Output::Json)).unwrap();
    let expected = serde_json::json!({
        "files": 1, "objects": 1, "errors": 1, "warnings": 0,
        "findings": [{
            "file": folder.path().join("a.yaml").display().to_string(), "line": 5, "severity": "error",
            "object": "Service \"default/web\"", "field": "spec.ports[0].port", "value": 0,
            "expected": "must be between 1 and 65535, inclusive",
            "message": "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
        }],
    });
    assert_eq!(json, expected);
    assert!(!report.is_clean(false));
}

#[test]
fn warnings_are_faults_only_where_they_are_to_be() {
    let folder = folder(&[("a.yaml", &format!("{SERVICE}kind: Service\n"))]);
    let report = lint(&[folder.path().to_owned()], &Rules::default());
    assert!(report.is_clean(false) && !report.is_clean(true), "{report:?}");
}

#[test]
fn what_is_not_there_is_a_fault() {
    let report = lint(&["/no/such".into()], &Rules::default());
    assert!(report.show(Output::Text).starts_with("/no/such:1: error: cannot be read: "));
}

#[test]
fn certificates_are_looked_at_with_the_keys_beside_them() {
    let (certificate, key) = Authority::new().certify(&["a.example"]);
    let (_, other) = Authority::new().certify(&["a.example"]);
    assert_eq!(
        told(&[("tls.crt", &certificate), ("tls.key", &key), ("ca.crt", &Authority::new().pem())])[0],
        "3 files, 0 objects: 0 errors, 0 warnings"
    );
    assert_eq!(
        told(&[("web.pem", &[&*certificate, &key].concat())])[0],
        "1 file, 0 objects: 0 errors, 0 warnings"
    );
    let found = told(&[
        ("a.crt", &certificate),
        ("a.key", &other),
        ("b.pem", &[&*certificate, &other].concat()),
        ("c.crt", "-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----\n"),
        ("d.key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
        ("e.pem", "nothing"),
    ]);
    let starts = [
        "a.crt:1: error: the key in a.key: it is not the key",
        "b.pem:",
        "c.crt:1: error: ",
        "d.key:1: error: the key cannot be used",
        "e.pem:1: error: there is neither",
    ];
    assert_eq!(found.len(), starts.len() + 1, "{found:?}");
    for (line, start) in found.iter().zip(starts) {
        assert!(line.starts_with(start), "{line}");
    }
}

#[test]
fn certificates_that_have_expired_are_faults_in_files_and_in_secrets() {
    let (certificate, key) = Authority::new().certify_until(&["a.example"], (2020, 9, 13));
    let entry = |text: &str| BASE64.encode(text.as_bytes());
    let secret = format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: web}}\ntype: kubernetes.io/tls\ndata:\n  tls.key: {}\n  tls.crt: {}\n",
        entry(&key),
        entry(&certificate)
    );
    assert_eq!(
        told(&[("old.crt", &certificate), ("secret.yaml", &secret)]),
        [
            "old.crt:1: error: the certificate has expired on 2020-09-13",
            "secret.yaml:7: error: Secret \"default/web\": data[tls.crt]: the certificate has expired on 2020-09-13",
            "2 files, 1 object: 2 errors, 0 warnings",
        ]
    );
}

#[test]
fn tokens_open_something_and_nothing_of_them_is_told() {
    let jwt = |claims: &str| {
        let part = |text: &str| BASE64URL_NOPAD.encode(text.as_bytes());
        format!("{}.{}.{}", part("{}"), part(claims), part("x"))
    };
    assert_eq!(
        told(&[("token", "secret\n"), ("a.token", &jwt(r#"{"exp": 9999999999}"#))])[0],
        "2 files, 0 objects: 0 errors, 0 warnings"
    );
    let found = told(&[
        ("a.token", "\n"),
        ("b.token", "two words"),
        ("c.token", &"x".repeat(4097)),
        ("d.token", &jwt(r#"{"exp": 1}"#)),
    ]);
    for (line, part) in found.iter().zip(["is empty", "visible ASCII", "larger than 4096", "has expired"]) {
        assert!(line.contains(part) && !line.contains("words"), "{line}");
    }
    assert_eq!(found.len(), 5);
}

/// The content of the fenced blocks of `language` on the page about manifests.
fn blocks(language: &str) -> Vec<&'static str> {
    let page = include_str!("../../../docs/manifests.md");
    let fence = format!("```{language}\n");
    page.split(&*fence).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

#[test]
fn the_page_about_manifests_shows_what_is_told() {
    let [manifest] = *blocks("yaml") else { panic!("one example") };
    let expected = blocks("text").into_iter().last().unwrap();
    assert_eq!(told(&[("shop.yaml", manifest)]).join("\n") + "\n", expected);
}
