//! The verb `run`: its flags, and the manual.

use clap::{Arg, ArgAction, Command};

use super::privileges::PRIVILEGES;
use super::{deadlines, discovery, dns, drain, limits, listeners, logs, tls};

/// The verb `run` with its flags; its `--help` is the manual.
pub fn command() -> Command {
    Command::new(RUN)
        .about("Carry the pod's traffic to the Services it is meant for")
        .long_about(MANUAL)
        .bin_name("sidecar run")
        .max_term_width(100)
        .args(discovery::args())
        .args(dns::args())
        .args(listeners::args())
        .arg(PRIVILEGES.arg("Listeners"))
        .args(tls::args())
        .args(deadlines::args())
        .args(limits::args())
        .args(drain::args())
        .args(logs::args())
        .arg(
            Arg::new(CHECK)
                .long(CHECK)
                .action(ArgAction::SetTrue)
                .help("Print the effective configuration, or every mistake in it, and exit"),
        )
}

pub(super) const RUN: &str = "run";

const MANUAL: &str = "\
Carry the pod's traffic to the Services it is meant for.

Each setting is a flag, else the variable named beside it, else the default. An empty variable counts as absent. Variables that \
a Service named `sidecar` puts into its namespace's pods (SIDECAR_SERVICE_HOST, SIDECAR_SERVICE_PORT*, SIDECAR_PORT*) are ignored.

Durations are a number with `ms`, `s`, `m` or `h`, or several of them: 500ms, 1s, 1m30s, 1h; `0` needs no unit.
Listeners are a list of addresses, or `off`: 127.0.0.1:15001,[::1]:15001. Port 0 is any free port; the log and /config tell which.
A mistake in any setting ends the sidecar with exit code 64 after all of them have been named.";

/// The flag that asks for the effective configuration only.
pub const CHECK: &str = "check";
