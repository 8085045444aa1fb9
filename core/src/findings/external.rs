//! External names (S-26).

use alloc::format;

use super::code::Code;
use super::subject::{Findings, Subject};

/// Checks the external name of a Service.
pub(super) fn check(subject: &Subject<'_>, found: &mut Findings) {
    let Some(name) = subject.entry.service.external_name.as_deref() else { return };
    let last = name.rsplit('.').next().unwrap_or_default();
    let is_number = |label: &str| !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_digit());
    if last == "localhost" || name.starts_with("127.") && is_number(last) {
        found.add(Code::LeadsToLoopback, subject.name, format!("externalName {name} is the client itself"));
    } else if is_number(last) {
        found.add(
            Code::LooksLikeAddress,
            subject.name,
            format!("externalName {name} looks like an IPv4 address"),
        );
    }
}
