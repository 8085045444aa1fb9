use alloc::string::{String, ToString};
use alloc::vec::Vec;

use proptest::prelude::*;
use serde_json::json;

use super::*;

/// What serde_json would have made of it.
fn known(value: &Value<'_>) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(value) => json!(value),
        Value::Number(digits) => serde_json::from_str(digits).unwrap(),
        Value::Text(text) => json!(text),
        Value::List(items) => items.iter().map(known).collect(),
        Value::Object(object) => {
            object.iter().map(|(name, value)| (name.to_string(), known(value))).collect()
        }
        Value::Unread(text) => serde_json::from_str(text).unwrap(),
    }
}

/// Both read the text as the same, however deep, or both refuse it.
fn check(text: &[u8]) {
    let expected = serde_json::from_slice::<serde_json::Value>(text);
    if expected.as_ref().is_err_and(|error| error.to_string().starts_with("number out of range")) {
        return; // here a number is its digits
    }
    for depth in [0, 1, 2, NESTING_MAX] {
        let read = Value::parse(text, depth);
        match (&expected, &read) {
            (Ok(expected), Ok(read)) => assert_eq!(known(read), *expected),
            (Ok(expected), Err(malformed)) => panic!("{malformed}: {expected}"),
            (Err(error), Ok(read)) => panic!("{error}: {read:?}"),
            (Err(_), Err(_)) => {}
        }
    }
}

#[test]
fn what_serde_json_reads_is_read_the_same() {
    for text in [
        " {} ",
        "[]",
        "[ ]",
        "null",
        "true",
        " \r\n\tfalse",
        "0",
        "-0",
        "-0.5e+10",
        "1E-2",
        r#""""#,
        r#""a\"\\\/\b\f\n\r\t\u00e4\ud83d\ude00z""#,
        r#"{"a": [1, {"b": []}, "c"], "a": {"": null}}"#,
        "\"ä€😀\u{7f}\"",
    ] {
        assert!(Value::parse(text.as_bytes(), NESTING_MAX).is_ok(), "{text}");
        check(text.as_bytes());
    }
}

#[test]
fn what_is_no_json_is_refused_with_its_place() {
    let mut told = String::new();
    for text in [
        "",
        " ",
        "nul",
        "truth",
        "{",
        "{1: 2}",
        "{\"a\" 1}",
        "{\"a\": 1,}",
        "{\"a\": 1 \"b\"}",
        "[1 2]",
        "[1,]",
        "{} {}",
        "\u{feff}{}",
        "01",
        "1.",
        "-",
        "1e",
        "+1",
        ".5",
        "\"a",
        "\"a\nb\"",
        r#""\x""#,
        r#""\u00g0""#,
        r#""\u+123""#,
        r#""\ud800""#,
        r#""\ud800\u0041""#,
        r#""\ude00""#,
        "\n\n [1,\n  x]",
    ] {
        check(text.as_bytes());
        told += &alloc::format!("{text:?}: {}\n", Value::parse(text.as_bytes(), 1).unwrap_err());
    }
    check(b"[\"\xff\"]");
    told += &Value::parse(b"[\n\"\xff\"]", 1).unwrap_err().to_string();
    insta::assert_snapshot!(told);
}

#[test]
fn nobody_digs_deeper_than_the_stack() {
    for open in ["[", "{\"a\":"] {
        check(&open.repeat(1_000_000).into_bytes());
    }
    let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
    check(nested(NESTING_MAX).as_bytes());
    check(nested(NESTING_MAX + 1).as_bytes());
}

#[test]
fn what_lies_deeper_than_asked_for_is_its_text() {
    let json = br#"{"a": [ {"b": [1 ]}, 2, [] ], "c": "d"}"#;
    let Ok(Value::Object(object)) = Value::parse(json, 2) else { panic!("an object") };
    let unread: Vec<_> = object.get("a").unwrap().as_list().unwrap().iter().map(Value::as_unread).collect();
    assert_eq!(unread, [Some("{\"b\": [1 ]}"), None, Some("[]")]);
    assert_eq!(object.get("c").unwrap().as_text(), Some("d"));
    assert_eq!(Value::parse(json, 0).unwrap().as_unread(), str::from_utf8(json).ok());
}

#[test]
fn a_number_is_one_of_the_size_that_is_wanted() {
    let number = |text: &'static str| Value::Number(text);
    assert_eq!(number("65535").as_number(), Some(65535_u16));
    for text in ["65536", "-1", "-0", "8.0", "8e1"] {
        assert_eq!(number(text).as_number::<u16>(), None, "{text}");
    }
}

#[test]
fn strings_are_copied_only_where_something_is_escaped() {
    let is_copied = |json: &str| {
        let Ok(Value::Text(text)) = Value::parse(json.as_bytes(), 0) else { panic!("a string") };
        matches!(text, Cow::Owned(_))
    };
    assert!(!is_copied("\"abc\""));
    assert!(is_copied(r#""a\nc""#));
}

/// Nearly JSON: whatever may stand in it, in any order.
fn tokens() -> impl Strategy<Value = String> {
    let token = proptest::sample::select(
        &[
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "null",
            "true",
            "false",
            " ",
            "\n",
            "0",
            "-",
            "1.5",
            "e",
            "E+",
            "12",
            "\"",
            "\"a\"",
            "\"\\u00e4\"",
            "\\",
            "\\u",
            "\\ud83d\\ude00",
            "d800",
            "ä",
            "\"a\":",
            "\"b\": [",
            "[]",
            "{}",
            "],",
            "},",
        ][..],
    );
    prop::collection::vec(token, 0..24).prop_map(|tokens| tokens.concat())
}

fn value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(|value| json!(value)),
        any::<i64>().prop_map(|value| json!(value)),
        any::<f32>().prop_map(|value| json!(value)),
        ".{0,8}".prop_map(|text| json!(text)),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        let members = prop::collection::vec((".{0,4}", inner.clone()), 0..4);
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(serde_json::Value::from),
            members.prop_map(|members| members.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_nearly_json_is_read_as_serde_json_reads_it(text in tokens()) {
        check(text.as_bytes());
    }

    #[test]
    fn any_value_is_read_however_it_is_written(value in value(), pretty in any::<bool>(), cut in any::<prop::sample::Index>()) {
        let text = if pretty { serde_json::to_string_pretty(&value).unwrap() } else { value.to_string() };
        check(text.as_bytes());
        check(&text.as_bytes()[..cut.index(text.len() + 1)]);
    }
}
