//! The verbs that take settings.

use clap::Command;

use super::init::init_command;
use super::run::command;

/// All of them: the containers of a pod often share their environment, so that each must know the others' settings.
pub(super) fn verbs() -> [Command; 2] {
    [command(), init_command()]
}
