use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn parsed(json: &str) -> Value {
    serde_json::from_str(json).unwrap_or_else(|error| panic!("{json}: {error}"))
}

/// The plain reader answers, and as the general one does.
#[track_caller]
fn check(document: &str) {
    let json = plain(document).unwrap_or_else(|| panic!("declined: {document}"));
    assert_eq!(parsed(&json), parsed(&general(document).unwrap()), "{document}");
}

#[test]
fn what_kubectl_prints_is_plain() {
    check(
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: web\n  creationTimestamp: \"2026-01-01T00:00:00Z\"\n  \
         labels: {app: web, tier: 'front'}\n  annotations:\n    svcmesh.dev/timeout: 10s\nspec:\n  clusterIP: 10.96.0.7\n  \
         clusterIPs:\n  - 10.96.0.7\n  - fd00::7\n  - 2001::7\n  ports:\n  - name: http # the usual one\n    port: 80\n    targetPort: web\n\
         # a comment\n  -   name: admin\n      port: 81\n  selector: {}\nstatus:\n  loadBalancer: {}\n  conditions: []\n",
    );
    check(
        "endpoints:\n- {addresses: [10.1.0.1], conditions: {ready: true}, nodeName: node-1}\n-\n  addresses: [\"fd00::1\"]\n-\n",
    );
    check("a:\n  - - 1\n    - -2\n  - b: null\nc:\n\nd: 3scale\n");
    check("a: b\r\nc:\r\n- d\r\n");
    check("- a\n- b\n");
    check("word");
}

#[test]
fn what_takes_thought_is_declined() {
    for document in [
        "a: &x b",
        "a: *x",
        "a: !!str 1",
        "a: |\n  b",
        "a: >\n  b",
        "a: b\n  c",
        "a: 'it''s'",
        "a: \"\\n\"",
        "a: b: c",
        "? a",
        "a: yes",
        "a: 0x1f",
        "a: 1.5",
        "a: 1:30",
        "a: 1_000",
        "a: 2026-01-01",
        "a: ~",
        "<<: {a: b}",
        "a: 1\na: 2",
        "null: 1",
        "1: a\n0x1: b",
        "a: b\n# c\rd: e",
        "a:\tb",
        "%YAML 1.2",
        "a: [b,\n c]",
        "a: {b: }",
        "a: [b, ]",
        "a: b\n c: d",
        "a:\n   b: c\n  d: e",
        "{a: 1, a: 2}",
        "",
        "a: [1]2",
        "a: 'b'c",
        "a:\n- b\n  c",
        "on: 1\non: 2",
    ] {
        assert_eq!(plain(document), None, "{document:?}");
    }
}

#[test]
fn a_billion_laughs_are_refused() {
    let level = |n: usize| format!("l{n}: &l{n} [{}]\n", vec![format!("*l{}", n - 1); 10].join(", "));
    let bomb = format!("l0: &l0 [lol]\n{}", (1..10).map(level).collect::<String>());
    let refusal = to_json(&bomb).unwrap_err();
    assert!(refusal.message.contains("replayed"), "{refusal}");
}

#[test]
fn aliases_in_reason_are_followed() {
    assert_eq!(
        parsed(&to_json("a: &x {b: 1}\nc: *x").unwrap().0),
        serde_json::json!({"a": {"b": 1}, "c": {"b": 1}})
    );
}

#[test]
fn nesting_has_an_end() {
    for document in ["[".repeat(10_000), "- ".repeat(10_000), "{a: ".repeat(10_000)] {
        assert!(to_json(&document).is_err());
    }
}

#[test]
fn a_syntax_error_names_its_line() {
    assert_eq!(to_json("a: 1\nb: [\nc: 2\n").unwrap_err().line, 2, "where the list begins");
}

#[test]
fn of_a_repeated_key_the_last_value_counts_and_its_line_is_told() {
    let (json, repeated) = to_json("a: {b: 1, b: 2}\nc: 3\na: {b: 4}\n").unwrap();
    assert_eq!(parsed(&json), serde_json::json!({"a": {"b": 4}, "c": 3}));
    let told: Vec<_> = repeated.iter().map(|repeated| (repeated.line, &*repeated.field)).collect();
    assert_eq!(told, [(1, "a.b"), (3, "a")]);
}

#[test]
fn a_document_of_comments_is_null() {
    assert_eq!(to_json("# nothing\n\n").unwrap().0, "null");
}

/// What YAML is made of, so that random texts often mean something.
fn pieces() -> impl Strategy<Value = String> {
    const PIECES: [&str; 44] = [
        "a", "b: ", "c:", "- ", "-", "\n", "\n", "\n", "\n  ", "\n  ", "\n    ", " ", ": ", "{", "}", "[",
        "]", ", ", ",", "#", " # x", "'", "\"", "1", "10.0.0.1", "fd00::1", "0x1", "1.5", "1e3", "true",
        "null", "yes", "~", "|", ">", "&x ", "*x", "!t ", "key: v", "\\", "---", "?", "%", "-1",
    ];
    prop::collection::vec(proptest::sample::select(&PIECES), 0..24).prop_map(|pieces| pieces.concat())
}

/// Collections and scalars in every style at once: block outside, flow inside.
fn document() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        "[a-zA-Z0-9./:_-]{1,8}",
        "[a-z ,:#{}-]{0,6}".prop_map(|text| format!("'{text}'")),
        "[a-z ,:#{}-]{0,6}".prop_map(|text| format!("\"{text}\"")),
        "-?[0-9]{1,4}",
    ];
    let flow = prop_oneof![
        scalar.clone(),
        prop::collection::vec(scalar.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(", "))),
        prop::collection::vec(("[a-z]{1,3}", scalar), 0..4).prop_map(|items| format!(
            "{{{}}}",
            items.iter().map(|(k, v)| format!("{k}: {v}")).collect::<Vec<_>>().join(", ")
        )),
    ];
    let line = (0..3_usize, any::<bool>(), prop::option::of("[a-z]{1,3}"), prop::option::of(flow));
    prop::collection::vec(line, 1..8).prop_map(|lines| {
        let write = |(indent, entry, key, value): (usize, bool, Option<String>, Option<String>)| {
            let dash = if entry { "- " } else { "" };
            let key = key.map(|key| format!("{key}: ")).unwrap_or_default();
            format!("{}{dash}{key}{}\n", "  ".repeat(indent), value.unwrap_or_default())
        };
        lines.into_iter().map(write).collect()
    })
}

fn agree(document: &str) -> Result<(), TestCaseError> {
    let Some(json) = plain(document) else { return Ok(()) };
    let general = general(document)
        .map_err(|error| TestCaseError::fail(format!("{document:?}: {json}, but {error}")))?;
    prop_assert_eq!(parsed(&json), parsed(&general), "{:?}", document);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_readers_agree_on_scraps(document in pieces()) {
        agree(&document)?;
    }

    #[test]
    fn the_readers_agree_on_documents(document in document()) {
        agree(&document)?;
    }
}
