//! Texts → values of the configuration.

use alloc::borrow::ToOwned;
use alloc::string::String;

use ipnet::IpNet;

use super::Token;
use crate::values::{Expected, label};

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

pub(super) fn token(raw: &str) -> Result<Token, Expected> {
    visible(raw).map(Token).ok_or("a token of visible ASCII characters".into())
}

fn visible(raw: &str) -> Option<String> {
    (!raw.is_empty() && raw.bytes().all(|byte| byte.is_ascii_graphic())).then(|| raw.to_owned())
}

const SERVICE_NAME: &str = "the Service as `namespace/name`";
