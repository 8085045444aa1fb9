//! How many descriptors the process may have: each connection that is carried takes two.

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
    let needed = 2 * connections_max as u64 + OWN;
    if let Some(allowed) = getrlimit(Resource::Nofile).current.filter(|allowed| *allowed < needed) {
        warn!(allowed, needed, "fewer descriptors than --max-connections needs: raise the limit (ulimit -n)");
    }
}

/// Listeners, files, pipes and the like: generously.
const OWN: u64 = 256;
