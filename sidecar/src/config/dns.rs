//! How DNS is asked, and how long its answers hold.

use std::path::PathBuf;
use std::time::Duration;

use clap::Arg;
use svc_core::dns::lease::Bounds;

use super::flag::Flag;
use super::settings::SettingsReader;
use super::values::{deadline, path};

/// How DNS is asked, and how long its answers hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsSettings {
    /// Between these the lifetimes of answers are kept.
    pub bounds: Bounds,
    /// Where the name servers and the search path are read from.
    pub resolv_conf: PathBuf,
}

impl DnsSettings {
    pub(super) fn read(settings: &mut SettingsReader<'_>) -> DnsSettings {
        let min = settings.read(&DNS_MIN_TTL);
        let max = settings.read(&DNS_MAX_TTL);
        if min > max {
            settings.refuse(&DNS_MAX_TTL, "at least --dns-min-ttl");
        }
        DnsSettings { bounds: Bounds { min, max: max.max(min) }, resolv_conf: settings.read(&RESOLV_CONF) }
    }
}

pub(super) fn args() -> [Arg; 3] {
    const HEADING: &str = "DNS";
    [DNS_MIN_TTL.arg(HEADING), DNS_MAX_TTL.arg(HEADING), RESOLV_CONF.arg(HEADING)]
}

const DNS_MIN_TTL: Flag<Duration> = Flag {
    name: "dns-min-ttl",
    value: "DURATION",
    default: "5s",
    help: "No answer of DNS is kept for less, whatever its time to live: a name is asked for no more often than this",
    parse: deadline,
};

const DNS_MAX_TTL: Flag<Duration> = Flag {
    name: "dns-max-ttl",
    value: "DURATION",
    default: "5m",
    help: "No answer of DNS is kept for longer, unless DNS cannot be reached: then the last good one serves on",
    parse: deadline,
};

const RESOLV_CONF: Flag<PathBuf> = Flag {
    name: "resolv-conf",
    value: "PATH",
    default: "/etc/resolv.conf",
    help: "Where name servers, search domains and `ndots` are read, at the start and at SIGHUP. /etc/hosts is never read",
    parse: path,
};
