//! `sidecar init`: writes the rules that bring the pod's connections to its sidecar, by the program that knows how.

mod step;

use std::path::Path;

use svc_core::capture::{Capture, Family, REMOVAL, unrouting};

use crate::error::RunError;

use step::InitStep;

/// What is to be done, in this order.
#[derive(Debug)]
pub struct Task(Vec<InitStep>);

impl Task {
    /// Writes the rules anew.
    pub fn capture(capture: &Capture) -> Task {
        let families: &[Family] = if has_ipv6() { &FAMILIES } else { &FAMILIES[..1] };
        let routing =
            capture.routing(families).into_iter().map(|call| InitStep::ip("cannot write the routes", call));
        // The routes first: without them, what the rules mark would leave the pod.
        Task(routing.chain([InitStep::nft("cannot write the rules", capture.rules())]).collect())
    }

    /// Removes what may be there.
    pub fn clean() -> Task {
        let routing = FAMILIES.into_iter().flat_map(unrouting);
        let routing = routing.map(|call| InitStep::ip("cannot remove the routes", call));
        let rules = InitStep::nft("cannot remove the rules", REMOVAL.to_owned());
        Task([rules].into_iter().chain(routing).collect())
    }

    /// Does it.
    ///
    /// # Errors
    /// The first step that failed; none is done after it.
    pub fn run(&self) -> Result<(), RunError> {
        self.0.iter().try_for_each(InitStep::run)
    }

    /// What would be done, for a shell.
    pub fn script(&self) -> String {
        self.0.iter().map(InitStep::script).collect()
    }
}

const FAMILIES: [Family; 2] = [Family::V4, Family::V6];

/// Where the kernel has none, there is nothing to route either.
fn has_ipv6() -> bool {
    Path::new("/proc/net/if_inet6").exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_done_is_a_script() {
        insta::assert_snapshot!(Task::clean().script());
    }
}
