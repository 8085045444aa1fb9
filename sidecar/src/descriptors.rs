//! How many descriptors the process may have: each connection that is carried takes two. The last ones are not for traffic.

use std::os::fd::AsRawFd;
use std::sync::atomic::AtomicI32;
use std::sync::atomic::Ordering::Relaxed;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::warn;

/// Asks for as many as the process may ask for, and says so if that is fewer than `connections_max` would need. Many systems begin with
/// 1024, for the sake of programs that use select(2).
pub(crate) fn raise_limit(connections_max: usize) {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current < maximum || (current.is_some() && maximum.is_none()) {
        // What cannot be had is told below.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    }
    if let Some(allowed) = getrlimit(Resource::Nofile).current {
        RESERVED_FROM.store(i32::try_from(allowed.saturating_sub(RESERVE)).unwrap_or(i32::MAX), Relaxed);
    }
    let needed = 2 * connections_max as u64 + OWN;
    if let Some(allowed) = getrlimit(Resource::Nofile).current.filter(|allowed| *allowed < needed) {
        warn!(allowed, needed, "fewer descriptors than --max-connections needs: raise the limit (ulimit -n)");
    }
}

/// Listeners, files, pipes and the like: generously.
const OWN: u64 = 256;

/// Whether a descriptor that was opened for traffic is one of the last, which it has to give back: the admin port, files and name servers
/// must be reached when clients have taken all others. The system gives the lowest number that is free.
pub(crate) fn is_reserved(descriptor: &impl AsRawFd) -> bool {
    descriptor.as_raw_fd() >= RESERVED_FROM.load(Relaxed)
}

static RESERVED_FROM: AtomicI32 = AtomicI32::new(i32::MAX);

/// For eight scrapes and probes at once, as many names that are asked for, and some files.
const RESERVE: u64 = 32;
