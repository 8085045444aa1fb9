//! `sidecar init`: writes the rules that bring the pod's connections to its sidecar, by the program that knows how.

mod step;

use svc_core::capture::{Capture, REMOVAL};

use crate::RunError;
use step::Step;

/// What is to be done, in this order.
#[derive(Debug)]
pub struct Task(Vec<Step>);

impl Task {
    /// Writes the rules anew.
    pub fn capture(capture: &Capture) -> Task {
        Task(vec![Step::nft("cannot write the rules", capture.rules())])
    }

    /// Removes what may be there.
    pub fn clean() -> Task {
        Task(vec![Step::nft("cannot remove the rules", REMOVAL.to_owned())])
    }

    /// Does it.
    ///
    /// # Errors
    /// The first step that failed; none is done after it.
    pub fn run(&self) -> Result<(), RunError> {
        self.0.iter().try_for_each(Step::run)
    }

    /// What would be done, for a shell.
    pub fn script(&self) -> String {
        self.0.iter().map(Step::script).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_done_is_a_script() {
        insta::assert_snapshot!(Task::clean().script());
    }
}
