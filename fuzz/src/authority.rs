//! Any authority: what is accepted has one meaning, which is the same when it is written out and read again.

use svc_core::authority::{Authority, UriHost};

pub(crate) fn check(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Ok(authority) = Authority::parse(&text) else { return };
    if let UriHost::Name(name) = authority.host {
        assert!(text.starts_with(name) && name.len() <= 253);
        assert!(name.split('.').all(|label| (1..=63).contains(&label.len())));
    }
    assert_eq!(Authority::parse(&written(&authority)), Ok(authority));
}

fn written(authority: &Authority<'_>) -> String {
    let host = match authority.host {
        UriHost::Address(address) if address.is_ipv6() => format!("[{address}]"),
        UriHost::Address(address) => address.to_string(),
        UriHost::Name(name) => name.to_string(),
    };
    authority.port.map_or(host.clone(), |port| format!("{host}:{port}"))
}
