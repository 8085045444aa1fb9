//! JSON values → values.

use alloc::borrow::ToOwned;
use alloc::string::String;

use ipnet::IpNet;
use serde_json::Value;

use crate::values::{Expected, label};

/// What `parse` makes of a text.
pub(super) fn text<T>(value: &Value, parse: fn(&str) -> Result<T, Expected>) -> Result<T, Expected> {
    match value.as_str() {
        Some(text) => parse(text),
        None => Err(parse("").err().unwrap_or("a text".into())),
    }
}

pub(super) fn boolean(value: &Value) -> Result<bool, Expected> {
    value.as_bool().ok_or("`true` or `false`".into())
}

/// One of a few words.
pub(super) fn one_of<T: Copy>(value: &Value, words: &[(&'static str, T)]) -> Result<T, Expected> {
    let word = value.as_str().unwrap_or_default();
    let found = words.iter().find(|(known, _)| *known == word);
    found.map(|(_, meaning)| *meaning).ok_or_else(|| list(words.iter().map(|(word, _)| *word)).into())
}

/// `` `a`, `b` or `c` ``
fn list(words: impl ExactSizeIterator<Item = &'static str>) -> String {
    let last = words.len() - 1;
    let mut listed = String::new();
    for (index, word) in words.enumerate() {
        listed += match index {
            0 => "`",
            index if index == last => "` or `",
            _ => "`, `",
        };
        listed += word;
    }
    listed + "`"
}

/// A port that can be connected to.
pub(super) fn port(value: &Value) -> Result<u16, Expected> {
    let port = value.as_u64().and_then(|port| u16::try_from(port).ok()).filter(|port| *port != 0);
    port.ok_or("a number from 1 to 65535".into())
}

/// A network; a lone address is a network of one. Bits behind the prefix are dropped.
pub(super) fn network(raw: &str) -> Result<IpNet, Expected> {
    crate::values::network(raw).ok_or("a network such as `10.0.0.0/8` or `fd00::/8`, or an address".into())
}

/// What Envoy calls one of its own.
pub(super) fn name(raw: &str) -> Result<String, Expected> {
    visible(raw).ok_or("a name of visible ASCII characters".into())
}

pub(super) fn service_name(raw: &str) -> Result<(String, String), Expected> {
    let (namespace, name) = raw.split_once('/').ok_or(SERVICE_NAME)?;
    match (label(namespace), label(name)) {
        (Ok(namespace), Ok(name)) => Ok((namespace, name)),
        _ => Err(SERVICE_NAME.into()),
    }
}

/// A field name (RFC 9110 §5.1), in the lower case that Envoy and HTTP/2 have.
pub(super) fn header_name(raw: &str) -> Result<String, Expected> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    match !raw.is_empty() && raw.bytes().all(allowed) {
        true => Ok(raw.to_ascii_lowercase()),
        false => Err("the name of a header".into()),
    }
}

pub(super) fn authority(raw: &str) -> Result<String, Expected> {
    let authority = visible(raw).filter(|raw| !raw.contains(['/', '?', '#', '@']));
    authority.ok_or("an authority such as `svcmesh` or `127.0.0.1:15020`".into())
}

pub(super) fn path(raw: &str) -> Result<String, Expected> {
    let path = visible(raw).filter(|raw| raw.starts_with('/') && !raw.contains('#'));
    path.ok_or("a path such as `/services`".into())
}

pub(super) fn token(raw: &str) -> Result<String, Expected> {
    visible(raw).ok_or("a token of visible ASCII characters".into())
}

fn visible(raw: &str) -> Option<String> {
    (!raw.is_empty() && raw.bytes().all(|byte| byte.is_ascii_graphic())).then(|| raw.to_owned())
}

const SERVICE_NAME: &str = "the Service as `namespace/name`";
