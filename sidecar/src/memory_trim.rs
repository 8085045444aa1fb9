//! Gives memory back to the system after a peak: a sidecar that was flooded for a minute must not hold what that took for ever.
#![expect(unsafe_code, reason = "malloc_trim is a call into the C library, which takes no pointer of ours")]

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crate::clock::sleep;
use crate::shared::Shared;

/// Watches how many connections are open, and has the allocator let go of what is free when most of them have gone.
pub(crate) async fn give_back(shared: Arc<Shared>) {
    let mut peak = 0;
    loop {
        sleep(LOOK).await;
        let open = shared.connections.load(Relaxed);
        peak = peak.max(open);
        if peak >= WORTHWHILE && open < peak / 2 {
            trim();
            peak = open;
        }
    }
}

const LOOK: Duration = Duration::from_secs(1);

/// 256 connections × 20 KiB = 5 MiB. Fewer are not worth the milliseconds that the allocator is locked for.
const WORTHWHILE: u64 = 256;

#[cfg(target_env = "gnu")]
fn trim() {
    // SAFETY: it may be called at any time by any thread, and touches only what nobody has allocated.
    unsafe { libc::malloc_trim(0) };
}

/// Other C libraries give back on their own, or never.
#[cfg(not(target_env = "gnu"))]
fn trim() {}
