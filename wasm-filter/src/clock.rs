//! The VM's clock and environment, by WASI: everything else is given a [`Now`].
#![expect(clippy::disallowed_methods, reason = "this is the one clock, and the one look at the environment")]

use std::sync::LazyLock;
use std::time::Instant;

use svc_core::time::Now;

/// The origin of every [`Now`] of this VM.
static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The time.
pub(crate) fn now() -> Now {
    Now(ORIGIN.elapsed())
}

/// The variables that the VM's configuration hands in; not those that are no text.
pub(crate) fn variables() -> Vec<(String, String)> {
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    std::env::vars_os().filter_map(text).collect()
}
