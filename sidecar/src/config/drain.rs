//! How the sidecar ends.

use std::time::Duration;

use clap::Arg;

use super::flag::Flag;
use super::settings::SettingsReader;
use super::values::pause;

/// How the sidecar ends after SIGTERM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drain {
    /// How long new connections are still accepted, while readiness already says no.
    pub delay: Duration,
    /// When what is still open is cut, counted from the signal; at least `delay`.
    pub timeout: Duration,
}

impl Drain {
    pub(super) fn read(settings: &mut SettingsReader<'_>) -> Drain {
        let delay = settings.read(&DRAIN_DELAY);
        let timeout = settings.read(&DRAIN_TIMEOUT);
        if delay > timeout {
            settings.refuse(&DRAIN_DELAY, "at most --drain-timeout, which counts from the same signal");
        }
        Drain { delay, timeout }
    }
}

pub(super) fn args() -> [Arg; 2] {
    const HEADING: &str = "Ending";
    [DRAIN_DELAY.arg(HEADING), DRAIN_TIMEOUT.arg(HEADING)]
}

const DRAIN_DELAY: Flag<Duration> = Flag {
    name: "drain-delay",
    value: "DURATION",
    default: "5s",
    help: "After SIGTERM: for how long new connections are still accepted, while /readyz already says 503",
    parse: pause,
};

const DRAIN_TIMEOUT: Flag<Duration> = Flag {
    name: "drain-timeout",
    value: "DURATION",
    default: "25s", // below the 30 s after which the kubelet kills
    help: "After SIGTERM: when connections that are still open are cut; keep it below the pod's grace period",
    parse: pause,
};
