//! The VM's clock, by WASI: everything else is given a [`Now`].
#![expect(clippy::disallowed_methods, reason = "this is the one clock")]

use std::sync::LazyLock;
use std::time::Instant;

use svc_core::time::Now;

/// The origin of every [`Now`] of this VM.
static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The time.
pub(crate) fn now() -> Now {
    Now(ORIGIN.elapsed())
}
