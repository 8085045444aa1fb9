//! The annotations that say how the way to the endpoints is encrypted.

use alloc::sync::Arc;
use alloc::vec;

use super::annotations::{Problem, Problems};
use super::tls::Tls;
use crate::service::grammar;

/// `tls`.
pub(super) fn tls(text: &str) -> Result<Tls, Problems<'_>> {
    match text {
        "off" => Ok(Tls::Off),
        "originate" => Ok(Tls::Originate),
        _ => Err(vec![Problem::Unsupported(text, vec!["off", "originate"])]),
    }
}

/// `tls-ca`: `secret/NAME`.
pub(super) fn authorities(text: &str) -> Result<Arc<str>, Problems<'_>> {
    let name = text.strip_prefix("secret/").filter(|name| grammar::dns_subdomain(name).is_empty());
    let expected = "must be secret/NAME, the name of a Secret in the Service's namespace";
    name.map(Arc::from).ok_or_else(|| vec![Problem::Invalid(text, expected.into())])
}
