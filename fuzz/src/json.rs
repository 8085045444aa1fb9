//! Any text: it is read as serde_json reads it, or refused by both.

use serde_json::Value as Known;
use svc_proto::json::{NESTING_MAX, Value};

pub(crate) fn check(bytes: &[u8]) {
    let expected = serde_json::from_slice::<Known>(bytes);
    if expected.as_ref().is_err_and(|error| error.to_string().starts_with("number out of range")) {
        return; // here a number is its digits
    }
    for depth in [0, 1, NESTING_MAX] {
        let read = Value::parse(bytes, depth).map(|value| known(&value));
        assert_eq!(read.ok(), expected.as_ref().ok().cloned(), "{depth}");
    }
}

fn known(value: &Value<'_>) -> Known {
    match value {
        Value::Null => Known::Null,
        Value::Bool(value) => (*value).into(),
        Value::Number(text) | Value::Unread(text) => serde_json::from_str(text).expect("it is JSON"),
        Value::Text(text) => (&**text).into(),
        Value::List(items) => items.iter().map(known).collect(),
        Value::Object(object) => object.iter().map(|(name, value)| (name.to_owned(), known(value))).collect(),
    }
}
