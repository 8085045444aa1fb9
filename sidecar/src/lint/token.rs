//! Files of tokens: ours for the admin pages, and those of service accounts.

use data_encoding::BASE64URL_NOPAD;
use serde_json::Value;

use crate::control::manifests::{Finding, Severity};

/// What is wrong with a token. Nothing of it is shown.
pub(super) fn check(bytes: &[u8], now: i64) -> Vec<Finding> {
    let token = bytes.trim_ascii();
    let reason = if token.is_empty() {
        "the token is empty, and opens nothing"
    } else if bytes.len() > TOKEN_BYTES_MAX {
        "the file is larger than 4096 bytes, of which no more are read"
    } else if !token.iter().all(u8::is_ascii_graphic) {
        "the token has other than visible ASCII characters, which no header carries as they are"
    } else if expiry(token).is_some_and(|expiry| expiry <= now) {
        "the token has expired"
    } else {
        return Vec::new();
    };
    vec![Finding { line: 1, ..Finding::whole(Severity::Error, reason.into()) }]
}

/// When a token ends that is a JWT (RFC 7519 §4.1.4), in seconds since 1970.
fn expiry(token: &[u8]) -> Option<i64> {
    let mut parts = token.split(|byte| *byte == b'.');
    let (_, claims, _) = (parts.next()?, parts.next()?, parts.next()?);
    let claims = BASE64URL_NOPAD.decode(claims).ok()?;
    serde_json::from_slice::<Value>(&claims).ok()?.get("exp")?.as_i64()
}

/// As the admin pages read it.
const TOKEN_BYTES_MAX: usize = 4096;
